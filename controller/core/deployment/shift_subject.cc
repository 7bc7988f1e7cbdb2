#include "controller/core/deployment/shift_subject.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controller/core/model/capacity.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/names.h"
#include "controller/core/model/shift_row.h"
#include "controller/core/model/words.h"
#include "controller/core/reconcile/health.h"
#include "controller/core/reconcile/limits.h"
#include "controller/core/reconcile/sides.h"

namespace remuda::core {
namespace {

constexpr int kAllTraffic = 100;

// A shift belongs to no group whose reports would make it be looked at: it is, so often.
constexpr Duration kShiftLookInterval = absl::Seconds(1);

bool HasTargetGroup(const v1::AutoScalingGroup& group, std::string_view target_group) {
  const auto& ids = group.target_groups();
  return std::find(ids.begin(), ids.end(), target_group) != ids.end();
}

}  // namespace

ShiftSubject::ShiftSubject(Pass& pass, std::string id, const v1::Deployment& row)
    : Subject(pass, std::move(id), row),
      balancer_id_(BalancerOf(row.shift())),
      balancer_(pass.draft.Find<v1::LoadBalancer>(balancer_id_)) {}

std::string ShiftSubject::OldText() const {
  return absl::StrCat("target group ", shift().from_target_group());
}
std::string ShiftSubject::NewText() const {
  return absl::StrCat("target group ", shift().to_target_group());
}
std::string ShiftSubject::WhatText() const {
  return absl::StrCat("Shifting ", ActionName(shift()), " from ", OldText(), " to ", NewText());
}

Edits::Story ShiftSubject::Story() const {
  return {.group = "",
          .deployment = id(),
          .description = "",
          .cause = "",
          .resource = absl::StrCat("loadBalancers/", balancer_id_)};
}

std::string ShiftSubject::Orphaned() const {
  if (balancer_ == nullptr) return absl::StrCat("load balancer ", balancer_id_, " is not there");
  if (ForwardOf(*balancer_, shift()) == nullptr) {
    return absl::StrCat(ActionName(shift()), " forwards no more");
  }
  for (const std::string& id : {shift().from_target_group(), shift().to_target_group()}) {
    if (pass().draft.Find<v1::TargetGroup>(id) == nullptr) {
      return absl::StrCat("target group ", id, " is not there");
    }
  }
  return "";
}

google::protobuf::RepeatedPtrField<std::string> ShiftSubject::TargetGroups() const {
  google::protobuf::RepeatedPtrField<std::string> out;
  *out.Add() = shift().from_target_group();
  *out.Add() = shift().to_target_group();
  return out;
}

std::string ShiftSubject::Unconfirmed() const {
  const Gates& gates = pass().gates;
  if (std::string who = gates.Silenced(TargetGroups()); !who.empty()) return who;
  if (std::string refusal = gates.Refusal(); !refusal.empty()) return refusal;
  return gates.Unconfirmed(pass().draft.CommitOf<v1::Deployment>(id()));
}

ShiftSubject::Count ShiftSubject::CountOf(const std::string& target_group) const {
  Count out;
  // What proxies are asked about a target, whoever it belongs to.
  v1::AutoScalingGroup asked;
  asked.add_target_groups(target_group);
  const auto count = [&](const std::string& id, std::optional<int64_t> commit) {
    std::string why = NotHealthyAt(pass().gates, id, asked);
    if (why.empty()) why = pass().gates.Unconfirmed(commit);
    const Verdict verdict = JudgeByProxies(pass().gates, id, asked).verdict;
    out.healthy += verdict == Verdict::kHealthy;
    out.failing += verdict == Verdict::kUnhealthy;
    out.ready += why.empty();
    if (!why.empty() && out.why.empty()) out.why = absl::StrCat("target ", id, ": ", why);
  };
  pass().draft.ForEach<v1::AutoScalingGroup>(
      [&](const std::string& group_id, const v1::AutoScalingGroup& group) {
        if (!HasTargetGroup(group, target_group)) return;
        out.wanted += DesiredOf(group);
        for (const auto& [id, row] : pass().draft.InstancesOfGroup(group_id)) {
          const bool serves = row->state() == v1::INSTANCE_STATE_IN_SERVICE ||
                              row->state() == v1::INSTANCE_STATE_UNKNOWN;
          if (IsWithheld(*row) || IsApart(*row)) continue;
          // One that has failed is missed until another has had time to take its place.
          if (row->unhealthy() && IsLeavingState(row->state())) {
            const Time forgotten = FromProto(row->state_time()) + kFailureCounts;
            pass().DueAt(forgotten);
            out.failing += pass().now < forgotten;
          }
          if (row->unhealthy() && !IsLeavingState(row->state())) {
            ++out.failing;
          } else if (serves) {
            count(id, pass().draft.CommitOf<v1::Instance>(id));
          }
        }
        if (out.why.empty()) out.why = group.status().waiting();
      });
  const std::string prefix = TargetKey(target_group, "");
  pass().draft.ForEachFrom<v1::Target>(prefix, [&](const std::string& key, const v1::Target& row) {
    if (!key.starts_with(prefix)) return false;
    if (row.state() == v1::TARGET_STATE_DRAINING) return true;
    ++out.wanted;
    count(key.substr(prefix.size()), pass().draft.CommitOf<v1::Target>(key));
    return true;
  });
  return out;
}

std::string ShiftSubject::NotReady(const std::string& target_group, int enough) const {
  const Count count = CountOf(target_group);
  if (count.ready >= enough && enough > 0) return "";
  if (count.wanted == 0) {
    return absl::StrCat("target group ", target_group, " has no targets");
  }
  return absl::StrCat(count.ready, " of ", Counted(std::max(1, enough), "target"),
                      " of target group ", target_group, " ", IsOrAre(std::max(1, enough)),
                      " ready", count.why.empty() ? "" : absl::StrCat("; ", count.why));
}

std::string ShiftSubject::NotLaunched(std::string* cause) const {
  const std::string& to = shift().to_target_group();
  const int enough = PercentOf(LaunchedPercent(row()), CountOf(to).wanted);
  *cause = absl::StrCat("every live proxy finds ", Counted(enough, "target"), " of target group ",
                        to, " healthy");
  return NotReady(to, enough);
}

std::string ShiftSubject::NotReadyForReturn() const {
  const std::string& from = shift().from_target_group();
  const Count now = CountOf(shift().to_target_group());
  return NotReady(from, std::min(CountOf(from).wanted, std::max(1, now.healthy)));
}

std::string ShiftSubject::NotHalfUp() const {
  const Count count = CountOf(shift().to_target_group());
  if (2 * count.healthy >= count.wanted) return "";
  return absl::StrCat(count.healthy, " of ", Counted(count.wanted, "target"), " of ", NewText(),
                      " ", IsOrAre(count.wanted), " up");
}

std::string ShiftSubject::NotGone(v1::DeploymentRole role) const {
  if (std::string why = Unconfirmed(); !why.empty()) return why;
  if (!shift().scale_groups()) return "";
  const std::string& group_id = role == v1::DEPLOYMENT_ROLE_NEW ? shift().to_auto_scaling_group()
                                                                : shift().from_auto_scaling_group();
  const auto group = pass().draft.Find<v1::AutoScalingGroup>(group_id);
  if (group == nullptr) return "";
  int alive = 0;
  for (const auto& [id, row] : pass().draft.InstancesOfGroup(group_id)) {
    alive += row->state() != v1::INSTANCE_STATE_TERMINATED && !IsApart(*row);
  }
  const int wanted = DesiredOf(*group);
  if (alive <= wanted) return "";
  return absl::StrCat(Counted(alive - wanted, "instance"), " of group ", group_id,
                      " to drain and end");
}

StepAnswer ShiftSubject::Replaced() const {
  return StepFail{"a shift replaces no instances"};  // the door takes no such step
}

bool ShiftSubject::IsAllSaid() const {
  if (!Unconfirmed().empty()) return false;
  const auto ids = TargetGroups();
  return std::all_of(ids.begin(), ids.end(), [&](const std::string& target_group) {
    const auto& serving = pass().gates.Serving(target_group);
    return std::all_of(serving.begin(), serving.end(), [](const LiveProxy* proxy) {
      return proxy->seen != nullptr && proxy->seen->reported;
    });
  });
}

std::string ShiftSubject::LaunchFailure() const { return ""; }

std::string ShiftSubject::FailsUsers() const {
  if (KeepsNewSide(row())) return "";
  const Count count = CountOf(shift().to_target_group());
  if (count.healthy > 0 && count.failing <= count.healthy) return "";
  if (count.healthy == 0 && count.failing == 0 && count.wanted == 0) {
    return absl::StrCat(NewText(), " has no targets");
  }
  if (count.healthy == 0 && count.failing == 0) return "";
  return absl::StrCat("only ", count.healthy, " of ",
                      Counted(count.healthy + count.failing, "target"), " of ", NewText(), " ",
                      IsOrAre(count.healthy + count.failing), " healthy");
}

bool ShiftSubject::MayGoBack() const { return StageOf(row()) != Stage::kDraining; }

Time ShiftSubject::ProgressTime() const { return absl::InfinitePast(); }

std::string ShiftSubject::Advice() const {
  return absl::StrCat(NewText(), " keeps the traffic that it has; mend ", OldText(),
                      ", then shift back");
}

void ShiftSubject::MoveTraffic(int percent) {
  v1::LoadBalancer after = *pass().draft.Find<v1::LoadBalancer>(balancer_id_);
  v1::ForwardAction& action = *ForwardOf(after, shift());
  const bool is_whole = percent == 0 || percent == kAllTraffic;
  const int whole = is_whole ? shift().weight() : kAllTraffic;
  SetWeightIn(action, shift().to_target_group(), whole * percent / kAllTraffic);
  SetWeightIn(action, shift().from_target_group(), whole - whole * percent / kAllTraffic);
  pass().Put(balancer_id_, std::move(after));
}

void ShiftSubject::SetDesired(const std::string& group, int desired) {
  const auto before = pass().draft.Find<v1::AutoScalingGroup>(group);
  if (before == nullptr) return;
  const int bounded = std::max(MinOf(*before), std::min(MaxOf(*before), desired));
  if (bounded == DesiredOf(*before)) return;
  v1::AutoScalingGroup after = *before;
  core::SetDesired(after, bounded,
                   absl::StrCat("deployment ", std::string(IdOf(row().name())), " set it"),
                   pass().now);
  pass().Put(group, std::move(after));
}

void ShiftSubject::SetNumbers(bool moves) {
  pass().DueAt(pass().now + kShiftLookInterval);
  if (!shift().scale_groups() || row().paused() || !moves) return;
  const Stage stage = StageOf(row());
  if (stage == Stage::kLaunching) {
    const auto group = pass().draft.Find<v1::AutoScalingGroup>(shift().to_auto_scaling_group());
    if (group == nullptr) return;
    const int wanted = PercentOf(LaunchedPercent(row()), shift().from_desired());
    if (DesiredOf(*group) < wanted) SetDesired(shift().to_auto_scaling_group(), wanted);
  }
  if (stage == Stage::kDraining) SetDesired(shift().from_auto_scaling_group(), 0);
  if (stage == Stage::kBackDraining) {
    SetDesired(shift().to_auto_scaling_group(), shift().to_desired());
  }
}

void ShiftSubject::Settle(bool to_new) {
  if (const auto before = pass().draft.Find<v1::LoadBalancer>(balancer_id_); before != nullptr) {
    v1::LoadBalancer after = *before;
    RemovePreviews(after, shift());
    pass().Put(balancer_id_, std::move(after));
  }
  if (to_new || !shift().scale_groups()) return;
  const auto group = pass().draft.Find<v1::AutoScalingGroup>(shift().from_auto_scaling_group());
  if (group != nullptr && DesiredOf(*group) < shift().from_desired()) {
    SetDesired(shift().from_auto_scaling_group(), shift().from_desired());
  }
}

void ShiftSubject::TakeBack() {}

}  // namespace remuda::core
