// Whatever an app sends is refused with a reply that says why, or is a call of the path's kind; and
// whatever the controller answers makes a reply. The first byte says which path, the rest is the
// body, and the header's value.
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <string>
#include <variant>

#include "agent/core/app_call.h"

namespace agent = remuda::agent;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string path = agent::kAppPaths[data[0] % std::size(agent::kAppPaths)];
  const std::string body(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (agent::BearerToken(body).size() > body.size()) abort();
  for (const char* method : {"GET", "PUT", "POST"}) {
    const auto parsed = agent::ParseAppCall(method, path, body);
    if (const auto* reply = std::get_if<agent::AppReply>(&parsed)) {
      if (reply->status != 400 && reply->status != 405) abort();
      if (reply->body.empty()) abort();
      continue;
    }
    const auto& call = std::get<agent::v1::AppCall>(parsed);
    if (call.call_case() == agent::v1::AppCall::CALL_NOT_SET) abort();
    // As it goes over the stream.
    agent::v1::AppCall again;
    if (!again.ParseFromString(call.SerializeAsString())) abort();
    agent::v1::AppAnswer answer;
    answer.set_code(data[0]);
    answer.set_message(body);
    answer.set_state(body);
    if (agent::ReplyTo(call, body, answer).status < 200) abort();
  }
  return 0;
}
