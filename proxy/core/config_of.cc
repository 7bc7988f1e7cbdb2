// A table's config, as its messages say it.
#include "proxy/core/routing_table.h"
#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda::proxy {

v1::ProxyConfig ConfigOf(const RoutingTable& table) {
  v1::ProxyConfig config;
  for (const std::string& secret : table.shared_secrets) config.add_shared_secrets(secret);
  for (const auto& [id, balancer] : table.load_balancers)
    *config.add_load_balancers() = *balancer->config;
  for (const auto& [id, group] : table.groups) {
    *config.add_target_groups() = *group->config;
    for (const Member& member : group->members) *config.add_targets() = *member.config;
    if (group->split != nullptr) *config.add_traffic_splits() = *group->split;
  }
  for (const auto& [id, group] : table.security_groups) *config.add_security_groups() = *group;
  for (const auto& [id, entry] : table.tls->certificates)
    *config.add_certificates() = *entry.config;
  return config;
}

}  // namespace remuda::proxy
