// Requests that go to one subset of a target group besides its share: those that ask for it
// (previews), and copies of those that go elsewhere (mirroring). Constant once compiled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/fault.h"
#include "proxy/core/mix.h"
#include "proxy/core/rule.h"
#include "proxy/http/head_parser.h"

namespace remuda::proxy::v1 {
class TrafficSplit;
}

namespace remuda::proxy {

// Names a subset of a group over tables; never 0.
inline uint64_t SubsetKey(std::string_view name) { return HashOf(name) | 1; }

struct Preview {
  std::optional<Condition> header;  // without one, by its cookie
  std::string cookie_name = {};
  std::string cookie_value = {};
  uint64_t subset_key = 0;
};

struct MirrorSpec {
  uint32_t percent = 0;  // 0: nothing is mirrored
  uint64_t max_body_bytes = 0;
  uint64_t subset_key = 0;
};

// Which subset the request asks for, as a key: that of the first preview that it matches; 0: none.
uint64_t FindPreview(const std::vector<Preview>& previews, const http::RequestHead& head);

// Nothing, or what is wrong with the previews or the mirror of a split. A subset need not have a
// target, nor a weight.
Fault CompilePreviews(const v1::TrafficSplit& config, std::vector<Preview>& previews,
                      MirrorSpec& mirror);

}  // namespace remuda::proxy
