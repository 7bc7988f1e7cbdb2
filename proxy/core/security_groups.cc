#include "proxy/core/security_groups.h"

#include <google/protobuf/util/message_differencer.h>

#include <utility>
#include <vector>

#include "common/traffic/ingress.h"
#include "proxy/core/enum_check.h"
#include "proxy/core/ingress_set.h"
#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda::proxy {
namespace {

constexpr std::string_view kCollection = "securityGroups";

using remuda::v1::SecurityGroup;

bool RefuseGroup(std::string resource, std::string reason, ConfigError& error) {
  error = {std::move(resource), std::move(reason)};
  return false;
}

Fault CheckOne(const SecurityGroup& config) {
  if (Fault f = FindUnknownEnum(config)) return f;
  for (const traffic::FieldFault& fault : traffic::CheckIngress(config, kMaxIngressBlocks)) {
    return fault.field + ": " + (fault.value ? Quote(*fault.value) + " " : "") + fault.rule;
  }
  for (int i = 0; i < config.ingress_size(); ++i) {
    if (config.ingress(i).security_groups().empty()) continue;
    return "ingress[" + std::to_string(i) +
           "].security_groups: a proxy knows addresses alone; a controller puts them in";
  }
  return std::nullopt;
}

int64_t BlocksOf(const SecurityGroup& config) {
  int64_t count = 0;
  for (const auto& rule : config.ingress()) count += rule.cidrs_size();
  return count;
}

Fault CheckSizes(const SecurityGroups& groups) {
  if (Fault f = CheckRange("security_groups", static_cast<int64_t>(groups.size()), 0,
                           kMaxSecurityGroups)) {
    return f;
  }
  int64_t blocks = 0;
  for (const auto& [id, config] : groups) blocks += BlocksOf(*config);
  return CheckRange("cidrs of all security groups", blocks, 0, kMaxIngressBlocks);
}

}  // namespace

bool UpdateSecurityGroups(const SecurityGroups& previous, const v1::ConfigUpdate& update,
                          SecurityGroupUpdate& out, ConfigError& error) {
  if (update.has_base()) out.groups = previous;
  for (const std::string& name : update.removed_security_groups()) {
    std::string id;
    if (!NormalizeId(name, kCollection, id))
      return RefuseGroup(name, "not a security group's name", error);
    out.groups.erase(id);
  }
  std::set<std::string> seen;
  for (const auto& config : update.upserts().security_groups()) {
    std::string id;
    if (!NormalizeId(config.name(), kCollection, id)) {
      return RefuseGroup(config.name(),
                         "name: " + Quote(config.name()) + " is not an id ([a-z0-9-], at most 63)",
                         error);
    }
    const std::string name = std::string(kCollection) + "/" + id;
    if (!seen.insert(id).second) return RefuseGroup(name, "name: there are two of it", error);
    if (Fault f = CheckOne(config)) return RefuseGroup(name, *f, error);
    const auto before = previous.find(id);
    const bool is_same =
        before != previous.end() &&
        google::protobuf::util::MessageDifferencer::Equals(*before->second, config);
    out.groups[id] = is_same ? before->second : std::make_shared<const SecurityGroup>(config);
  }
  if (Fault f = CheckSizes(out.groups)) return RefuseGroup("proxyConfig", *f, error);
  for (const auto& [id, config] : out.groups) {
    const auto before = previous.find(id);
    if (before == previous.end() || before->second != config) out.changed.insert(id);
  }
  for (const auto& [id, config] : previous) {
    if (!out.groups.contains(id)) out.changed.insert(id);
  }
  return true;
}

Fault AttachIngress(const remuda::v1::LoadBalancer& config, const SecurityGroups& groups,
                    LoadBalancer& balancer) {
  if (Fault f = CheckRange("security_groups", config.security_groups_size(), 0,
                           traffic::kSecurityGroupsAttached)) {
    return f;
  }
  std::vector<const remuda::v1::IngressRule*> rules;
  for (const std::string& name : config.security_groups()) {
    std::string id;
    if (!NormalizeId(name, kCollection, id))
      return "security_groups: " + Quote(name) + " is not a security group's name";
    const auto it = groups.find(id);
    if (it == groups.end()) return "security_groups: there is no security group " + Quote(id);
    for (const auto& rule : it->second->ingress()) rules.push_back(&rule);
  }
  // Listeners that the same rules speak of share a set: which ones do is its key.
  std::map<std::vector<bool>, std::shared_ptr<const IngressSet>> sets;
  for (ListenerSpec& listener : balancer.listeners) {
    listener.ingress = nullptr;
    if (config.security_groups().empty()) continue;
    std::vector<bool> wanted;
    for (const auto* rule : rules)
      wanted.push_back(traffic::LetsIn(*rule, /*is_udp=*/false, listener.port));
    std::shared_ptr<const IngressSet>& set = sets[wanted];
    if (set == nullptr) {
      std::vector<traffic::Cidr> blocks;
      for (size_t i = 0; i < rules.size(); ++i) {
        if (wanted[i]) traffic::AddBlocks(*rules[i], blocks);
      }
      set = std::make_shared<const IngressSet>(std::move(blocks));
    }
    listener.ingress = set;
  }
  return std::nullopt;
}

bool IsTouched(const remuda::v1::LoadBalancer& config, const SecurityGroupUpdate& update) {
  for (const std::string& name : config.security_groups()) {
    std::string id;
    if (NormalizeId(name, kCollection, id) && update.changed.contains(id)) return true;
  }
  return false;
}

}  // namespace remuda::proxy
