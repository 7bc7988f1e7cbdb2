#include "controller/core/deployment/deployment_obstacles.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controller/core/model/deployment_row.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/lifecycle_hooks.h"
#include "controller/core/model/words.h"
#include "controller/core/reconcile/health.h"
#include "controller/core/reconcile/limits.h"

namespace remuda::core {
namespace {

// Whether checks of live proxies tell that an instance of the group works.
bool HasChecks(const Pass& pass, const v1::AutoScalingGroup& group) {
  const auto& ids = group.target_groups();
  return std::any_of(ids.begin(), ids.end(), [&](const std::string& target_group) {
    return !pass.gates.Serving(target_group).empty();
  });
}

// Why an instance that is in service has not shown yet that it stays there; empty if it has. Where
// no check tells that it works, only its living does.
std::string NotProven(Pass& pass, const DeploymentFacts& facts, const Member& member) {
  if (HasChecks(pass, facts.group)) return "";
  const Duration time = std::min(kStableAfter, FromProto(facts.row.health_deadline()) / 2);
  const Time until = FromProto(member.second->in_service_time()) + time;
  pass.DueAt(until);
  if (pass.now >= until) return "";
  return absl::StrCat("instance ", member.first, " has no health check and must live for ",
                      DurationText(time));
}

}  // namespace

int ReadyOf(Pass& pass, const DeploymentFacts& facts, const Side& side, std::string* why) {
  int ready = 0;
  for (const Member& member : side.members) {
    const auto& [id, row] = member;
    if (row->state() != v1::INSTANCE_STATE_IN_SERVICE || row->unhealthy()) continue;
    // Where no shares are moved, what is kept from traffic takes nobody's place yet.
    if (!MovesShares(facts.row) && !IsBackToServing(facts.row) && IsWithheld(*row)) continue;
    std::string reason = NotHealthyAt(pass.gates, id, facts.group);
    if (reason.empty()) reason = NotProven(pass, facts, member);
    if (reason.empty()) {
      reason = pass.gates.Unconfirmed(pass.draft.CommitOf<v1::Instance>(id));
      if (!reason.empty()) reason = absl::StrCat("instance ", id, ": ", reason);
    }
    if (reason.empty()) {
      ++ready;
    } else if (why->empty()) {
      *why = std::move(reason);
    }
  }
  return ready;
}

std::string NotReady(Pass& pass, const DeploymentFacts& facts, const Side& side, int enough) {
  std::string why;
  const int ready = ReadyOf(pass, facts, side, &why);
  if (ready >= enough) return "";
  std::string out = absl::StrCat(ready, " of ", Counted(enough, "instance"), " of ",
                                 TextOf(side.launch), " ", IsOrAre(enough), " ready");
  const bool is_unexplained = why.empty();  // by those in service
  if (is_unexplained) why = UnhealthyText(pass.gates, side.members, facts.group);
  if (!why.empty()) absl::StrAppend(&out, "; ", why);
  if (is_unexplained && !facts.group.status().waiting().empty()) {
    absl::StrAppend(&out, "; ", facts.group.status().waiting());
  }
  return out;
}

std::string RowUnconfirmed(const Pass& pass, const DeploymentFacts& facts) {
  // Silence proves nothing.
  if (std::string who = pass.gates.Silenced(facts.group.target_groups()); !who.empty()) return who;
  if (std::string refusal = pass.gates.Refusal(); !refusal.empty()) return refusal;
  return pass.gates.Unconfirmed(pass.draft.CommitOf<v1::Deployment>(facts.id));
}

int EnoughToShiftBack(const Pass& pass, const DeploymentFacts& facts) {
  return std::min(facts.old_side.desired, std::max(1, HealthyOf(pass, facts, facts.new_side)));
}

std::string NotHalfUp(const Pass& pass, const DeploymentFacts& facts) {
  const int healthy = HealthyOf(pass, facts, facts.new_side);
  if (facts.row.promoted() || 2 * healthy >= facts.new_side.desired) return "";
  return absl::StrCat(healthy, " of ", Counted(facts.new_side.desired, "instance"), " of ",
                      TextOf(facts.row.to()), " ", IsOrAre(facts.new_side.desired), " up");
}

std::string NotGone(Pass& pass, const DeploymentFacts& facts, const Side& side) {
  if (side.members.empty()) return "";
  const auto count = static_cast<int64_t>(side.members.size());
  if (std::string who = pass.gates.Silenced(facts.group.target_groups()); !who.empty()) return who;
  if (!side.is_new && IsLettingDown(pass, facts)) {
    return absl::StrCat(OnlyHealthy(pass, facts), ": ", Counted(count, "old instance"), " ",
                        count == 1 ? "drains" : "drain", " and ", IsOrAre(count),
                        " not ended meanwhile");
  }
  const std::string held = HeldText(side.members);
  return absl::StrCat(Counted(count, side.is_new ? "new instance" : "old instance"),
                      " to drain and end", held.empty() ? "" : "; ", held,
                      pass.gates.LeftOut().empty() ? "" : "; may still be sent to by ",
                      pass.gates.LeftOut());
}

int EnoughToShift(Pass& pass, const DeploymentFacts& facts) {
  const int desired = facts.new_side.desired;
  const Condition serving = ServingCondition(pass, facts);
  if (serving.healthy > 0 && !serving.IsFailing(desired)) return desired;
  return std::min(desired, serving.healthy + 1);
}

std::string NotReadyForReturn(Pass& pass, const DeploymentFacts& facts) {
  // While the new side fails its users, a part of the old one is better than none.
  if (const Condition serving = NewCondition(pass, facts);
      serving.IsFailing(facts.new_side.desired) &&
      HealthyOf(pass, facts, facts.old_side) > serving.healthy) {
    return "";
  }
  return NotReady(pass, facts, facts.old_side, EnoughToShiftBack(pass, facts));
}

bool IsAllSaid(const Pass& pass, const DeploymentFacts& facts) {
  const auto& ids = facts.group.target_groups();
  return RowUnconfirmed(pass, facts).empty() &&
         std::all_of(ids.begin(), ids.end(), [&](const std::string& target_group) {
           const auto& serving = pass.gates.Serving(target_group);
           return std::all_of(serving.begin(), serving.end(), [](const LiveProxy* proxy) {
             return proxy->seen != nullptr && proxy->seen->reported;
           });
         });
}

}  // namespace remuda::core
