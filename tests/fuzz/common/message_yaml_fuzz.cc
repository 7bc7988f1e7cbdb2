// Any bytes as a manifest and as a proxy's config file: no crash, and what was read is written and
// read back equal.
#include <google/protobuf/util/message_differencer.h>

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/message_yaml.h"
#include "remuda/proxy/v1/config.pb.h"
#include "remuda/v1/apply.pb.h"

namespace {

template <typename M>
void Check(std::string_view text) {
  M message;
  if (!remuda::ParseMessageYaml(text, "fuzz", &message).ok()) return;
  for (const std::string& again :
       {remuda::MessageToYaml(message), remuda::MessageToJson(message)}) {
    M copy;
    if (!remuda::ParseMessageYaml(again, "again", &copy).ok()) std::abort();
    if (!google::protobuf::util::MessageDifferencer::Equals(message, copy)) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Check<remuda::proxy::v1::ProxyConfig>(text);
  Check<remuda::v1::ApplyResourcesRequest>(text);
  return 0;
}
