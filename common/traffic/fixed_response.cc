#include "common/traffic/fixed_response.h"

#include "common/traffic/text.h"
#include "remuda/v1/load_balancer.pb.h"

namespace remuda::traffic {

FieldFaults CheckFixedResponse(const v1::FixedResponseAction& config) {
  FieldFaults faults;
  const int status = config.status();
  if (!(status >= 200 && status <= 299) && !(status >= 400 && status <= 599)) {
    faults.push_back({"status", {}, std::to_string(status) + " is not within 200-299 or 400-599"});
  }
  const std::string& type = config.content_type();
  CheckText("content_type", type, kMaxTextBytes, faults);
  const size_t slash = type.find('/');
  if (!type.empty() && (slash == 0 || slash == std::string::npos || slash + 1 == type.size()))
    faults.push_back({"content_type", type, "is not a media type such as text/html"});
  if (config.body().size() > kMaxFixedBodyBytes) {
    faults.push_back({"body",
                      {},
                      std::to_string(config.body().size()) + " bytes; at most " +
                          std::to_string(kMaxFixedBodyBytes)});
  }
  if (status == 204 && !config.body().empty())
    faults.push_back({"body", {}, "a 204 has no body (RFC 9110 section 15.3.5)"});
  return faults;
}

}  // namespace remuda::traffic
