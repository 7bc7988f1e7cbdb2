#include "proxy/core/forward.h"

#include <algorithm>
#include <numeric>

#include "proxy/core/mix.h"

namespace remuda::proxy {
namespace {

// Behind every priority of a rule.
constexpr int32_t kDefaultOrder = kMaxPriority + 1;

bool IsSameForward(const ForwardAction& a, const ForwardAction& b) {
  return std::equal(a.groups.begin(), a.groups.end(), b.groups.begin(), b.groups.end(),
                    [](const ForwardAction::Choice& x, const ForwardAction::Choice& y) {
                      return x.group == y.group && x.weight == y.weight;
                    });
}

void KeepTurns(const std::vector<Rule>& before, std::vector<Rule>& now) {
  // Both are by priority, but for the default, which is last and whose priority is 0.
  const auto order = [](const Rule& rule) {
    return rule.priority == 0 ? kDefaultOrder : rule.priority;
  };
  auto old = before.begin();
  for (Rule& rule : now) {
    while (old != before.end() && order(*old) < order(rule)) ++old;
    if (old == before.end() || order(*old) != order(rule)) continue;
    auto* action = std::get_if<ForwardAction>(&rule.action);
    const auto* old_action = std::get_if<ForwardAction>(&old->action);
    if (action != nullptr && old_action != nullptr && IsSameForward(*old_action, *action)) {
      action->taken = old_action->taken;
    }
  }
}

}  // namespace

void PlanTurns(ForwardAction& action) {
  action.turns.clear();
  action.taken = std::make_shared<std::atomic<uint64_t>>(0);
  int64_t divisor = 0;
  int64_t total = 0;
  for (const auto& choice : action.groups) {
    divisor = std::gcd(divisor, choice.weight);
    total += choice.weight;
  }
  if (total == 0) return;
  const int64_t cycle = total / divisor;
  std::vector<int64_t> currents(action.groups.size());
  for (int64_t turn = 0; turn < cycle; ++turn) {
    for (size_t i = 0; i < currents.size(); ++i) currents[i] += action.groups[i].weight / divisor;
    const auto best = std::max_element(currents.begin(), currents.end());
    *best -= cycle;
    action.turns.push_back(static_cast<uint8_t>(best - currents.begin()));
  }
}

void BeginTurns(uint64_t random, LoadBalancer& balancer) {
  for (ListenerSpec& listener : balancer.listeners) {
    for (Rule& rule : listener.rules) {
      if (const auto* action = std::get_if<ForwardAction>(&rule.action))
        action->taken->store(random = Mix(random), std::memory_order_relaxed);
    }
  }
}

GroupState* PickGroup(const ForwardAction& action) {
  if (action.turns.size() <= 1) {
    return action.turns.empty() ? nullptr : action.groups[action.turns.front()].group.get();
  }
  const uint64_t turn = action.taken->fetch_add(1, std::memory_order_relaxed);
  return action.groups[action.turns[turn % action.turns.size()]].group.get();
}

void KeepTurns(const LoadBalancer& before, LoadBalancer& now) {
  for (ListenerSpec& listener : now.listeners) {
    const size_t index = static_cast<size_t>(&listener - now.listeners.data());
    const auto old =
        listener.port == 0
            ? before.listeners.begin() +
                  static_cast<ptrdiff_t>(std::min(index, before.listeners.size()))
            : std::find_if(before.listeners.begin(), before.listeners.end(),
                           [&](const ListenerSpec& spec) {
                             return spec.port == listener.port && spec.address == listener.address;
                           });
    if (old != before.listeners.end()) KeepTurns(old->rules, listener.rules);
  }
}

}  // namespace remuda::proxy
