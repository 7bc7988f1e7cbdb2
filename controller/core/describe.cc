#include "controller/core/describe.h"

#include <absl/strings/str_cat.h>

#include <string>

#include "controller/core/deployment.h"
#include "controller/core/gates.h"
#include "controller/core/members.h"
#include "controller/core/reconcile_pass.h"

namespace remuda::core {
namespace {

struct Numbers {
  int pending = 0;
  int in_service = 0;
  int terminating = 0;
  int unknown = 0;
};

Numbers CountOf(const InstanceList& members) {
  Numbers numbers;
  for (const auto& [id, row] : members) {
    switch (row->state()) {
      case v1::INSTANCE_STATE_PENDING:
      case v1::INSTANCE_STATE_PENDING_WAIT:
        ++numbers.pending;
        break;
      case v1::INSTANCE_STATE_IN_SERVICE:
        ++numbers.in_service;
        break;
      case v1::INSTANCE_STATE_UNKNOWN:
        ++numbers.unknown;
        break;
      case v1::INSTANCE_STATE_DRAINING:
      case v1::INSTANCE_STATE_TERMINATING_WAIT:
      case v1::INSTANCE_STATE_STOPPING:
        ++numbers.terminating;
        break;
      default:
        break;
    }
  }
  return numbers;
}

void Fill(const Side& side, bool serves, v1::DeploymentSide& out) {
  const Numbers numbers = CountOf(side.members);
  out.set_version(side.launch.version());
  out.set_desired(side.desired);
  out.set_pending(numbers.pending);
  out.set_in_service(numbers.in_service);
  out.set_terminating(numbers.terminating);
  out.set_traffic_percent(serves ? 100 : 0);
}

// The part after the collection: "blue-3" of "deployments/blue-3".
std::string IdOf(const std::string& name) { return name.substr(name.find('/') + 1); }

}  // namespace

v1::Deployment Describe(const Draft& draft, const Observations& seen, Time now,
                        const v1::Deployment& deployment) {
  v1::Deployment out = deployment;
  const bool ended = deployment.phase() == v1::DEPLOYMENT_PHASE_SUCCEEDED ||
                     deployment.phase() == v1::DEPLOYMENT_PHASE_ROLLED_BACK;
  const bool serves_new =
      ServesNewSide(deployment.phase()) || deployment.phase() == v1::DEPLOYMENT_PHASE_SUCCEEDED;
  out.mutable_old_side()->set_version(deployment.from().version());
  out.mutable_old_side()->set_traffic_percent(serves_new ? 0 : 100);
  out.mutable_new_side()->set_version(deployment.to().version());
  out.mutable_new_side()->set_traffic_percent(serves_new ? 100 : 0);
  const auto group = draft.Find<v1::AutoScalingGroup>(deployment.auto_scaling_group());
  if (ended || group == nullptr) return out;
  const auto sides = SidesOf(draft, deployment.auto_scaling_group(), *group, &deployment);
  Fill(sides[0], !serves_new, *out.mutable_old_side());
  Fill(sides[1], serves_new, *out.mutable_new_side());
  Draft copy = draft;  // a pass could edit; this one only looks
  Pass pass(copy, seen, now);
  out.set_waiting(DeploymentWaiting(pass, deployment, IdOf(deployment.name())));
  if (const Time deadline = DeploymentDeadline(deployment); deadline != absl::InfiniteFuture()) {
    *out.mutable_deadline_time() = ToProto(deadline);
  }
  return out;
}

v1::AutoScalingGroup Describe(const Draft& draft, const Observations& seen, Time,
                              const v1::AutoScalingGroup& group) {
  v1::AutoScalingGroup out = group;
  const std::string id = IdOf(group.name());
  const Numbers numbers = CountOf(draft.InstancesOfGroup(id));
  auto& status = *out.mutable_status();
  status.set_pending(numbers.pending);
  status.set_in_service(numbers.in_service);
  status.set_terminating(numbers.terminating);
  status.set_unknown(numbers.unknown);
  std::string deployment;
  ActiveDeployment(draft, id, &deployment);
  status.set_deployment(deployment);
  if (!seen.store.error.empty()) {
    status.set_waiting(absl::StrCat(status.waiting(), status.waiting().empty() ? "" : "; ",
                                    "the store commits nothing, so instances are neither started "
                                    "nor replaced: ",
                                    seen.store.error));
  }
  return out;
}

v1::LoadBalancer Describe(const Draft& draft, const Observations& seen, Time now,
                          const v1::LoadBalancer& balancer) {
  v1::LoadBalancer out = balancer;
  const std::string id = IdOf(balancer.name());
  draft.ForEach<v1::Proxy>([&](const std::string& proxy, const v1::Proxy&) {
    const auto it = seen.proxies.find(proxy);
    if (it == seen.proxies.end() || !IsLive(seen, &it->second, now)) return;
    const auto& errors = it->second.listener_errors;
    for (auto error = errors.lower_bound({id, 0});
         error != errors.end() && error->first.first == id; ++error) {
      v1::ListenerError& told = *out.add_listener_errors();
      told.set_proxy(proxy);
      told.set_port(error->first.second);
      told.set_error(error->second.error);
      *told.mutable_since() = ToProto(error->second.since);
    }
  });
  return out;
}

}  // namespace remuda::core
