#include "common/traffic/preview.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "common/traffic/text.h"
#include "remuda/v1/deployment_step.pb.h"

namespace remuda::traffic {
namespace {

constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";  // RFC 9110 section 5.6.2

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           kTokenMarks.find(c) != std::string_view::npos;
  });
}

}  // namespace

FieldFaults CheckPreviewCookie(const v1::PreviewCookie& cookie) {
  FieldFaults faults;
  CheckText("name", cookie.name(), kMaxTextBytes, faults);
  if (!IsToken(cookie.name())) faults.push_back({"name", cookie.name(), "is not a cookie's name"});
  CheckText("value", cookie.value(), kMaxTextBytes, faults);
  if (cookie.value().find_first_of(" ,;\\\"") != std::string::npos) {
    faults.push_back({"value", cookie.value(),
                      "has what a cookie's value cannot have: a space, or one of , ; \\ \""});
  }
  return faults;
}

FieldFaults CheckMirror(const v1::Mirror& mirror) {
  FieldFaults faults;
  if (mirror.percent() < 1 || mirror.percent() > 100)
    faults.push_back({"percent", {}, std::to_string(mirror.percent()) + " is not within 1-100"});
  if (mirror.has_max_body_bytes() &&
      (mirror.max_body_bytes() < 0 || mirror.max_body_bytes() > kMaxMirroredBodyBytes)) {
    faults.push_back({"max_body_bytes",
                      {},
                      std::to_string(mirror.max_body_bytes()) + " is not within 0-" +
                          std::to_string(kMaxMirroredBodyBytes)});
  }
  return faults;
}

}  // namespace remuda::traffic
