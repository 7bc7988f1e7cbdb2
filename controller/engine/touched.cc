#include "controller/engine/touched.h"

#include <algorithm>

#include "controller/core/views/views.h"

namespace remuda {

void Looks::Merge(Looks&& other) {
  all_groups = all_groups || other.all_groups;
  groups.merge(other.groups);
  present.merge(other.present);
  room = room || other.room;
  drained_targets = drained_targets || other.drained_targets;
  confirmed = confirmed || other.confirmed;
}

namespace {

using core::Edit;
using core::Kind;

void TouchInstanceValue(const core::State& state, const v1::Instance& instance, Touched& touched) {
  touched.groups.insert(instance.auto_scaling_group());
  touched.room = true;
  touched.hosts.insert(instance.host());
  touched.instances = touched.targets = touched.deployments = true;
  const auto* group = state.Find<v1::AutoScalingGroup>(instance.auto_scaling_group());
  if (group == nullptr) return;
  for (const std::string& id : (*group)->target_groups())
    touched.proxy_views.target_groups.insert(id);
}

void TouchEdit(const core::State& state, const Edit& edit, Touched& touched) {
  switch (edit.kind) {
    case Kind::kInstance:
      TouchInstance(state, edit.key, touched);
      break;
    case Kind::kAutoScalingGroup:
      touched.groups.insert(edit.key);
      touched.deployments = touched.targets = true;
      break;
    case Kind::kDeployment: {
      touched.deployments = true;
      const auto* deployment = state.Find<v1::Deployment>(edit.key);
      if (deployment != nullptr) touched.groups.insert((*deployment)->auto_scaling_group());
      break;
    }
    case Kind::kTargetGroup:
      for (const auto& [id, group] : state.All<v1::AutoScalingGroup>()) {
        const auto& ids = group->target_groups();
        if (std::find(ids.begin(), ids.end(), edit.key) != ids.end()) touched.groups.insert(id);
      }
      touched.targets = touched.drained_targets = true;
      break;
    case Kind::kTarget: {
      touched.targets = true;
      const auto* target = state.Find<v1::Target>(edit.key);
      if (target != nullptr && (*target)->state() == v1::TARGET_STATE_DRAINING) {
        touched.drained_targets = true;
      }
      break;
    }
    case Kind::kLoadBalancer:
      touched.all_groups = touched.targets = true;
      touched.proxy_views.load_balancers = true;
      break;
    case Kind::kCertificate:
      touched.proxy_views.load_balancers = true;
      break;
    case Kind::kHost:
      touched.present.insert(edit.key);
      touched.hosts.insert(edit.key);
      for (const std::string& id : state.InstancesOnHost(edit.key)) {
        touched.groups.insert((*state.Find<v1::Instance>(id))->auto_scaling_group());
      }
      break;
    case Kind::kProxy:
      touched.all_groups = true;
      touched.proxy_views.proxies.insert(edit.key);
      break;
    case Kind::kLaunchTemplateVersion:
      touched.room = true;  // a group whose template was not there waits as one without room does
      break;
    case Kind::kImage:
    case Kind::kLaunchTemplate:
    case Kind::kActivity:
    case Kind::kCounter:
    case Kind::kRequest:
      break;
  }
}

}  // namespace

void TouchEdits(const core::State& state, const core::Changes& changes, Touched& touched) {
  touched.commit = true;
  touched.proxy_views.target_groups.merge(core::TargetGroupsTouchedBy(state, state, changes));
  for (const Edit& edit : changes.edits) TouchEdit(state, edit, touched);
}

void TouchInstance(const core::State& state, std::string_view instance, Touched& touched) {
  const auto* entry = state.Find<v1::Instance>(instance);
  if (entry != nullptr) TouchInstanceValue(state, **entry, touched);
}

void TouchHost(const core::State& state, std::string_view host, Touched& touched) {
  touched.present.emplace(host);
  touched.instances = touched.targets = true;
  touched.hosts.emplace(host);
  for (const std::string& id : state.InstancesOnHost(host)) TouchInstance(state, id, touched);
}

void TouchAll(const core::State& state, Touched& touched) {
  touched.all_groups = touched.commit = true;
  touched.instances = touched.targets = touched.deployments = true;
  touched.proxy_views.load_balancers = true;
  for (const auto& [id, entry] : state.All<v1::TargetGroup>())
    touched.proxy_views.target_groups.insert(id);
  for (const auto& [id, entry] : state.All<v1::Host>()) touched.hosts.insert(id);
}

}  // namespace remuda
