#include "proxy/target/outliers.h"

#include <algorithm>

#include "proxy/core/slow_start.h"

namespace remuda::proxy {

Outliers::Outliers(EventLoop& loop,
                   std::function<void(const std::shared_ptr<TargetState>&)> on_change)
    : loop_(loop),
      on_change_(std::move(on_change)),
      table_(std::make_shared<const RoutingTable>()),
      return_timer_([this] { ReturnDue(); }),
      look_timer_([this] { Look(); }) {}

void Outliers::Take(std::shared_ptr<const RoutingTable> table) {
  for (const auto& group : table->changed_groups) {
    const auto before = table_->groups.find(group->id);
    const bool was_on =
        before != table_->groups.end() && before->second->policy.mitigates_anomalies;
    if (was_on && !group->policy.mitigates_anomalies) anomalies_.GiveBack(*group);
  }
  table_ = std::move(table);
  const bool is_on = std::any_of(table_->groups.begin(), table_->groups.end(), [](const auto& g) {
    return g.second->policy.mitigates_anomalies;
  });
  if (is_on && !look_timer_.is_armed()) look_timer_.Arm(loop_, loop_.now() + kLookInterval);
}

const TargetGroup* Outliers::GroupOf(const TargetState& target) const {
  const auto it = table_->groups.find(target.group().id());
  return it == table_->groups.end() || it->second->state.get() != &target.group()
             ? nullptr
             : it->second.get();
}

void Outliers::OnFailing(const std::shared_ptr<TargetState>& target) {
  const TargetGroup* const group = GroupOf(*target);
  if (group == nullptr || !ejections_.Eject(*group, target, loop_.now())) return;
  target->group().Changed();
  return_timer_.Arm(loop_, ejections_.next_return());
  on_change_(target);
}

void Outliers::Recall(const std::shared_ptr<TargetState>& target, SteadyTime until,
                      std::chrono::milliseconds time) {
  ejections_.Recall(target, until, time);
  return_timer_.Arm(loop_, ejections_.next_return());
}

void Outliers::ReturnDue() {
  for (const auto& target : ejections_.Return(loop_.now())) {
    // It comes back as one that was unhealthy does.
    const TargetGroup* const group = GroupOf(*target);
    const bool warms_up = group != nullptr && WarmsUp(*group, loop_.now());
    target->SetWarmBegin(warms_up ? loop_.now() : SteadyTime());
    target->group().Changed();
    on_change_(target);
  }
  if (ejections_.next_return() != SteadyTime::max())
    return_timer_.Arm(loop_, ejections_.next_return());
}

void Outliers::Look() {
  bool is_on = false;
  for (const auto& [id, group] : table_->groups) {
    if (!group->policy.mitigates_anomalies) continue;
    is_on = true;
    anomalies_.Look(*group);
  }
  if (is_on) look_timer_.Arm(loop_, loop_.now() + kLookInterval);
}

void Outliers::Forget(TargetState* target) {
  ejections_.Forget(target);
  anomalies_.Forget(target);
}

}  // namespace remuda::proxy
