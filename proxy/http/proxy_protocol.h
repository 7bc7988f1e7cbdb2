// The PROXY protocol, versions 1 and 2 ("The PROXY protocol", HAProxy Technologies): who the client
// of a relayed connection is, said before its first byte. Strict parsing and writing, no I/O.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "proxy/http/head_parser.h"

namespace remuda::proxy::http {

enum class ProxyVersion : uint8_t { kNone, k1, k2 };

struct ProxyEndpoint {
  std::array<uint8_t, 16> address{};  // IPv4 as IPv4-mapped IPv6
  uint16_t port = 0;
  bool operator==(const ProxyEndpoint&) const = default;
};

struct ProxyHeader {
  // It names nobody, so that the connection's own addresses count: LOCAL, UNKNOWN, a family that is
  // neither IPv4 nor IPv6.
  bool is_local = true;
  ProxyEndpoint source;
  ProxyEndpoint destination;
};

// Version 1: the line with its CRLF. Version 2: the fixed part, and what a header may hold with all
// its extensions here.
inline constexpr size_t kMaxProxyLineBytes = 107;
inline constexpr size_t kProxySignatureBytes = 12;
inline constexpr size_t kProxyFixedBytes = 16;
inline constexpr size_t kMaxProxyHeaderBytes = 4096;

// Parses the header at the start of what a connection brought so far. kDone sets `out` and
// `header_size`; what lies behind it is the client's. kError as soon as it cannot become one.
ParseStatus ParseProxyHeader(const char* data, size_t size, ProxyHeader& out, size_t& header_size);

// A header without extensions into `out`, which has room for kMaxProxyLineBytes. Returns its size,
// 0 for kNone.
size_t WriteProxyHeader(ProxyVersion version, const ProxyHeader& header, char* out);

}  // namespace remuda::proxy::http
