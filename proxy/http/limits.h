// The bounds of what the HTTP/1.1 parsers take. AWS's Application Load Balancer names the sizes
// ("Quotas for your Application Load Balancers"); the counts are ours. Every refusal carries the
// name of the bound in its reason.
#pragma once

#include <cstddef>
#include <cstdint>

namespace remuda::proxy::http {

inline constexpr size_t kMaxRequestLineBytes = 16 * 1024;
inline constexpr size_t kMaxFieldLineBytes = 16 * 1024;
inline constexpr size_t kMaxRequestHeadBytes = 64 * 1024;
inline constexpr size_t kMaxResponseHeadBytes = 32 * 1024;
inline constexpr size_t kMaxFields = 100;
inline constexpr size_t kMaxMethodBytes = 32;
inline constexpr size_t kMaxConnectionOptions = 16;
// A chunk-size line: 16 hex digits and whatever extensions (stripped) fit.
inline constexpr size_t kMaxChunkLineBytes = 1024;
inline constexpr size_t kMaxTrailerBytes = 8 * 1024;
inline constexpr size_t kMaxTrailerFields = 32;
inline constexpr size_t kMaxForwardedAddresses = 30;
// Empty lines before a request line that are skipped (RFC 9112 section 2.2).
inline constexpr size_t kMaxLeadingEmptyLines = 1;

}  // namespace remuda::proxy::http
