// Ingress: what security groups come down to: addresses. Of each group that a load balancer names,
// the rules as proxies are told them; of each auto scaling group that filters, who may reach its
// instances.
//
// A group that is a source stands for the hosts that run instances of auto scaling groups, and the
// proxies that serve load balancers, that it is attached to. Owns: the answers, brought up to date
// by what has changed: an instance that comes or goes costs a few look-ups, a host or a proxy the
// groups that it is a source of. Does not own: who is told (controller/views). Pure but for its own
// memory. Thread: the loop thread.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "controller/core/model/state.h"
#include "remuda/agent/v1/agent.pb.h"

namespace remuda::core {

// Blocks of addresses that a security group is told proxies with, and an auto scaling group's hosts
// in all: what security groups name (limits::kCidrsAttached), then addresses of proxies and of
// sources. Those that do not fit are not let in; see Ingress::LeftOutOf.
inline constexpr size_t kIngressBlocks = 4'096;

// Whether hosts filter what comes in to the group's instances.
bool Filters(const v1::AutoScalingGroup& group);

class Ingress {
 public:
  // What may be otherwise than when it was last brought up to date.
  struct Touched {
    bool groups = true;   // security groups, or who names them
    bool proxies = true;  // proxies, or load balancers
    // Of any state, and of any host; null: none.
    const std::set<std::string>* instances = nullptr;
    const std::set<std::string>* hosts = nullptr;
  };
  // Who is to be told.
  struct Told {
    std::set<std::string> security_groups;      // that a load balancer names, or did
    std::set<std::string> auto_scaling_groups;  // whose instances' filter is another one
  };
  Told Refresh(const State& state, const Touched& touched);

  // With addresses alone, without what only people read; null: no load balancer names it.
  std::shared_ptr<const v1::SecurityGroup> SecurityGroupOf(std::string_view id) const;
  // Null: everybody may reach its instances.
  std::shared_ptr<const agent::v1::IngressFilter> FilterOf(std::string_view group) const;
  // Hosts with instances that the proxy may send to, and that filter.
  std::set<std::string> HostsThatLetIn(const v1::Proxy& proxy) const;
  // Blocks that found no place in the filter; 0: none.
  size_t LeftOutOf(std::string_view group) const;

 private:
  using Addresses = std::set<std::string>;
  // An auto scaling group that filters.
  struct Member {
    std::map<std::string, int, std::less<>> hosts;  // instances on each
    Addresses proxies;                              // that serve its target groups
    bool is_source = false;                         // a rule has a group of it as a source
    bool is_stale = true;                           // its filter has to be made anew
    std::shared_ptr<const agent::v1::IngressFilter> filter;
    size_t left_out = 0;
  };
  using Place = std::pair<std::string, std::string>;  // group, host

  void FindMembers(const State& state, Told& told);
  void Move(const State& state, const std::string& instance);
  void Count(const Place& place, int by);
  // Whose address is another one now.
  void FollowHosts(const State& state, const std::set<std::string>& hosts);
  void FollowProxies(const State& state);
  // What the sources stand for now; those that stand for something else than before.
  std::set<std::string> FindSources(const State& state);
  // `all`, or those with a rule that has one of `sources`.
  void Resolve(const State& state, bool all, const std::set<std::string>& sources, Told& told);
  void MakeFilters(const State& state, bool all, const std::set<std::string>& sources, Told& told);
  // The rules of a group with addresses in place of sources, into `out` while `room` lasts; the
  // blocks that found no place.
  size_t AddRules(const v1::SecurityGroup& group, size_t& room,
                  google::protobuf::RepeatedPtrField<v1::IngressRule>& out) const;

  std::map<std::string, Member, std::less<>> members_;
  std::map<std::string, Place, std::less<>> places_;                // by instance
  std::map<std::string, std::string, std::less<>> host_addresses_;  // of hosts of members
  std::map<std::string, Addresses, std::less<>> balancer_proxies_;  // of load balancers with groups
  std::map<std::string, Addresses, std::less<>> sources_;           // by security group
  std::map<std::string, std::shared_ptr<const v1::SecurityGroup>, std::less<>> told_;
  bool are_sources_stale_ = false;
};

}  // namespace remuda::core
