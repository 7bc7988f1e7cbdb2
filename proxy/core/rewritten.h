// What a rule's rewrites made of a request.
#pragma once

#include <string_view>

namespace remuda::proxy {

// What is forwarded instead; empty: as it came. Views into the buffer that was given.
struct Rewritten {
  std::string_view host;
  std::string_view target;  // path and query
};

}  // namespace remuda::proxy
