// Which file a request to a static site names: never one that leads upwards or begins with a dot.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/site_path.h"
#include "tests/fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto path = remuda::agent::SitePathOf(text);
  if (path.status == 0) {
    remuda::Require(path.path.find('\0') == std::string::npos);
    for (size_t begin = 0; begin < path.path.size();) {
      const size_t end = std::min(path.path.find('/', begin), path.path.size());
      const std::string part = path.path.substr(begin, end - begin);
      remuda::Require(!part.empty());
      remuda::Require(part[0] != '.' || part == ".well-known");
      begin = end + 1;
    }
  } else {
    remuda::Require(path.path.empty());
  }
  for (const uint64_t bytes : {uint64_t{0}, uint64_t{10}, ~uint64_t{0} / 2}) {
    const auto wanted = remuda::agent::RangeOf(text, bytes);
    if (!wanted.range) continue;
    remuda::Require(!wanted.is_unsatisfiable);
    remuda::Require(wanted.range->bytes > 0 && wanted.range->first < bytes);
    remuda::Require(wanted.range->bytes <= bytes - wanted.range->first);
  }
  static_cast<void>(remuda::agent::HasTag(text, "\"a\""));
  static_cast<void>(remuda::agent::ContentTypeOf(text));
  return 0;
}
