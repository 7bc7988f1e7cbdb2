// Which rule of a listener a request meets. No I/O, no allocation.
#pragma once

#include "proxy/core/routing_table.h"
#include "proxy/http/head_parser.h"

namespace remuda::proxy {

// The first rule whose conditions all hold; the default rule, last in the list, always does. Null
// only for an empty list.
const Rule* MatchRule(const ListenerSpec& listener, const http::RequestHead& head,
                      const IpBytes& source);

// The same, rule by rule and condition by condition: what MatchRule is measured and tested against.
const Rule* MatchRuleOneByOne(const std::vector<Rule>& rules, const http::RequestHead& head,
                              const IpBytes& source);

}  // namespace remuda::proxy
