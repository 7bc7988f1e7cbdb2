#include "proxy/core/match.h"

#include <algorithm>

#include "proxy/core/condition.h"
#include "proxy/core/rule_index.h"

namespace remuda::proxy {

const Rule* MatchRule(const ListenerSpec& listener, const http::RequestHead& head,
                      const IpBytes& source) {
  // A listener with nothing but a default needs no lookup.
  if (listener.rules.size() <= 1) return listener.rules.empty() ? nullptr : &listener.rules.front();
  const size_t place = listener.index->Match(listener.rules, head, source);
  return place < listener.rules.size() ? &listener.rules[place] : nullptr;
}

const Rule* MatchRuleOneByOne(const std::vector<Rule>& rules, const http::RequestHead& head,
                              const IpBytes& source) {
  for (const Rule& rule : rules) {
    const bool holds =
        std::all_of(rule.conditions.begin(), rule.conditions.end(),
                    [&](const Condition& condition) { return Holds(condition, head, source); });
    if (holds) return &rule;
  }
  return nullptr;
}

}  // namespace remuda::proxy
