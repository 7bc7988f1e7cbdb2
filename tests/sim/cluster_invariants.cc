// What must hold in the simulated cluster, at every commit, at every request, and at rest.
#include <absl/strings/str_cat.h>

#include <cstdlib>
#include <iostream>

#include "controller/core/deployment.h"
#include "controller/core/members.h"
#include "tests/sim/cluster.h"

namespace remuda::sim {

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

// No phase is left before every live proxy has in force what the phase did, or finds the new
// instances healthy.
void Cluster::CheckPhase(const std::string& id, const v1::Deployment& before,
                         const core::State& state) {
  const auto& now = **state_.Find<v1::Deployment>(id);
  const auto from = before.phase();
  const auto is = now.phase();
  // A phase may be passed through within one turn: then it counts as left, too.
  const bool shifts = from == v1::DEPLOYMENT_PHASE_LAUNCHING && core::ServesNewSide(is);
  const bool shifted =
      (from == v1::DEPLOYMENT_PHASE_LAUNCHING || from == v1::DEPLOYMENT_PHASE_SHIFTING) &&
      (is == v1::DEPLOYMENT_PHASE_BAKING || is == v1::DEPLOYMENT_PHASE_DRAINING ||
       is == v1::DEPLOYMENT_PHASE_SUCCEEDED);
  const bool back =
      (from == v1::DEPLOYMENT_PHASE_ROLLBACK_LAUNCHING ||
       from == v1::DEPLOYMENT_PHASE_ROLLBACK_SHIFTING) &&
      (is == v1::DEPLOYMENT_PHASE_ROLLBACK_DRAINING || is == v1::DEPLOYMENT_PHASE_ROLLED_BACK) &&
      !now.rollback_reason().starts_with("superseded");
  const std::string to = "blue/" + core::TextOf(now.to());
  const int desired = core::DesiredOf(**state_.Find<v1::AutoScalingGroup>("blue"));
  for (const auto& [name, part] : proxies_) {
    if (!IsLive(part)) continue;
    int healthy = 0;
    int healthy_before = 0;  // of those that had the traffic
    for (const auto& [target, health] : seen_.proxies[name].health) {
      if (health.state() != v1::TARGET_STATE_HEALTHY) continue;
      const auto* row = state_.Find<v1::Instance>(target.second);
      healthy += row != nullptr && core::IsSame((*row)->launch_template(), now.to());
      const auto* was = state.Find<v1::Instance>(target.second);
      healthy_before += was != nullptr && core::IsServing(**was);
    }
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

// No instance is stopped while a live proxy may send to it, or has requests in flight that still
// have time.
void Cluster::CheckStopping(const std::string& id, const v1::Instance& row) {
  stopping_since_[id] = scheduler_.now();
  const core::TargetId target{"tg", id};
  const auto delay = core::FromProto((*state_.Find<v1::TargetGroup>("tg"))->deregistration_delay());
  for (const auto& [name, part] : proxies_) {
    if (!IsLive(part)) continue;
    if (part.proxy->IsActive(target)) {
      Complain(absl::StrCat(id, " is stopped while ", name, " sends to it"));
    }
    const bool had_time = row.has_drain_confirmed_time() &&
                          scheduler_.now() >= core::FromProto(row.drain_confirmed_time()) + delay;
    if (part.proxy->InFlight(target) > 0 && !had_time) {
      Complain(absl::StrCat(id, " (", row.state_reason(), ") is stopped with ",
                            part.proxy->InFlight(target), " requests in flight at ", name));
    }
  }
}

// No deployment lowers what serves before the new instances have the traffic: those that are
// healthy neither lose their share nor are drained for it.
void Cluster::CheckServing(const core::Changes& changes, const core::State& before) {
  std::string id;
  const auto deployment = core::ActiveDeployment(core::Draft(state_), "blue", &id);
  const bool is_waiting =
      deployment != nullptr && (deployment->phase() == v1::DEPLOYMENT_PHASE_LAUNCHING ||
                                deployment->phase() == v1::DEPLOYMENT_PHASE_ROLLBACK_DRAINING);
  // The shift back takes the share from the new ones, and has been confirmed by then.
  const auto* was_row = is_waiting ? before.Find<v1::Deployment>(id) : nullptr;
  if (!is_waiting || (was_row != nullptr && (*was_row)->phase() != deployment->phase() &&
                      (*was_row)->phase() != v1::DEPLOYMENT_PHASE_LAUNCHING)) {
    return;
  }
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
      if (was != nullptr) CheckPhase(edit.key, **was, before);
    }
    if (edit.kind != core::Kind::kInstance) continue;
    const auto* after = state_.Find<v1::Instance>(edit.key);
    const auto* was = before.Find<v1::Instance>(edit.key);
    if (after == nullptr) continue;
    const auto state = (*after)->state();
    const auto state_before = was == nullptr ? v1::INSTANCE_STATE_UNSPECIFIED : (*was)->state();
    if (state == state_before) continue;
    // Straight from draining to gone is the end of its process, not ours, unless it never ran.
    if (state == v1::INSTANCE_STATE_STOPPING) CheckStopping(edit.key, **after);
    if (state_before == v1::INSTANCE_STATE_TERMINATED) Complain(edit.key + " rises from the dead");
  }
  CheckServing(changes, before);
  int active = 0;
  for (const auto& [id, row] : state_.All<v1::Deployment>()) {
    active += row->phase() != v1::DEPLOYMENT_PHASE_SUCCEEDED &&
              row->phase() != v1::DEPLOYMENT_PHASE_ROLLED_BACK;
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
  const auto since = stopping_since_.find(target.second);
  // A proxy that was away for longer than its lease may have missed it.
  if (since != stopping_since_.end() && part.session->open &&
      part.session->opened + absl::Seconds(5) < since->second) {
    Complain(absl::StrCat(part.proxy->name(), " sends to ", target.second, ", which was stopped"));
  }
  std::string id;
  const auto deployment = core::ActiveDeployment(core::Draft(state_), "blue", &id);
  if (deployment != nullptr && deployment->phase() == v1::DEPLOYMENT_PHASE_LAUNCHING &&
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
    return absl::StrCat(ActiveDeploymentId(), " is ", v1::DeploymentPhase_Name(row.phase()));
  }
  int in_service = 0;
  for (const auto& [id, row] : state_.All<v1::Instance>()) {
    if (row->state() == v1::INSTANCE_STATE_TERMINATED) continue;
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
  const auto& launch = **state_.Find<v1::LaunchTemplate>(
      core::LaunchTemplateKey(group.launch_template().name(), group.launch_template().version()));
  const int room = launch.port() == 0 ? group.max() : static_cast<int>(hosts_.size());
  const int desired = core::DesiredOf(group);
  if (in_service > desired || in_service < std::min(desired, room)) {
    return absl::StrCat(in_service, " in service, desired ", core::DesiredOf(group), "; ",
                        group.status().waiting());
  }
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
    if (targets.size() != static_cast<size_t>(in_service)) {
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
