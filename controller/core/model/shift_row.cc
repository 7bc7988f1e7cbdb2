#include "controller/core/model/shift_row.h"

#include <algorithm>

namespace remuda::core {
namespace {

// Of a listener's default action, or of one of its rules.
template <class Balancer, class Found>
void ForAction(Balancer& balancer, const std::string& name, const Found& found) {
  for (int i = 0; i < balancer.listeners_size(); ++i) {
    const v1::Listener& listener = balancer.listeners(i);
    if (listener.name() == name) return found(i, -1);
    for (int k = 0; k < listener.rules_size(); ++k) {
      if (listener.rules(k).name() == name) return found(i, k);
    }
  }
}

bool IsAdded(const v1::TrafficShift& shift, const std::string& name) {
  const auto& added = shift.preview_resources();
  return std::find(added.begin(), added.end(), name) != added.end();
}

}  // namespace

const std::string& ActionName(const v1::TrafficShift& shift) {
  return shift.action_case() == v1::TrafficShift::kRule ? shift.rule() : shift.listener();
}

std::string BalancerOf(const v1::TrafficShift& shift) {
  const std::string& name = ActionName(shift);
  const size_t begin = name.find('/');
  if (begin == std::string::npos) return "";
  return name.substr(begin + 1, name.find('/', begin + 1) - begin - 1);
}

const v1::ForwardAction* ForwardOf(const v1::LoadBalancer& balancer,
                                   const v1::TrafficShift& shift) {
  const v1::Action* action = nullptr;
  ForAction(balancer, ActionName(shift), [&](int listener, int rule) {
    const v1::Listener& found = balancer.listeners(listener);
    action = rule < 0 ? &found.default_action() : &found.rules(rule).action();
  });
  return action == nullptr || !action->has_forward() ? nullptr : &action->forward();
}

v1::ForwardAction* ForwardOf(v1::LoadBalancer& balancer, const v1::TrafficShift& shift) {
  v1::Action* action = nullptr;
  ForAction(balancer, ActionName(shift), [&](int listener, int rule) {
    v1::Listener& found = *balancer.mutable_listeners(listener);
    action =
        rule < 0 ? found.mutable_default_action() : found.mutable_rules(rule)->mutable_action();
  });
  return action == nullptr || !action->has_forward() ? nullptr : action->mutable_forward();
}

int WeightIn(const v1::ForwardAction& action, std::string_view target_group) {
  for (const v1::WeightedTargetGroup& group : action.target_groups()) {
    if (group.target_group() == target_group) return group.has_weight() ? group.weight() : 1;
  }
  return 0;
}

void SetWeightIn(v1::ForwardAction& action, const std::string& target_group, int weight) {
  for (v1::WeightedTargetGroup& group : *action.mutable_target_groups()) {
    if (group.target_group() == target_group) return group.set_weight(weight);
  }
  v1::WeightedTargetGroup& added = *action.add_target_groups();
  added.set_target_group(target_group);
  added.set_weight(weight);
}

void RemovePreviews(v1::LoadBalancer& balancer, const v1::TrafficShift& shift) {
  const auto is_added = [&](const auto& part) { return IsAdded(shift, part.name()); };
  auto& listeners = *balancer.mutable_listeners();
  listeners.erase(std::remove_if(listeners.begin(), listeners.end(), is_added), listeners.end());
  for (v1::Listener& listener : listeners) {
    auto& rules = *listener.mutable_rules();
    rules.erase(std::remove_if(rules.begin(), rules.end(), is_added), rules.end());
  }
}

std::vector<std::string> ShiftsOf(const Draft& draft, std::string_view balancer) {
  const std::string prefix = std::string(balancer) + "-";
  std::vector<std::string> ids;
  draft.ForEachFrom<v1::Deployment>(prefix, [&](const std::string& key, const v1::Deployment& row) {
    if (!key.starts_with(prefix)) return false;
    if (row.has_shift() && BalancerOf(row.shift()) == balancer) ids.push_back(key);
    return true;
  });
  return ids;
}

}  // namespace remuda::core
