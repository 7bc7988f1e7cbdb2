#include "controller/core/views/proxy_config.h"

#include <utility>

#include "controller/core/reconcile/gates.h"
#include "controller/core/views/ingress.h"
#include "controller/core/views/target_group_view.h"

namespace remuda::core {

std::vector<std::string> LoadBalancersOf(const State& state, std::string_view proxy) {
  std::vector<std::string> out;
  const auto* row = state.Find<v1::Proxy>(proxy);
  if (row == nullptr) return out;
  for (const auto& [id, balancer] : state.All<v1::LoadBalancer>()) {
    if (Serves(**row, *balancer)) out.push_back(id);
  }
  return out;
}

std::set<std::string> CertificatesOf(const v1::LoadBalancer& load_balancer) {
  std::set<std::string> out;
  for (const auto& listener : load_balancer.listeners())
    out.insert(listener.certificates().begin(), listener.certificates().end());
  return out;
}

proxy::v1::ProxyConfig ConfigFor(const State& state, const Observations& seen,
                                 std::string_view proxy) {
  proxy::v1::ProxyConfig config;
  std::set<std::string> target_groups;
  std::set<std::string> certificates;
  std::set<std::string> security_groups;
  for (const std::string& id : LoadBalancersOf(state, proxy)) {
    const v1::LoadBalancer& balancer = **state.Find<v1::LoadBalancer>(id);
    *config.add_load_balancers() = balancer;
    target_groups.merge(TargetGroupsOf(balancer));
    certificates.merge(CertificatesOf(balancer));
    security_groups.insert(balancer.security_groups().begin(), balancer.security_groups().end());
  }
  if (!security_groups.empty()) {
    Ingress ingress;
    ingress.Refresh(state, {});
    for (const std::string& id : security_groups) {
      const auto group = ingress.SecurityGroupOf(id);
      if (group != nullptr) *config.add_security_groups() = *group;
    }
  }
  for (const std::string& id : certificates) {
    const auto* entry = state.Find<v1::Certificate>(id);
    if (entry != nullptr) *config.add_certificates() = **entry;
  }
  for (const std::string& id : target_groups) {
    TargetGroupView view = TargetGroupViewOf(state, seen, id);
    if (view.target_group.has_value()) *config.add_target_groups() = std::move(*view.target_group);
    for (auto& [key, target] : view.targets) *config.add_targets() = std::move(target);
    if (view.split.has_value()) *config.add_traffic_splits() = std::move(*view.split);
  }
  return config;
}

}  // namespace remuda::core
