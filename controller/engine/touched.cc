#include "controller/engine/touched.h"

#include "controller/core/views/views.h"

namespace remuda {
namespace {

using core::Edit;
using core::Kind;

void TouchInstanceValue(const core::State& state, const v1::Instance& instance, Touched& touched) {
  touched.groups.insert(instance.auto_scaling_group());
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
    case Kind::kTarget:
      touched.all_groups = touched.targets = true;
      break;
    case Kind::kLoadBalancer:
      touched.all_groups = touched.targets = true;
      touched.proxy_views.load_balancers = true;
      break;
    case Kind::kCertificate:
      touched.proxy_views.load_balancers = true;
      break;
    case Kind::kHost:
      touched.all_groups = true;
      touched.hosts.insert(edit.key);
      break;
    case Kind::kProxy:
      touched.all_groups = true;
      touched.proxy_views.proxies.insert(edit.key);
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
  touched.all_groups = true;
  touched.instances = touched.targets = true;
  touched.hosts.insert(std::string(host));
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
