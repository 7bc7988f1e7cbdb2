// Where a redirect leads. No I/O, no allocation when expanded.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "proxy/core/rule.h"
#include "proxy/http/head_parser.h"

namespace remuda::proxy {

// Leaves room in a block for the rest of the answer's head.
inline constexpr size_t kMaxLocationBytes = 15 * 1024;

enum class ExpandResult : uint8_t {
  kOk,
  kTooLong,  // does not fit
  kNoHost,   // "#{host}" of a request without one (HTTP/1.0)
};

// Writes the Location for a request that came in on `port` into `out` and sets `location` to it.
// `#{path}` is the path without its first '/', as AWS has it.
ExpandResult ExpandRedirect(const Redirect& redirect, const http::RequestHead& head, uint16_t port,
                            std::span<char> out, std::string_view& location);

}  // namespace remuda::proxy
