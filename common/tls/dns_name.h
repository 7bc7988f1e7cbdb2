// Names that servers are asked for by, and that certificates hold. Pure. Any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace remuda::tls {

// The longest a name can be asked for: longer ones are no DNS names (RFC 1035 section 2.3.4).
inline constexpr size_t kMaxDnsNameBytes = 253;

// Lower case into `out`, without a dot at the end. False if it is no DNS name; `*.` may come first
// if `allow_wildcard`.
bool NormalizeDnsName(std::string_view name, bool allow_wildcard, std::string& out);

}  // namespace remuda::tls
