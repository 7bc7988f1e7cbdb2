#include "proxy/core/rule_check.h"

#include <map>

#include "proxy/core/action_check.h"
#include "proxy/core/condition_check.h"
#include "proxy/core/rewrite.h"
#include "proxy/core/rule_index.h"

namespace remuda::proxy {

Fault CompileRules(const remuda::v1::Listener& config, const GroupLookup& groups,
                   ListenerSpec& out) {
  if (Fault f = CheckRange("rules", config.rules_size(), 0, kMaxRules)) return f;
  std::map<int32_t, Rule> by_priority;
  for (const auto& rule_config : config.rules()) {
    const std::string where = "rule " + std::to_string(rule_config.priority()) + ": ";
    if (Fault f = CheckRange("rules.priority", rule_config.priority(), 1, kMaxPriority)) return f;
    if (by_priority.count(rule_config.priority()) > 0) return where + "the priority is used twice";
    Rule rule{.priority = rule_config.priority(), .conditions = {}, .action = {}};
    if (Fault f = CheckRange("conditions", rule_config.conditions_size(), 1, kMaxConditions)) {
      return Prefix(where, f);
    }
    for (const auto& condition : rule_config.conditions()) {
      if (Fault f = CompileCondition(condition, rule.conditions.emplace_back()))
        return Prefix(where, f);
    }
    if (Fault f = CompileAction(rule_config.action(), config, groups, rule.action))
      return Prefix(where, f);
    if (Fault f = CompileRewrites(rule_config, rule.rewrites)) return Prefix(where, f);
    by_priority.emplace(rule.priority, std::move(rule));
  }
  for (auto& [priority, rule] : by_priority) out.rules.push_back(std::move(rule));
  Rule last;
  if (Fault f = CompileAction(config.default_action(), config, groups, last.action)) {
    return Prefix("default_", f);
  }
  out.rules.push_back(std::move(last));
  out.index = std::make_shared<const RuleIndex>(out.rules);
  return std::nullopt;
}

}  // namespace remuda::proxy
