// What must hold in the simulated cluster, at every commit, at every request, and at rest.
#include <absl/strings/str_cat.h>

#include <cstdlib>
#include <iostream>

#include "controller/core/deployment/deployment.h"
#include "controller/core/deployment/deployment_obstacles.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/warm_pool_size.h"
#include "controller/core/reconcile/sides.h"
#include "tests/sim/cluster.h"

namespace remuda::sim {
namespace {

// Whether the new instances have the traffic, or had it when it ended.
bool ServesNewSide(core::Stage stage) {
  return stage == core::Stage::kShifting || stage == core::Stage::kBaking ||
         stage == core::Stage::kDraining || stage == core::Stage::kBackLaunching;
}
bool ServesNew(core::Stage stage) {
  return ServesNewSide(stage) || stage == core::Stage::kSucceeded || stage == core::Stage::kFailed;
}

}  // namespace

void Cluster::Complain(const std::string& what) {
  complaints_.push_back(absl::StrCat(
      "seed ", seed_, " at ",
      absl::FormatDuration(scheduler_.now() - absl::FromUnixSeconds(1'000'000)), ": ", what));
}

// What was committed, when a person looks into a seed (REMUDA_SIM_TRACE=1).
void Cluster::Trace(const core::Edit& edit) const {
  static const bool on = std::getenv("REMUDA_SIM_TRACE") != nullptr;
  if (!on || edit.kind == core::Kind::kCounter || edit.value == nullptr) return;
  std::cerr << absl::StrCat(
      absl::FormatDuration(scheduler_.now() - absl::FromUnixSeconds(1'000'000)), " commit ",
      state_.commit(), ": ", edit.value->ShortDebugString(), "\n");
}

bool Cluster::IsLive(const ProxyPart& part) const {
  // One that has never joined has no config either.
  if (state_.Find<v1::Proxy>(part.proxy->name()) == nullptr) return false;
  const absl::Time contact = std::max(part.session->last_contact, seen_.start);
  return part.session->open || scheduler_.now() < contact + seen_.patience.proxy_lease;
}

// Whether most of the proxies that joined are silent. They are never away for longer than what
// counts as together.
bool Cluster::IsSilenced() const {
  size_t joined = 0;
  size_t live = 0;
  for (const auto& [name, part] : proxies_) {
    joined += state_.Find<v1::Proxy>(name) != nullptr;
    live += IsLive(part);
  }
  return 2 * live < joined;
}

// No stage is left before every live proxy has in force what the stage did, or finds the new
// instances healthy.
void Cluster::CheckPhase(const std::string& id, const v1::Deployment& before,
                         const core::State& state) {
  const auto& now = **state_.Find<v1::Deployment>(id);
  const auto from = core::StageOf(before);
  const auto is = core::StageOf(now);
  // A stage may be passed through within one turn: then it counts as left, too.
  const bool shifts = from == core::Stage::kLaunching && ServesNewSide(is);
  const bool shifted =
      (from == core::Stage::kLaunching || from == core::Stage::kShifting) &&
      (is == core::Stage::kBaking || is == core::Stage::kDraining || is == core::Stage::kSucceeded);
  const bool back = (from == core::Stage::kBackLaunching || from == core::Stage::kBackShifting) &&
                    (is == core::Stage::kBackDraining || is == core::Stage::kRolledBack) &&
                    !now.rollback_reason().starts_with("superseded");
  if ((shifts || shifted || back) && IsSilenced()) {
    Complain(absl::StrCat(id, " goes on though most of the proxies are silent"));
  }
  const std::string to = "blue/" + core::TextOf(now.to());
  const int desired = core::DesiredOf(**state_.Find<v1::AutoScalingGroup>("blue"));
  for (const auto& [name, part] : proxies_) {
    if (!IsLive(part)) continue;
    int healthy = 0;
    int healthy_before = 0;  // of those that had the traffic
    seen_.proxies[name].health.ForEach([&](const auto& target, const auto& health) {
      if (health.state() != v1::TARGET_STATE_HEALTHY) return;
      const auto* row = state_.Find<v1::Instance>(target.second);
      healthy += row != nullptr && core::IsSame((*row)->launch_template(), now.to());
      const auto* was = state.Find<v1::Instance>(target.second);
      healthy_before += was != nullptr && core::IsServing(**was);
    });
    if (shifts && healthy < desired && healthy < healthy_before) {
      Complain(absl::StrCat(id, " shifts though ", name, " finds only ", healthy,
                            " healthy, and found ", healthy_before, " before"));
    }
    const auto view = part.proxy->config().find("tg");
    if (view == part.proxy->config().end() || !view->second.split.has_value()) continue;
    for (const auto& subset : view->second.split->subsets()) {
      const bool is_new = subset.subset() == to;
      if (subset.weight() > 0 && ((shifted && !is_new) || (back && is_new))) {
        Complain(absl::StrCat(id, " goes on though ", name, " still sends to ", subset.subset()));
      }
    }
  }
}

// No old instance is ended while nothing of the new version is up: it is the way back.
void Cluster::CheckOldEnds(const std::string& id, const v1::Instance& row) {
  const auto* deployment = state_.Find<v1::Deployment>(row.withheld_by());
  if (deployment == nullptr || core::StageOf(**deployment) != core::Stage::kDraining ||
      row.unhealthy() || row.terminate_requested()) {
    return;
  }
  if (core::DesiredOf(**state_.Find<v1::AutoScalingGroup>("blue")) == 0) return;
  for (const auto& [key, other] : state_.All<v1::Instance>()) {
    if (core::IsServing(*other) && core::IsSame(other->launch_template(), (*deployment)->to())) {
      return;
    }
  }
  Complain(absl::StrCat((*deployment)->name(), " ends ", id, " though nothing of ",
                        core::TextOf((*deployment)->to()), " is up"));
}

// A rollback is given up when its time is over, and not before; why is said.
void Cluster::CheckGivenUp(const std::string& id, const v1::Deployment& before) {
  const auto& now = **state_.Find<v1::Deployment>(id);
  const absl::Time due =
      core::FromProto(before.step_time()) + core::FromProto(before.health_deadline());
  const core::Stage from = core::StageOf(before);
  const bool brings_back = from == core::Stage::kBackLaunching ||
                           from == core::Stage::kBackReplacing ||
                           from == core::Stage::kBackUpdating;
  if (core::StageOf(now) == core::Stage::kFailed &&
      (!brings_back || scheduler_.now() < due ||
       now.rollback_reason().find("the rollback failed: ") == std::string::npos)) {
    Complain(absl::StrCat(id, " gives its rollback up: ", now.rollback_reason()));
  }
}

// No way back is waited for beyond its time, but for what the proxies have yet to say.
void Cluster::CheckOverdue() {
  const std::string id = ActiveDeploymentId();
  if (id.empty()) return;
  const auto& row = **state_.Find<v1::Deployment>(id);
  // What hooks hold has its time.
  if (life_ == Life::kLifecycle) return;
  if (core::StageOf(row) == core::Stage::kBackLaunching && !row.paused() &&
      scheduler_.now() >=
          core::FromProto(row.step_time()) + core::FromProto(row.health_deadline())) {
    core::Draft draft(state_);
    const core::Pass pass(draft, seen_, scheduler_.now());
    if (!core::IsAllSaid(pass, *core::Look(pass, row, id))) return;
    Complain(id + " is still to be rolled back though its time is over");
  }
}

// Replacements stop only when most of the hosts were lost together: those that were gone before do
// not count.
void Cluster::CheckMassLoss() {
  const auto& group = **state_.Find<v1::AutoScalingGroup>("blue");
  if (group.status().waiting().find("more than half of the hosts") == std::string::npos) return;
  size_t lost = 0;
  for (const auto& [name, part] : hosts_) lost += !seen_.hosts[name].connected;
  if (2 * lost <= hosts_.size()) {
    Complain(absl::StrCat("nothing is replaced though only ", lost, " of ", hosts_.size(),
                          " hosts are away"));
  }
}

// No instance is stopped, or changed in place, while a live proxy may send to it, or has requests
// in flight that still have time.
void Cluster::CheckUnused(const std::string& id, const v1::Instance& row, const std::string& what) {
  if (row.has_start_time() && !row.unhealthy() && IsSilenced()) {
    Complain(absl::StrCat(id, " (", row.state_reason(), ") is ", what,
                          " though most of the proxies are silent"));
  }
  const core::TargetId target{"tg", id};
  const auto delay = core::FromProto((*state_.Find<v1::TargetGroup>("tg"))->deregistration_delay());
  for (const auto& [name, part] : proxies_) {
    if (!IsLive(part)) continue;
    if (part.proxy->IsActive(target)) {
      Complain(absl::StrCat(id, " is ", what, " while ", name, " sends to it"));
    }
    // What does not run yet has requests only from before it was changed, which had their time.
    const bool had_time = !row.has_start_time() ||
                          (row.has_drain_confirmed_time() &&
                           scheduler_.now() >= core::FromProto(row.drain_confirmed_time()) + delay);
    if (part.proxy->InFlight(target) > 0 && !had_time) {
      Complain(absl::StrCat(id, " (", row.state_reason(), ") is ", what, " with ",
                            part.proxy->InFlight(target), " requests in flight at ", name));
    }
  }
}

// No deployment lowers what serves but by moving the traffic to what is healthy: those that have it
// neither lose their share nor are drained for it, in whatever stage.
void Cluster::CheckServing(const core::Changes& changes, const core::State& before) {
  std::string id;
  for (const auto& [key, row] : state_.All<v1::Deployment>()) {
    const auto* was = before.Find<v1::Deployment>(key);
    if (was != nullptr && core::HasEnded(core::StageOf(**was))) continue;
    const bool served_new = was != nullptr && ServesNew(core::StageOf(**was));
    if (served_new == ServesNew(core::StageOf(*row))) id = key;
  }
  if (id.empty()) return;
  const auto& group = **state_.Find<v1::AutoScalingGroup>("blue");
  int serving = 0;
  for (const auto& [key, row] : state_.All<v1::Instance>()) serving += core::IsServing(*row);
  for (const core::Edit& edit : changes.edits) {
    if (edit.kind != core::Kind::kInstance || edit.value == nullptr) continue;
    const auto* was = before.Find<v1::Instance>(edit.key);
    const auto& is = **state_.Find<v1::Instance>(edit.key);
    if (was == nullptr || !core::IsServing(**was) || core::IsServing(is)) continue;
    const bool for_deployment =
        core::IsWithheld(is) || is.state_reason().starts_with("deployment ");
    if (for_deployment && serving < core::DesiredOf(group)) {
      Complain(absl::StrCat(id, " takes ", edit.key, " out of service (", is.state_reason(),
                            ") though only ", serving, " serve"));
    }
  }
}

void Cluster::CheckState(const core::Changes& changes, const core::State& before) {
  for (const core::Edit& edit : changes.edits) {
    Trace(edit);
    if (edit.kind == core::Kind::kDeployment && edit.value != nullptr) {
      const auto* was = before.Find<v1::Deployment>(edit.key);
      if (was != nullptr && !HasStrategies()) CheckPhase(edit.key, **was, before);
      if (was != nullptr) CheckGivenUp(edit.key, **was);
    }
    if (edit.kind != core::Kind::kInstance) continue;
    const auto* after = state_.Find<v1::Instance>(edit.key);
    const auto* was = before.Find<v1::Instance>(edit.key);
    if (after == nullptr) continue;
    const auto state = (*after)->state();
    const auto state_before = was == nullptr ? v1::INSTANCE_STATE_UNSPECIFIED : (*was)->state();
    if (was != nullptr && (*after)->generation() != (*was)->generation()) {
      CheckUnused(edit.key, **was, "changed");
    }
    if (state == state_before) continue;
    // Straight from draining to gone is the end of its process, not ours, unless it never ran.
    if (state == v1::INSTANCE_STATE_STOPPING) {
      stopping_since_[edit.key] = scheduler_.now();
      CheckUnused(edit.key, **after, "stopped");
      CheckOldEnds(edit.key, **after);
    }
    if (state == v1::INSTANCE_STATE_STANDBY && state_before == v1::INSTANCE_STATE_DRAINING &&
        !IsSilenced()) {  // it runs on: whoever still sends to it is answered
      CheckUnused(edit.key, **was, "set aside");
    }
    if (state_before == v1::INSTANCE_STATE_TERMINATED) Complain(edit.key + " rises from the dead");
  }
  if (HasStrategies()) {
    CheckPromises(changes, before);
  } else {
    CheckServing(changes, before);
  }
  int active = 0;
  for (const auto& [id, row] : state_.All<v1::Deployment>()) {
    active += !core::HasEnded(core::StageOf(*row));
  }
  if (active > 1) Complain("two deployments of one group");
}

// max, and a surge only for moves, and beside it only for a deployment's other side.
void Cluster::CheckCounts() {
  const auto& group = **state_.Find<v1::AutoScalingGroup>("blue");
  const core::Draft draft(state_);
  const auto deployment = core::ActiveDeployment(draft, "blue", nullptr);
  const auto* host = state_.Find<v1::Host>("h1");
  const bool moving = host != nullptr && (*host)->schedule() == v1::HOST_SCHEDULE_DRAINING;
  for (const core::Side& side : core::SidesOf(draft, "blue", group, deployment.get())) {
    int up = 0;
    bool balancing = false;
    for (const auto& [id, row] : side.members) {
      up += core::IsUp(row->state());
      balancing = balancing || !row->replaces().empty();
    }
    if (up > group.max() + (moving || balancing ? 1 : 0)) {
      Complain(absl::StrCat(up, " instances of ", core::TextOf(side.launch), " are up, max ",
                            group.max()));
    }
  }
}

void Cluster::CheckPick(ProxyPart& part, const core::TargetId& target) {
  // From its first success on, nothing may fail where nothing dies.
  const auto health = part.proxy->health().find(target);
  part.has_picked = part.has_picked || (health != part.proxy->health().end() &&
                                        health->second == v1::TARGET_STATE_HEALTHY);
  const auto* entry = state_.Find<v1::Instance>(target.second);
  if (entry == nullptr) return;
  const v1::Instance& row = **entry;
  if (row.state() == v1::INSTANCE_STATE_PENDING_WAIT || row.state() == v1::INSTANCE_STATE_WARM) {
    Complain(absl::StrCat(part.proxy->name(), " sends to ", target.second, ", which is ",
                          v1::InstanceState_Name(row.state())));
  }
  const auto since = stopping_since_.find(target.second);
  // A proxy that was away for longer than its lease may have missed it.
  if (since != stopping_since_.end() && part.session->open &&
      part.session->opened + absl::Seconds(5) < since->second) {
    Complain(absl::StrCat(part.proxy->name(), " sends to ", target.second, ", which was stopped"));
  }
  std::string id;
  const auto deployment = core::ActiveDeployment(core::Draft(state_), "blue", &id);
  if (deployment != nullptr && core::StageOf(*deployment) == core::Stage::kLaunching &&
      core::KeepsNewSide(*deployment) && !core::IsBackToServing(*deployment) &&
      core::IsSame(row.launch_template(), deployment->to()) &&
      core::FromProto(row.create_time()) >= core::FromProto(deployment->create_time())) {
    Complain(absl::StrCat(part.proxy->name(), " sends to ", target.second, " of ",
                          core::TextOf(deployment->to()), ", which ", id, " only launches"));
  }
}

std::string Cluster::CheckRest() const {
  if (!running_) return "the controller is down";
  const auto& group = **state_.Find<v1::AutoScalingGroup>("blue");
  if (!ActiveDeploymentId().empty()) {
    const auto& row = **state_.Find<v1::Deployment>(ActiveDeploymentId());
    return absl::StrCat(ActiveDeploymentId(), " is ", core::StageText(core::StageOf(row)));
  }
  int in_service = 0;
  int gone = 0;  // with hosts that do not come back
  size_t warm = 0;
  for (const auto& [id, row] : state_.All<v1::Instance>()) {
    if (row->state() == v1::INSTANCE_STATE_TERMINATED) continue;
    if (row->in_warm_pool() && row->state() == v1::INSTANCE_STATE_WARM) {
      ++warm;
      continue;
    }
    if (row->state() == v1::INSTANCE_STATE_UNKNOWN && hosts_.count(row->host()) == 0) {
      ++gone;
      continue;
    }
    if (row->state() != v1::INSTANCE_STATE_IN_SERVICE) {
      return absl::StrCat(id, " is ", v1::InstanceState_Name(row->state()), " (",
                          row->state_reason(), "); ", group.status().waiting());
    }
    if (core::IsWithheld(*row)) return absl::StrCat(id, " is kept from traffic");
    const Process* process = FindProcess(id);
    if (process == nullptr || !process->PassesCheck()) return absl::StrCat(id, " is not healthy");
    ++in_service;
  }
  // There may be fewer hosts with a free port than are desired.
  const auto& launch = **state_.Find<v1::LaunchTemplateVersion>(core::LaunchTemplateKey(
      group.launch_template().launch_template(), group.launch_template().resolved_version()));
  const int room = launch.port() == 0 ? group.max() : static_cast<int>(hosts_.size());
  const int desired = core::DesiredOf(group);
  if (in_service > desired || in_service < std::min(desired, room)) {
    return absl::StrCat(in_service, " in service, desired ", core::DesiredOf(group), "; ",
                        group.status().waiting());
  }
  // What has no room is not kept ready either.
  if (warm > core::PoolSizeOf(group) || (launch.port() == 0 && warm < core::PoolSizeOf(group))) {
    return absl::StrCat(warm, " warm, wanted ", core::PoolSizeOf(group), "; ",
                        group.status().waiting());
  }
  if (gone > 0 && in_service == desired) return "what is gone is replaced, and not forgotten";
  for (const auto& [name, part] : hosts_) {
    for (const auto& [id, process] : part.host->processes()) {
      const auto* row = state_.Find<v1::Instance>(id);
      if (process.Alive() && (row == nullptr || (*row)->state() == v1::INSTANCE_STATE_TERMINATED)) {
        return absl::StrCat(id, " runs on ", name, " though it is gone");
      }
    }
  }
  for (const auto& [name, part] : proxies_) {
    if (part.proxy->config().count("tg") == 0) return absl::StrCat(name, " has no config");
    const auto& targets = part.proxy->config().at("tg").targets;
    if (targets.size() != static_cast<size_t>(in_service + gone)) {
      return absl::StrCat(name, " has ", targets.size(), " targets");
    }
  }
  for (const auto& [id, row] : state_.All<v1::Activity>()) {
    if (row->status() == v1::ACTIVITY_STATUS_IN_PROGRESS) {
      return absl::StrCat("activity left open: ", row->description());
    }
  }
  return "";
}

bool Cluster::IsAtRest() const { return CheckRest().empty(); }

}  // namespace remuda::sim
