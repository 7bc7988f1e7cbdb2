#include "controller/core/deployment/group_subject.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <set>

#include "controller/core/deployment/deployment_obstacles.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/words.h"
#include "controller/core/reconcile/health.h"
#include "controller/core/reconcile/launch_failures.h"
#include "controller/core/reconcile/limits.h"
#include "controller/core/reconcile/victims.h"

namespace remuda::core {
namespace {

bool IsAlive(const Member& member) {
  return IsUp(member.second->state()) || member.second->state() == v1::INSTANCE_STATE_UNKNOWN;
}

// The newest replace or update step that has begun; null if the plan has none.
const v1::DeploymentStep* NumberStep(const v1::Deployment& row) {
  for (int i = std::min(row.current_step(), row.steps_size()) - 1; i >= 0; --i) {
    if (row.steps(i).has_replace() || row.steps(i).has_update()) return &row.steps(i);
  }
  return nullptr;
}

// Gives the traffic to one side, keeps it from the other, or gives both a part.
void SetWithheld(Pass& pass, const Side& side, const std::string& by) {
  for (const auto& [id, row] : side.members) {
    // What drains already gets none: it needs no word, and would have to be confirmed again.
    if (IsLeavingState(row->state()) || row->withheld_by() == by) continue;
    v1::Instance after = *row;
    after.set_withheld_by(by);
    pass.Put(id, std::move(after));
  }
}

// Instances that were to take the place of others in other zones are like all: which of them go,
// the step decides.
void CallMovesOff(Pass& pass, const Side& side) {
  for (const auto& [id, row] : side.members) {
    if (row->replaces().empty() || IsLeavingState(row->state())) continue;
    v1::Instance after = *pass.draft.Find<v1::Instance>(id);
    after.clear_replaces();
    pass.Put(id, std::move(after));
  }
}

void TakeBackOne(Pass& pass, const Member& member, std::string_view why) {
  const auto& [id, row] = member;
  pass.Close(row->activity(), v1::ACTIVITY_STATUS_CANCELLED);
  v1::Instance after = *row;
  after.clear_activity();
  after.clear_drain_confirmed_time();
  after.clear_update_to();
  after.clear_lifecycle_actions();
  pass.draft.Put(id, std::move(after));
  pass.Move(id, v1::INSTANCE_STATE_PENDING, why);
}

// Takes it out, to be changed once nothing is sent to it any more.
void TakeOut(Pass& pass, const DeploymentFacts& facts, const std::string& id,
             const v1::LaunchTemplateRef& to) {
  v1::Instance after = *pass.draft.Find<v1::Instance>(id);
  *after.mutable_update_to() = Numbered(to);
  pass.Close(after.activity(), v1::ACTIVITY_STATUS_CANCELLED);
  const std::string cause =
      absl::StrCat("deployment ", facts.id, " changes it from ", TextOf(after.launch_template()),
                   " to ", TextOf(to), " in place");
  after.set_activity(pass.Note(
      {.group = facts.group_id,
       .instance = id,
       .deployment = facts.id,
       .description = absl::StrCat("Taking instance ", id, " on host ", after.host(), " out"),
       .cause = cause,
       .status = v1::ACTIVITY_STATUS_IN_PROGRESS}));
  pass.draft.Put(id, std::move(after));
  pass.Move(id, v1::INSTANCE_STATE_DRAINING, cause);
}

}  // namespace

bool CanBeTakenBack(const Pass& pass, const Member& member) {
  const auto& [id, row] = member;
  const bool can = row->state() == v1::INSTANCE_STATE_DRAINING ||
                   row->state() == v1::INSTANCE_STATE_TERMINATING_WAIT;
  return can && !row->unhealthy() && IsWithheld(*row) && !row->terminate_requested() &&
         ProcessOf(pass.seen, id, *row).process == Process::kRunning;
}

GroupSubject::GroupSubject(Pass& pass, DeploymentFacts facts)
    : Subject(pass, facts.id, facts.row), facts_(std::move(facts)) {}

std::string GroupSubject::OldText() const { return TextOf(row().from()); }
std::string GroupSubject::NewText() const { return TextOf(row().to()); }

std::string GroupSubject::WhatText() const {
  if (IsBackToServing(row())) return absl::StrCat("Going back to ", NewText());
  return absl::StrCat("Deploying ", NewText(), " in place of ", OldText());
}

Edits::Story GroupSubject::Story() const {
  return {.group = facts_.group_id, .deployment = id(), .description = "", .cause = ""};
}

std::string GroupSubject::Orphaned() const {
  return facts_.group.deleting() ? "the group is being deleted" : "";
}

std::string GroupSubject::Unconfirmed() const { return RowUnconfirmed(pass(), facts_); }

std::string GroupSubject::NotLaunched(std::string* cause) const {
  const int enough = EnoughToShift(pass(), facts_);
  const int desired = facts_.new_side.desired;
  if (IsBackToServing(row())) {
    *cause = absl::StrCat("it served already, and every live proxy finds ",
                          Counted(enough, "instance"), " healthy");
  } else if (enough == desired) {
    *cause =
        absl::StrCat("every live proxy finds all of ", Counted(enough, "new instance"), " healthy");
  } else {
    *cause =
        absl::StrCat("what served is failing, and ", enough, " of ",
                     Counted(desired, "new instance"), " ", enough == 1 ? "is" : "are", " more");
  }
  if (std::string why = NotReady(pass(), facts_, facts_.new_side, enough); !why.empty()) return why;
  // Where the old side keeps a part, it has to bear that alone from the next step on.
  const int whole = DesiredOf(facts_.group);
  if (desired >= whole || facts_.old_side.members.empty()) return "";
  const auto up = static_cast<int>(
      std::count_if(facts_.old_side.members.begin(), facts_.old_side.members.end(), IsAlive));
  const int share = PercentOf(100 - LaunchedPercent(row()), whole);
  if (up >= std::min(share, facts_.old_side.desired)) return "";
  return absl::StrCat(up, " of ", Counted(share, "instance"), " of ", OldText(), " ",
                      IsOrAre(share), " up, that ", IsOrAre(share),
                      " to have the rest of the traffic");
}

std::string GroupSubject::NotReadyForReturn() const {
  return core::NotReadyForReturn(pass(), facts_);
}

std::string GroupSubject::NotHalfUp() const { return core::NotHalfUp(pass(), facts_); }

std::string GroupSubject::NotGone(v1::DeploymentRole role) const {
  return core::NotGone(pass(), facts_,
                       role == v1::DEPLOYMENT_ROLE_NEW ? facts_.new_side : facts_.old_side);
}

bool GroupSubject::IsBack() const { return IsRollback(StageOf(row())); }

ReplaceProgress GroupSubject::Progress(std::string* why_not_ready) const {
  ReplaceProgress out;
  out.desired = DesiredOf(facts_.group);
  out.coming = row().coming();
  out.staying = row().staying();
  out.has_begun = row().staying() != kAllStay;
  out.ready = ReadyOf(pass(), facts_, Comes(), why_not_ready);
  std::set<std::string_view> replaced;
  for (const Member& member : Comes().members) {
    if (IsAlive(member)) replaced.insert(member.second->launched_for());
  }
  for (const Member& member : Comes().members) {
    const v1::Instance& instance = *member.second;
    // What is to be replaced is launched for once, by the side's number; so is one of a lost host.
    const bool is_lost =
        instance.state() == v1::INSTANCE_STATE_UNKNOWN && replaced.contains(member.first);
    const bool goes = instance.unhealthy() || instance.terminate_requested() || is_lost ||
                      IsOnDrainedHost(pass().draft, instance);
    const bool comes = IsUpdating(instance) || (IsAlive(member) && !goes);
    out.came += comes;
    out.leaving += !comes;
  }
  for (const Member& member : Goes().members) {
    out.left += IsAlive(member) && !member.second->unhealthy();
    ++out.left_alive;
  }
  return out;
}

Time GroupSubject::BatchEnd() const {
  const v1::DeploymentStep* step = NumberStep(row());
  const auto& bake = step->has_replace() ? step->replace().bake() : step->update().bake();
  if (FromProto(bake) == absl::ZeroDuration() || IsBack() || row().promoted_all()) {
    return absl::InfinitePast();
  }
  Time newest = absl::InfinitePast();
  for (const auto& [instance, member] : Comes().members) {
    if (member->has_in_service_time() && member->deployment() == id()) {
      newest = std::max(newest, FromProto(member->in_service_time()));
    }
  }
  return newest + FromProto(bake);
}

StepAnswer GroupSubject::Replaced() const {
  std::string why;
  const ReplaceProgress now = Progress(&why);
  const v1::DeploymentStep& step = CurrentStep(row());
  const ReplaceBounds bounds = step.has_replace() ? BoundsOf(step.replace(), now.desired)
                                                  : BoundsOf(step.update(), now.desired);
  if (std::string unconfirmed = Unconfirmed(); !unconfirmed.empty()) return StepWait{unconfirmed};
  const std::string to = TextOf(Comes().launch);
  if (IsReplaced(bounds, now)) {
    const Time end = BatchEnd();
    if (pass().now < end && now.desired > 0) {
      return StepWait{absl::StrCat("the last instances of ", to, " serve until ", MomentText(end)),
                      end};
    }
    return StepDone{
        absl::StrCat("every live proxy finds ", Counted(now.ready, "instance"), " of ", to,
                     " healthy, and ", now.left_alive == 0 ? "none" : absl::StrCat(now.left_alive),
                     " of the other version ", now.left_alive == 1 ? "is" : "are", " left")};
  }
  std::string out = absl::StrCat(now.ready, " of ", Counted(bounds.target, "instance"), " of ", to,
                                 " ", IsOrAre(bounds.target), " ready, ", now.left_alive,
                                 " of the other version ", IsOrAre(now.left_alive), " left");
  if (why.empty()) why = UnhealthyText(pass().gates, Comes().members, facts_.group);
  if (!why.empty()) absl::StrAppend(&out, "; ", why);
  if (!facts_.group.status().waiting().empty()) {
    absl::StrAppend(&out, "; ", facts_.group.status().waiting());
  }
  const Time end = BatchEnd();
  if (pass().now < end) {
    absl::StrAppend(&out, "; the next batch begins at ", MomentText(end));
    return StepWait{out, end};
  }
  return StepWait{out};
}

bool GroupSubject::IsAllSaid() const { return core::IsAllSaid(pass(), facts_); }

std::string GroupSubject::LaunchFailure() const {
  const LaunchRecord record = LaunchRecordOf(pass().draft.InstancesOfGroup(facts_.group_id).list(),
                                             row().to(), id(), pass().now);
  const int healthy = HealthyOf(pass(), facts_, facts_.new_side);
  if (record.failures < std::max(kDeploymentLaunchFailures, healthy)) return "";
  return FailuresText(record, row().to());
}

std::string GroupSubject::FailsUsers() const {
  if (KeepsNewSide(row()) || IsBackToServing(row())) return "";
  const int desired = facts_.new_side.desired;
  return NewCondition(pass(), facts_).IsFailing(desired) ? OnlyHealthy(pass(), facts_) : "";
}

bool GroupSubject::MayGoBack() const {
  if (StageOf(row()) != Stage::kDraining) return true;
  return std::any_of(facts_.old_side.members.begin(), facts_.old_side.members.end(),
                     [&](const Member& member) { return CanBeTakenBack(pass(), member); });
}

// What a launching hook holds may take its time: nobody is late for it, and what it has let go has
// the whole deadline from then on. What is held on its way down keeps no new one from coming up.
Time GroupSubject::HeldUntil() const {
  Time newest = absl::InfinitePast();
  for (const auto& [instance, member] : Comes().members) {
    if (member->launch_hooks_done()) {
      const bool serves = member->state() == v1::INSTANCE_STATE_IN_SERVICE;
      if (serves) newest = std::max(newest, FromProto(member->in_service_time()));
      if (member->state() == v1::INSTANCE_STATE_PENDING) {
        newest = std::max(newest, FromProto(member->state_time()));
      }
    }
    if (LifeOf(*member) != v1::INSTANCE_STATE_PENDING_WAIT) continue;
    for (const v1::LifecycleAction& action : member->lifecycle_actions()) {
      newest = std::max(newest, FromProto(action.heartbeat_deadline()));
    }
  }
  return newest;
}

Time GroupSubject::ProgressTime() const {
  Time newest = HeldUntil();
  if (!CurrentStep(row()).has_replace() && !CurrentStep(row()).has_update()) return newest;
  for (const auto& [instance, member] : Comes().members) {
    newest = std::max(newest, FromProto(member->in_service_time()));
  }
  // What drains may take its target groups' delay: nobody is late for it.
  Duration delay = absl::ZeroDuration();
  for (const std::string& id : facts_.group.target_groups()) {
    const auto target_group = pass().draft.Find<v1::TargetGroup>(id);
    if (target_group == nullptr) continue;
    delay = std::max(delay, FromProto(target_group->deregistration_delay()));
  }
  for (const Side* side : {&facts_.old_side, &facts_.new_side}) {
    for (const auto& [instance, member] : side->members) {
      if (member->state() != v1::INSTANCE_STATE_DRAINING) continue;
      newest = std::max(newest, FromProto(member->state_time()) + delay);
    }
  }
  return newest;
}

std::string GroupSubject::Advice() const {
  const int healthy = HealthyOf(pass(), facts_, facts_.new_side);
  return absl::StrCat(NewText(), " stays, of which ", Counted(healthy, "instance"), " ",
                      IsOrAre(healthy),
                      " healthy; deploy a version that works: `remuda deploy asg/", facts_.group_id,
                      " --template ", row().to().launch_template(), ":VERSION`");
}

void GroupSubject::MoveTraffic(int percent) {
  // A plan that begins with no share takes none from what serves already.
  if (percent == 0 && !IsBack()) return;
  // What this deployment alone ends takes no traffic from anything.
  SetWithheld(pass(), facts_.new_side, percent == 0 ? id() : "");
  SetWithheld(pass(), facts_.old_side, percent == 100 ? id() : "");
}

void GroupSubject::SetNumbers(bool moves) {
  const v1::DeploymentStep* step = NumberStep(row());
  if (step == nullptr) return;
  // What a deployment before kept from traffic takes its share as what this one launches does.
  SetWithheld(pass(), facts_.new_side, "");
  CallMovesOff(pass(), facts_.old_side);
  CallMovesOff(pass(), facts_.new_side);
  std::string why;
  ReplaceProgress now = Progress(&why);
  ReplaceMode mode = ReplaceMode::kRest;
  if (step == &CurrentStep(row()) && !row().paused() && moves) {
    mode = pass().now < BatchEnd() ? ReplaceMode::kBake : ReplaceMode::kMove;
    pass().DueAt(BatchEnd());
  }
  ReplaceNumbers next;
  if (step->has_replace()) {
    next = core::Replace(BoundsOf(step->replace(), now.desired), now, mode);
  } else {
    const int taken = mode == ReplaceMode::kMove ? UpdateSome(step->update(), now) : 0;
    now.came += taken;
    now.left -= taken;
    next = UpdateNumbers(BoundsOf(step->update(), now.desired), now);
  }
  v1::Deployment after = *pass().draft.Find<v1::Deployment>(id());
  after.set_coming(next.coming);
  after.set_staying(next.staying);
  pass().Put(id(), std::move(after));
}

int GroupSubject::UpdateSome(const v1::UpdateStep& step, const ReplaceProgress& now) {
  const ReplaceBounds bounds = BoundsOf(step, now.desired);
  InstanceList serving;
  InstanceList idle;
  for (const Member& member : Goes().members) {
    const v1::Instance& row = *member.second;
    if (row.unhealthy() || row.terminate_requested() || !IsUp(row.state())) continue;
    (row.state() == v1::INSTANCE_STATE_IN_SERVICE ? serving : idle).push_back(member);
  }
  const int wanted = std::max(0, bounds.target - now.came);
  int taken = 0;
  // What serves nobody yet is missed by nobody.
  for (const auto& [id, row] : idle) {
    if (taken == wanted) return taken;
    TakeOut(pass(), facts_, id, Comes().launch);
    ++taken;
  }
  const int healthy = HealthyOf(pass(), facts_, Goes());
  const int batch = std::min(wanted - taken, BatchToUpdate(bounds, now, healthy));
  if (batch <= 0) return taken;
  for (const std::string& id :
       ChooseVictims(pass().gates, facts_.group, std::move(serving), static_cast<size_t>(batch))) {
    TakeOut(pass(), facts_, id, Comes().launch);
    ++taken;
  }
  return taken;
}

void GroupSubject::SetTemplate(const v1::LaunchTemplateRef& launch) {
  v1::AutoScalingGroup after = *pass().draft.Find<v1::AutoScalingGroup>(facts_.group_id);
  *after.mutable_launch_template() = launch;
  after.set_launch_template_set_by(id());
  pass().Put(facts_.group_id, std::move(after));
}

void GroupSubject::Settle(bool to_new) {
  const v1::LaunchTemplateRef& launch = to_new ? row().to() : row().from();
  // Where the group names what served before, whoever set it did.
  if (!to_new && IsSame(facts_.group.launch_template(), launch)) return;
  SetTemplate(launch);
}

void GroupSubject::TakeBack() {
  // What was taken out to be changed, and is not yet, stays what it is.
  for (const Member& member : facts_.new_side.members) {
    if (IsUpdating(*member.second) && !member.second->terminate_requested()) {
      TakeBackOne(pass(), member, "taken back by a rollback");
    }
  }
  int missing = facts_.old_side.desired;
  for (const Member& member : facts_.old_side.members) {
    missing -= IsAlive(member) && !member.second->unhealthy();
  }
  for (const Member& member : facts_.old_side.members) {
    if (missing <= 0) return;
    if (!CanBeTakenBack(pass(), member)) continue;
    TakeBackOne(pass(), member, "taken back by a rollback");
    --missing;
  }
}

}  // namespace remuda::core
