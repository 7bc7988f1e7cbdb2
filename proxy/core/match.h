// Which rule of a listener a request meets. No I/O, no allocation.
#pragma once

#include <string>
#include <string_view>

#include "proxy/core/routing_table.h"
#include "proxy/http/head_parser.h"

namespace remuda::proxy {

// `*` is any run of characters, `?` is any one. With `lower`, `text` is compared as if in lower
// case (patterns are compiled so).
bool MatchesWildcard(std::string_view pattern, std::string_view text, bool lower);

// Host without its port, brackets kept.
std::string_view HostWithoutPort(std::string_view host);

// The first rule whose conditions all hold; the default rule, last in the list, always does. Null
// only for an empty list.
const Rule* MatchRule(const ListenerSpec& listener, const http::RequestHead& head,
                      const IpBytes& source);

// The Location of a redirect: templates `#{protocol} #{host} #{port} #{path} #{query}` stand for
// the request's.
std::string ExpandRedirect(const Redirect& redirect, const http::RequestHead& head,
                           std::string_view protocol, uint16_t port);

}  // namespace remuda::proxy
