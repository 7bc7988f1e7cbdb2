#include "controller/core/views/ingress.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "common/traffic/cidr.h"
#include "common/traffic/ingress.h"
#include "controller/core/model/addresses.h"
#include "controller/core/reconcile/gates.h"

namespace remuda::core {
namespace {

using google::protobuf::util::MessageDifferencer;

// Security groups that some rule has as a source.
std::set<std::string> SourcesOf(const State& state) {
  std::set<std::string> out;
  for (const auto& [id, row] : state.All<v1::SecurityGroup>()) {
    for (const v1::IngressRule& rule : row->ingress())
      out.insert(rule.security_groups().begin(), rule.security_groups().end());
  }
  return out;
}

// Whether a rule has one of `sources`.
bool HasSource(const v1::SecurityGroup& group, const std::set<std::string>& sources) {
  return std::any_of(
      group.ingress().begin(), group.ingress().end(), [&](const v1::IngressRule& rule) {
        return std::any_of(rule.security_groups().begin(), rule.security_groups().end(),
                           [&](const std::string& id) { return sources.contains(id); });
      });
}

// As a rule that names the blocks alone.
v1::IngressRule WithoutSources(const v1::IngressRule& rule) {
  v1::IngressRule out;
  out.set_ip_protocol(rule.ip_protocol());
  out.set_from_port(rule.from_port());
  out.set_to_port(rule.to_port());
  return out;
}

// Adds the fewest blocks that say the same to the rule while `room` lasts; those that found no
// place.
size_t AddBlocks(std::vector<traffic::Cidr> blocks, size_t& room, v1::IngressRule& rule) {
  const std::vector<traffic::Cidr> merged = traffic::Merged(std::move(blocks));
  const size_t taken = std::min(room, merged.size());
  for (size_t i = 0; i < taken; ++i) rule.add_cidrs(traffic::CidrText(merged[i]));
  room -= taken;
  return merged.size() - taken;
}

void AddAddresses(const std::set<std::string>& addresses, std::vector<traffic::Cidr>& out) {
  for (const std::string& address : addresses) {
    traffic::Cidr block;
    if (traffic::ParseBlock(address, block).empty()) out.push_back(block);
  }
}

}  // namespace

bool Filters(const v1::AutoScalingGroup& group) {
  return group.require_ingress_filter() || !group.security_groups().empty();
}

Ingress::Told Ingress::Refresh(const State& state, const Touched& touched) {
  Told told;
  if (touched.groups) FindMembers(state, told);
  if (touched.instances != nullptr && !members_.empty()) {
    for (const std::string& id : *touched.instances) Move(state, id);
  }
  if (touched.hosts != nullptr && !members_.empty()) FollowHosts(state, *touched.hosts);
  if (touched.groups || touched.proxies) FollowProxies(state);
  std::set<std::string> sources;
  if (std::exchange(are_sources_stale_, false)) sources = FindSources(state);
  if (touched.groups || !sources.empty()) Resolve(state, touched.groups, sources, told);
  if (touched.groups || touched.proxies || !sources.empty())
    MakeFilters(state, touched.groups, sources, told);
  return told;
}

void Ingress::FindMembers(const State& state, Told& told) {
  std::erase_if(members_, [&](const auto& entry) {
    const auto* row = state.Find<v1::AutoScalingGroup>(entry.first);
    if (row != nullptr && Filters(**row)) return false;
    told.auto_scaling_groups.insert(entry.first);
    return true;
  });
  std::erase_if(places_, [&](const auto& entry) { return !members_.contains(entry.second.first); });
  // Nobody follows them while there is no member.
  if (members_.empty()) host_addresses_.clear();
  const std::set<std::string> sources = SourcesOf(state);
  for (const auto& [id, row] : state.All<v1::AutoScalingGroup>()) {
    if (!Filters(*row)) continue;
    const auto [member, is_new] = members_.try_emplace(id);
    member->second.is_source =
        std::any_of(row->security_groups().begin(), row->security_groups().end(),
                    [&](const std::string& group) { return sources.contains(group); });
    if (!is_new) continue;
    for (const std::string& instance : state.InstancesOfGroup(id)) Move(state, instance);
  }
  are_sources_stale_ = true;
}

void Ingress::Move(const State& state, const std::string& instance) {
  const auto* row = state.Find<v1::Instance>(instance);
  const bool is_there = row != nullptr && (*row)->state() != v1::INSTANCE_STATE_TERMINATED &&
                        !(*row)->host().empty() && members_.contains((*row)->auto_scaling_group());
  const auto before = places_.find(instance);
  if (!is_there) {
    if (before == places_.end()) return;
    Count(before->second, -1);
    places_.erase(before);
    return;
  }
  Place now{(*row)->auto_scaling_group(), (*row)->host()};
  if (before != places_.end()) {
    if (before->second == now) return;
    Count(before->second, -1);
  }
  Count(now, 1);
  if (!host_addresses_.contains(now.second)) {
    const auto* host = state.Find<v1::Host>(now.second);
    host_addresses_[now.second] = host == nullptr ? "" : (*host)->address();
  }
  places_[instance] = std::move(now);
}

void Ingress::Count(const Place& place, int by) {
  const auto member = members_.find(place.first);
  if (member == members_.end()) return;
  int& count = member->second.hosts[place.second];
  count += by;
  const bool is_other = count == 0 || (count == 1 && by == 1);
  are_sources_stale_ = are_sources_stale_ || (is_other && member->second.is_source);
  if (count == 0) member->second.hosts.erase(place.second);
}

void Ingress::FollowHosts(const State& state, const std::set<std::string>& hosts) {
  for (const std::string& id : hosts) {
    const auto known = host_addresses_.find(id);
    if (known == host_addresses_.end()) continue;
    const auto* host = state.Find<v1::Host>(id);
    const std::string address = host == nullptr ? "" : (*host)->address();
    if (known->second == address) continue;
    known->second = address;
    are_sources_stale_ = true;
  }
}

void Ingress::FollowProxies(const State& state) {
  std::map<std::string, Addresses, std::less<>> of_balancers;
  std::map<std::string, Addresses, std::less<>> of_target_groups;  // of members
  for (const auto& [id, member] : members_) {
    for (const std::string& group : (*state.Find<v1::AutoScalingGroup>(id))->target_groups())
      of_target_groups[group];
  }
  for (const auto& [id, balancer] : state.All<v1::LoadBalancer>()) {
    const bool is_source = !balancer->security_groups().empty();
    std::vector<Addresses*> wanted;
    if (!of_target_groups.empty()) {
      for (const std::string& group : TargetGroupsOf(*balancer)) {
        const auto it = of_target_groups.find(group);
        if (it != of_target_groups.end()) wanted.push_back(&it->second);
      }
    }
    if (!is_source && wanted.empty()) continue;
    Addresses addresses;
    for (const auto& [name, proxy] : state.All<v1::Proxy>()) {
      if (!Serves(*proxy, *balancer)) continue;
      for (std::string& address : AddressesOf(*proxy)) addresses.insert(std::move(address));
    }
    for (Addresses* of_group : wanted) of_group->insert(addresses.begin(), addresses.end());
    if (is_source) of_balancers[id] = std::move(addresses);
  }
  if (of_balancers != balancer_proxies_) are_sources_stale_ = true;
  balancer_proxies_ = std::move(of_balancers);
  for (auto& [id, member] : members_) {
    Addresses now;
    for (const std::string& group : (*state.Find<v1::AutoScalingGroup>(id))->target_groups()) {
      const Addresses& of_group = of_target_groups[group];
      now.insert(of_group.begin(), of_group.end());
    }
    if (now == member.proxies) continue;
    member.proxies = std::move(now);
    member.is_stale = true;
  }
}

std::set<std::string> Ingress::FindSources(const State& state) {
  std::map<std::string, Addresses, std::less<>> now;
  const std::set<std::string> wanted = SourcesOf(state);
  if (!wanted.empty()) {
    const auto add = [&](const auto& attached, const Addresses& addresses) {
      for (const std::string& id : attached) {
        if (wanted.contains(id)) now[id].insert(addresses.begin(), addresses.end());
      }
    };
    for (const auto& [id, member] : members_) {
      const v1::AutoScalingGroup& row = **state.Find<v1::AutoScalingGroup>(id);
      Addresses addresses;
      for (const auto& [host, count] : member.hosts) {
        for (std::string& address : AddressesIn(host_addresses_[host]))
          addresses.insert(std::move(address));
      }
      add(row.security_groups(), addresses);
    }
    for (const auto& [id, addresses] : balancer_proxies_)
      add((*state.Find<v1::LoadBalancer>(id))->security_groups(), addresses);
  }
  std::set<std::string> changed;
  const auto compare = [&changed](const auto& a, const auto& b) {
    for (const auto& [id, addresses] : a) {
      const auto it = b.find(id);
      if (it == b.end() ? !addresses.empty() : it->second != addresses) changed.insert(id);
    }
  };
  compare(now, sources_);
  compare(sources_, now);
  sources_ = std::move(now);
  return changed;
}

size_t Ingress::AddRules(const v1::SecurityGroup& group, size_t& room,
                         google::protobuf::RepeatedPtrField<v1::IngressRule>& out) const {
  size_t left_out = 0;
  // What is named first: it has its place whoever comes and goes.
  std::vector<v1::IngressRule> rules;
  for (const v1::IngressRule& rule : group.ingress()) {
    std::vector<traffic::Cidr> blocks;
    traffic::AddBlocks(rule, blocks);
    left_out += AddBlocks(std::move(blocks), room, rules.emplace_back(WithoutSources(rule)));
  }
  for (int i = 0; i < group.ingress_size(); ++i) {
    std::vector<traffic::Cidr> blocks;
    for (const std::string& source : group.ingress(i).security_groups()) {
      const auto it = sources_.find(source);
      if (it != sources_.end()) AddAddresses(it->second, blocks);
    }
    left_out += AddBlocks(std::move(blocks), room, rules[static_cast<size_t>(i)]);
  }
  for (v1::IngressRule& rule : rules) {
    if (!rule.cidrs().empty()) *out.Add() = std::move(rule);
  }
  return left_out;
}

void Ingress::Resolve(const State& state, bool all, const std::set<std::string>& sources,
                      Told& told) {
  std::set<std::string> named;
  for (const auto& [id, balancer] : state.All<v1::LoadBalancer>())
    named.insert(balancer->security_groups().begin(), balancer->security_groups().end());
  std::erase_if(told_, [&](const auto& entry) {
    if (named.contains(entry.first)) return false;
    told.security_groups.insert(entry.first);
    return true;
  });
  for (const std::string& id : named) {
    const auto* row = state.Find<v1::SecurityGroup>(id);
    if (row == nullptr || (!all && !HasSource(**row, sources))) continue;
    auto now = std::make_shared<v1::SecurityGroup>();
    now->set_name((*row)->name());
    size_t room = kIngressBlocks;
    AddRules(**row, room, *now->mutable_ingress());
    std::shared_ptr<const v1::SecurityGroup>& before = told_[id];
    if (before != nullptr && MessageDifferencer::Equals(*before, *now)) continue;
    before = std::move(now);
    told.security_groups.insert(id);
  }
}

void Ingress::MakeFilters(const State& state, bool all, const std::set<std::string>& sources,
                          Told& told) {
  for (auto& [id, member] : members_) {
    const v1::AutoScalingGroup& row = **state.Find<v1::AutoScalingGroup>(id);
    const bool has_source = std::any_of(row.security_groups().begin(), row.security_groups().end(),
                                        [&](const std::string& group) {
                                          const auto* found = state.Find<v1::SecurityGroup>(group);
                                          return found != nullptr && HasSource(**found, sources);
                                        });
    if (!std::exchange(member.is_stale, false) && !all && !has_source) continue;
    auto now = std::make_shared<agent::v1::IngressFilter>();
    now->set_required(row.require_ingress_filter());
    size_t room = kIngressBlocks;
    std::vector<traffic::Cidr> proxies;
    AddAddresses(member.proxies, proxies);
    v1::IngressRule rule;
    rule.set_ip_protocol(v1::IP_PROTOCOL_TCP);
    member.left_out = AddBlocks(std::move(proxies), room, rule);
    if (!rule.cidrs().empty()) *now->add_rules() = std::move(rule);
    for (const std::string& group : row.security_groups()) {
      const auto* found = state.Find<v1::SecurityGroup>(group);
      if (found != nullptr) member.left_out += AddRules(**found, room, *now->mutable_rules());
    }
    if (member.filter != nullptr && MessageDifferencer::Equals(*member.filter, *now)) continue;
    member.filter = std::move(now);
    told.auto_scaling_groups.insert(id);
  }
}

std::shared_ptr<const v1::SecurityGroup> Ingress::SecurityGroupOf(std::string_view id) const {
  const auto it = told_.find(id);
  return it == told_.end() ? nullptr : it->second;
}

std::shared_ptr<const agent::v1::IngressFilter> Ingress::FilterOf(std::string_view group) const {
  const auto it = members_.find(group);
  return it == members_.end() ? nullptr : it->second.filter;
}

std::set<std::string> Ingress::HostsThatLetIn(const v1::Proxy& proxy) const {
  const std::vector<std::string> addresses = AddressesOf(proxy);
  std::set<std::string> out;
  for (const auto& [id, member] : members_) {
    const bool is_let_in = std::any_of(
        addresses.begin(), addresses.end(),
        [&proxies = member.proxies](const auto& address) { return proxies.contains(address); });
    if (!is_let_in) continue;
    for (const auto& [host, count] : member.hosts) out.insert(host);
  }
  return out;
}

size_t Ingress::LeftOutOf(std::string_view group) const {
  const auto it = members_.find(group);
  return it == members_.end() ? 0 : it->second.left_out;
}

}  // namespace remuda::core
