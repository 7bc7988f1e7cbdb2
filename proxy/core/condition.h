// Whether a condition of a rule holds for a request, judged by itself. No I/O, no allocation.
#pragma once

#include <string_view>

#include "proxy/core/rule.h"
#include "proxy/http/head_parser.h"

namespace remuda::proxy {

// The name that host conditions see: without port and final dot, brackets kept.
std::string_view HostName(std::string_view host);

// Whether the block holds the address. One of IPv6 holds no IPv4 address, unless it is a block of
// mapped ones (::ffff:0:0/96).
bool Contains(const Cidr& cidr, const IpBytes& address);

bool Holds(const Condition& condition, const http::RequestHead& head, const IpBytes& source);

}  // namespace remuda::proxy
