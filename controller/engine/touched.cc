#include "controller/engine/touched.h"

#include <algorithm>

#include "controller/core/model/capacity.h"
#include "controller/core/model/shift_row.h"
#include "controller/core/model/warm_pool_size.h"
#include "controller/core/views/ingress.h"

namespace remuda {

void Looks::Merge(Looks&& other) {
  all = all || other.all;
  all_groups = all_groups || other.all_groups;
  groups.merge(other.groups);
  present.merge(other.present);
  proxies = proxies || other.proxies;
  room = room || other.room;
  drained_targets = drained_targets || other.drained_targets;
  orphans = orphans || other.orphans;
  confirmed = confirmed || other.confirmed;
}

namespace {

using core::Edit;
using core::Kind;

void TouchInstanceValue(const core::State& state, const std::string& id,
                        const v1::Instance& instance, Touched& touched) {
  touched.groups.insert(instance.auto_scaling_group());
  touched.room = true;
  touched.hosts.insert(instance.host());
  touched.instances.insert(id);
  touched.deployments = true;
  const auto* group = state.Find<v1::AutoScalingGroup>(instance.auto_scaling_group());
  if (group == nullptr) return;
  for (const std::string& target_group : (*group)->target_groups()) {
    touched.proxy_views.targets.emplace(target_group, id);
    touched.targets.emplace(target_group, id);
  }
}

// Whether the edit changes what proxies know of the target groups: the group's instances become
// targets of others than `state` has, or requests wait there because it rests at zero (or do no
// more).
bool MovesTargets(const core::State& state, const Edit& edit) {
  const auto* before = state.Find<v1::AutoScalingGroup>(edit.key);
  if (before == nullptr || edit.value == nullptr) return true;
  const auto& after = static_cast<const v1::AutoScalingGroup&>(*edit.value);
  if (after.has_from_zero() != (*before)->has_from_zero()) return true;
  const auto& now = after.target_groups();
  const auto& was = (*before)->target_groups();
  return !std::equal(was.begin(), was.end(), now.begin(), now.end()) ||
         core::IsSuspended(**before, v1::SCALING_PROCESS_ADD_TO_LOAD_BALANCER) !=
             core::IsSuspended(after, v1::SCALING_PROCESS_ADD_TO_LOAD_BALANCER);
}

// The group's target groups as a whole, before and after the edit.
void TouchTargetGroupsOf(const core::State& state, const Edit& edit, Touched& touched) {
  const auto touch = [&](const v1::AutoScalingGroup& group) {
    const auto& ids = group.target_groups();
    touched.proxy_views.target_groups.insert(ids.begin(), ids.end());
  };
  const auto* row = state.Find<v1::AutoScalingGroup>(edit.key);
  if (row != nullptr) touch(**row);
  if (edit.value != nullptr) touch(static_cast<const v1::AutoScalingGroup&>(*edit.value));
}

// Hosts of instances whose files are the image's.
void TouchHostsOf(const core::State& state, const std::string& image, Touched& touched) {
  for (const auto& [id, row] : state.All<v1::Instance>()) {
    const auto& ref = row->launch_template();
    const auto* launch = state.Find<v1::LaunchTemplateVersion>(
        core::LaunchTemplateKey(ref.launch_template(), ref.resolved_version()));
    if (launch != nullptr && (*launch)->image() == image) touched.hosts.insert(row->host());
  }
}

// Whether who may reach the group's instances follows from something else after the edit.
bool MovesIngress(const core::State& state, const Edit& edit) {
  const auto* row = state.Find<v1::AutoScalingGroup>(edit.key);
  const auto* before = row == nullptr ? nullptr : row->value.get();
  const auto* after = static_cast<const v1::AutoScalingGroup*>(edit.value.get());
  const bool filtered = before != nullptr && core::Filters(*before);
  const bool filters = after != nullptr && core::Filters(*after);
  if (!filtered && !filters) return false;
  if (before == nullptr || after == nullptr || filtered != filters) return true;
  const auto same = [](const auto& a, const auto& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  };
  return before->require_ingress_filter() != after->require_ingress_filter() ||
         !same(before->security_groups(), after->security_groups()) ||
         !same(before->target_groups(), after->target_groups());
}

// Hosts of the group's warm pool, if what its members are to be is otherwise after the edit.
void TouchPool(const core::State& state, const Edit& edit, Touched& touched) {
  const auto* before = state.Find<v1::AutoScalingGroup>(edit.key);
  if (before == nullptr || edit.value == nullptr) return;
  const auto& after = static_cast<const v1::AutoScalingGroup&>(*edit.value);
  if (core::HasStoppedPool(**before) == core::HasStoppedPool(after)) return;
  for (const std::string& id : state.InstancesOfGroup(edit.key)) {
    const v1::Instance& row = **state.Find<v1::Instance>(id);
    if (row.in_warm_pool()) touched.hosts.insert(row.host());
  }
}

// Whether what proxies are told of a deployment is otherwise after the edit.
bool ChangesSplit(const v1::Deployment* before, const v1::Deployment* after) {
  if (before == nullptr || after == nullptr) return true;
  return before->state() != after->state() || before->current_step() != after->current_step() ||
         before->traffic_percent() != after->traffic_percent() ||
         before->has_traffic_percent() != after->has_traffic_percent();
}

// The target groups of a deployment's group, whose split it decides.
void TouchSplit(const core::State& state, const Edit& edit, Touched& touched) {
  const auto* before = state.Find<v1::Deployment>(edit.key);
  const auto* after = static_cast<const v1::Deployment*>(edit.value.get());
  const v1::Deployment* row = before != nullptr ? before->value.get() : after;
  if (row == nullptr) return;
  // Asked before and after the edit is applied: after it, both are the same.
  if (before != nullptr &&
      (before->value.get() == after || !ChangesSplit(before->value.get(), after))) {
    return;
  }
  const auto* group = state.Find<v1::AutoScalingGroup>(row->auto_scaling_group());
  if (group == nullptr) return;
  const auto& ids = (*group)->target_groups();
  touched.proxy_views.target_groups.insert(ids.begin(), ids.end());
}

// Hosts whose instances are given the secret.
void TouchUsersOf(const core::State& state, const std::string& secret, Touched& touched) {
  std::set<std::string, std::less<>> versions;
  for (const auto& [key, version] : state.All<v1::LaunchTemplateVersion>()) {
    for (const v1::SecretReference& reference : version->secrets()) {
      if (reference.secret() == secret) versions.insert(key);
    }
  }
  if (versions.empty()) return;
  for (const auto& [id, instance] : state.All<v1::Instance>()) {
    const v1::LaunchTemplateRef& runs = instance->launch_template();
    if (versions.contains(core::LaunchTemplateKey(runs.launch_template(), runs.resolved_version())))
      touched.hosts.insert(instance->host());
  }
}

void TouchEdit(const core::State& state, const Edit& edit, Touched& touched) {
  switch (edit.kind) {
    case Kind::kInstance:
      TouchInstance(state, edit.key, touched);
      break;
    case Kind::kAutoScalingGroup:
      touched.groups.insert(edit.key);
      touched.deployments = true;
      if (MovesTargets(state, edit)) {
        TouchTargetGroupsOf(state, edit, touched);
        touched.all_targets = true;
      }
      TouchPool(state, edit, touched);
      touched.security_groups = touched.security_groups || MovesIngress(state, edit);
      touched.all_instances = touched.all_instances || edit.value == nullptr ||
                              state.Find<v1::AutoScalingGroup>(edit.key) == nullptr;
      break;
    case Kind::kDeployment:
      TouchDeployment(state, edit.key, touched);
      TouchSplit(state, edit, touched);
      break;
    case Kind::kTargetGroup:
      touched.proxy_views.target_groups.insert(edit.key);
      for (const auto& [id, group] : state.All<v1::AutoScalingGroup>()) {
        const auto& ids = group->target_groups();
        if (std::find(ids.begin(), ids.end(), edit.key) != ids.end()) touched.groups.insert(id);
      }
      touched.all_targets = touched.drained_targets = true;
      break;
    case Kind::kTarget: {
      const size_t slash = edit.key.find('/');
      const core::TargetId id(edit.key.substr(0, slash), edit.key.substr(edit.key.rfind('/') + 1));
      touched.proxy_views.targets.insert(id);
      touched.targets.insert(id);
      const auto* target = state.Find<v1::Target>(edit.key);
      if (target != nullptr && (*target)->state() == v1::TARGET_STATE_DRAINING) {
        touched.drained_targets = true;
      }
      break;
    }
    case Kind::kLoadBalancer:
      touched.all_groups = touched.drained_targets = touched.all_targets = true;
      touched.proxy_views.load_balancers = true;
      break;
    case Kind::kCertificate:
      touched.proxy_views.load_balancers = true;
      break;
    case Kind::kSecurityGroup:
      touched.security_groups = true;
      break;
    case Kind::kHost:
      touched.present.insert(edit.key);
      touched.hosts.insert(edit.key);
      // Their processes are shown as the host has said, their targets in its zone.
      for (const std::string& id : state.InstancesOnHost(edit.key)) {
        TouchInstance(state, id, touched);
      }
      break;
    case Kind::kProxy:
      touched.all_groups = touched.proxies = touched.drained_targets = touched.all_targets = true;
      touched.proxy_views.proxies.insert(edit.key);
      break;
    case Kind::kLaunchTemplateVersion:
      touched.room = true;  // a group whose template was not there waits as one without room does
      break;
    case Kind::kSecret:
      TouchUsersOf(state, edit.key, touched);
      break;
    case Kind::kImage:
      // One that is signed later: its hosts are told. A new one is nobody's yet.
      if (state.Find<v1::Image>(edit.key) != nullptr) TouchHostsOf(state, edit.key, touched);
      break;
    case Kind::kLaunchTemplate:
    case Kind::kLoadHistory:
    case Kind::kUser:
    case Kind::kJoinToken:
    case Kind::kRevocation:
    case Kind::kActivity:
    case Kind::kCounter:
    case Kind::kRequest:
      break;
  }
}

}  // namespace

void TouchEdits(const core::State& state, const core::Changes& changes, Touched& touched) {
  touched.commit = true;
  for (const Edit& edit : changes.edits) TouchEdit(state, edit, touched);
}

void TouchInstance(const core::State& state, std::string_view instance, Touched& touched) {
  const auto* entry = state.Find<v1::Instance>(instance);
  if (entry != nullptr) TouchInstanceValue(state, std::string(instance), **entry, touched);
}

void TouchDeployment(const core::State& state, std::string_view deployment, Touched& touched) {
  touched.deployments = true;
  const auto* row = state.Find<v1::Deployment>(deployment);
  if (row == nullptr) return;
  touched.groups.insert((*row)->has_shift()
                            ? std::string(core::kShiftKeys) + std::string(deployment)
                            : (*row)->auto_scaling_group());
}

void TouchHost(const core::State& state, std::string_view host, Touched& touched) {
  touched.present.emplace(host);
  touched.hosts.emplace(host);
  for (const std::string& id : state.InstancesOnHost(host)) TouchInstance(state, id, touched);
}

void TouchAll(const core::State& state, Touched& touched) {
  touched.all = touched.commit = true;
  touched.all_targets = touched.all_instances = touched.deployments = true;
  touched.proxy_views.load_balancers = touched.security_groups = true;
  for (const auto& [id, entry] : state.All<v1::TargetGroup>())
    touched.proxy_views.target_groups.insert(id);
  for (const auto& [id, entry] : state.All<v1::Host>()) touched.hosts.insert(id);
}

}  // namespace remuda
