#include "proxy/core/routing_table.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <atomic>
#include <set>

#include "common/traffic/address.h"
#include "proxy/core/config_check.h"
#include "proxy/core/enum_check.h"
#include "proxy/core/forward.h"
#include "proxy/core/listener_check.h"
#include "proxy/core/mix.h"
#include "proxy/core/security_groups.h"
#include "proxy/core/table_changes.h"
#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda::proxy {
namespace {

// The controller names a subset GROUP/TEMPLATE:VERSION, with ids of 63 bytes each.
constexpr size_t kMaxSubsetBytes = 255;

uint64_t NextSerial() {
  static std::atomic<uint64_t> serial{0};
  return ++serial;
}

AdminState AdminOf(v1::Target::State state) {
  switch (state) {
    case v1::Target::STATE_DRAINING:
      return AdminState::kDraining;
    case v1::Target::STATE_GONE:
      return AdminState::kGone;
    default:
      return AdminState::kActive;
  }
}

// The ring of a group's members, whatever their health. Those of weight 0 have no place on it.
std::shared_ptr<const HashRing> RingOf(const std::vector<Member>& members) {
  uint32_t max_weight = 0;
  uint32_t min_weight = ~uint32_t{0};
  for (const Member& member : members) {
    if (member.weight == 0) continue;
    max_weight = std::max(max_weight, static_cast<uint32_t>(member.weight));
    min_weight = std::min(min_weight, static_cast<uint32_t>(member.weight));
  }
  std::vector<std::pair<uint64_t, uint32_t>> points;
  points.reserve(members.size() * kPointsATarget);
  for (size_t i = 0; i < members.size(); ++i) {
    const auto weight = static_cast<uint32_t>(members[i].weight);
    if (weight == 0) continue;
    const uint32_t count = PointsOf(weight, max_weight, min_weight == max_weight);
    for (uint32_t n = 0; n < count; ++n)
      points.emplace_back(PlaceOf(members[i].target->id_hash(), n), static_cast<uint32_t>(i));
  }
  std::sort(points.begin(), points.end());
  auto ring = std::make_shared<HashRing>();
  for (const auto& [place, member] : points) ring->Add(place, member);
  ring->Build();
  return ring;
}

std::vector<uint32_t> ByHash(const std::vector<Member>& members) {
  std::vector<uint32_t> order(members.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<uint32_t>(i);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return members[a].target->id_hash() < members[b].target->id_hash();
  });
  return order;
}

// One update on its way into a new table. Everything is done on copies; Run's result is all that
// remains.
class Compiler {
 public:
  Compiler(const RoutingTable& previous, const v1::ConfigUpdate& update,
           const CompileOptions& options)
      : previous_(previous), update_(update), options_(options) {}

  CompileResult Run() {
    table_ = std::make_shared<RoutingTable>();
    table_->revision = {update_.revision().epoch(), update_.revision().sequence()};
    table_->digest = DigestAfter();
    if (update_.has_base()) {
      table_->groups = previous_.groups;
      table_->load_balancers = previous_.load_balancers;
      table_->shared_secrets = previous_.shared_secrets;
    }
    const bool ok = TakeSecrets() && TakeTls() && TakeSecurityGroups() && TakeGroups() &&
                    TakeTargets() && TakeSplits() && CompileGroups() && TakeLoadBalancers() &&
                    Renew();
    if (!ok) return error_;
    if (auto error = CheckListeners(*table_)) return *error;
    NoteChanges(previous_, *table_);
    return std::shared_ptr<const RoutingTable>(std::move(table_));
  }

 private:
  // A group while it is changed.
  struct Draft {
    std::shared_ptr<TargetGroup> group;
    bool is_whole = false;  // the group's own message was in the update
  };

  // A kind of resources that this version does not know is part of what was told, but not of what
  // is kept: then a later version of this program must be told anew, and so for as long as changes
  // build on that.
  std::string DigestAfter() const {
    const auto is_known = [](const google::protobuf::Message& message) {
      return message.GetReflection()->GetUnknownFields(message).empty();
    };
    if (update_.has_base() && previous_.digest.empty()) return "";
    return is_known(update_) && is_known(update_.upserts()) ? update_.digest() : "";
  }

  bool Refuse(std::string resource, std::string reason) {
    error_ = {std::move(resource), std::move(reason)};
    return false;
  }
  static std::string GroupName(const std::string& id) { return "targetGroups/" + id; }

  // What `id` was in the table before, also for a full update, where table_ starts empty: targets
  // keep their state.
  std::shared_ptr<const TargetGroup> Before(const std::string& id) const {
    const auto it = previous_.groups.find(id);
    return it == previous_.groups.end() ? nullptr : it->second;
  }

  // The draft of a group that exists in the new table, or null.
  TargetGroup* DraftOf(const std::string& id) {
    if (const auto it = drafts_.find(id); it != drafts_.end()) return it->second.group.get();
    const auto it = table_->groups.find(id);
    if (it == table_->groups.end()) return nullptr;
    auto copy = std::make_shared<TargetGroup>(*it->second);
    return (drafts_[id] = {copy, false}).group.get();
  }

  bool TakeSecrets() {
    const auto& secrets = update_.upserts().shared_secrets();
    if (secrets.empty()) return true;  // in a change: as before
    if (auto f = CheckRange("shared_secrets", secrets.size(), 0, kMaxSharedSecrets))
      return Refuse("proxyConfig", *f);
    for (const std::string& secret : secrets) {
      if (secret.size() < kMinSecretBytes) {
        return Refuse("proxyConfig", "shared_secrets: one of " + std::to_string(secret.size()) +
                                         " bytes, at least " + std::to_string(kMinSecretBytes));
      }
    }
    table_->shared_secrets.assign(secrets.begin(), secrets.end());
    return true;
  }

  bool TakeTls() {
    tls_.resources = previous_.tls;
    const bool is_taken = UpdateTls(*previous_.tls, update_, options_.tls, tls_, error_);
    table_->tls = tls_.resources;
    return is_taken;
  }

  bool TakeSecurityGroups() {
    const auto& before = previous_.security_groups;
    if (!UpdateSecurityGroups(before, update_, security_groups_, error_)) return false;
    table_->security_groups = security_groups_.groups;
    return true;
  }

  bool TakeGroups() {
    for (const std::string& name : update_.removed_target_groups()) {
      std::string id;
      if (!NormalizeId(name, "targetGroups", id)) return Refuse(name, "not a target group's name");
      table_->groups.erase(id);
    }
    for (const auto& config : update_.upserts().target_groups()) {
      std::string id;
      if (!NormalizeId(config.name(), "targetGroups", id)) {
        return Refuse(config.name(),
                      "name: '" + config.name() + "' is not an id ([a-z0-9-], at most 63)");
      }
      if (drafts_.count(id) > 0) return Refuse(GroupName(id), "name: there are two of it");
      if (auto f = FindUnknownEnum(config)) return Refuse(GroupName(id), *f);
      auto group = std::make_shared<TargetGroup>();
      if (const auto it = table_->groups.find(id); it != table_->groups.end()) {
        group->members = it->second->members;
        group->split = it->second->split;
        group->previews = it->second->previews;
        group->mirror = it->second->mirror;
      }
      group->id = id;
      group->config = std::make_shared<const remuda::v1::TargetGroup>(config);
      if (!CompileOwn(config, *group)) return false;
      const auto before = Before(id);
      group->state = before != nullptr
                         ? before->state
                         : std::make_shared<GroupState>(id, options_.workers,
                                                        NthRandom(options_.seed, NextSerial()));
      drafts_[id] = {std::move(group), true};
    }
    return true;
  }

  bool CompileOwn(const remuda::v1::TargetGroup& config, TargetGroup& group) {
    const std::string name = GroupName(group.id);
    if (auto f = CompileProtocol(config, group)) return Refuse(name, *f);
    if (auto f = AttachTls(config, Before(group.id).get(), options_.tls, group))
      return Refuse(name, *f);
    using std::chrono::milliseconds;
    if (auto f = TakeDuration(config.has_deregistration_delay(), config.deregistration_delay(),
                              {"deregistration_delay", milliseconds(0), milliseconds(3600000)},
                              group.deregistration_delay)) {
      return Refuse(name, *f);
    }
    if (auto f = CompileWebSocketClose(config, group)) return Refuse(name, *f);
    if (auto f = CompileHealthCheck(config, group.health_check)) return Refuse(name, *f);
    if (auto f = CompileGroupPolicy(config, group.policy)) return Refuse(name, *f);
    return true;
  }

  bool TakeTargets() {
    for (const std::string& key : update_.removed_targets()) {
      const size_t slash = key.find('/');
      TargetGroup* group = slash == std::string::npos ? nullptr : DraftOf(key.substr(0, slash));
      if (group == nullptr) continue;  // its group went with it
      const auto it = Position(*group, std::string_view(key).substr(slash + 1));
      if (it != group->members.end() && it->target->id() == key.substr(slash + 1))
        group->members.erase(it);
    }
    SeenTargets seen;
    for (const auto& config : update_.upserts().targets()) {
      if (!TakeTarget(config, seen)) return false;
    }
    return true;
  }

  static std::vector<Member>::iterator Position(TargetGroup& group, std::string_view id) {
    return std::lower_bound(
        group.members.begin(), group.members.end(), id,
        [](const Member& member, std::string_view key) { return member.target->id() < key; });
  }

  // "GROUP/ID" → as it was taken.
  using SeenTargets = std::map<std::string, std::shared_ptr<const v1::Target>>;

  bool TakeTarget(const v1::Target& config, SeenTargets& seen) {
    std::string group_id;
    const std::string id = TargetIdOf(config);
    const std::string name = "targetGroups/" + config.target_group() + "/targets/" + id;
    TargetGroup* group =
        NormalizeId(config.target_group(), "targetGroups", group_id) ? DraftOf(group_id) : nullptr;
    if (group == nullptr) {
      return Refuse(name, "target_group: there is no target group '" + config.target_group() + "'");
    }
    if (auto f = FindUnknownEnum(config)) return Refuse(name, *f);
    if (id.size() > 128) return Refuse(name, "id: longer than 128 bytes");
    const std::string address = traffic::CanonicalAddress(config.address());
    if (address.empty()) {
      return Refuse(name, "address: '" + config.address() + "' is not an IPv4 or IPv6 address");
    }
    auto stored = std::make_shared<v1::Target>(config);
    stored->set_id(id);
    stored->set_target_group(group_id);
    stored->set_address(address);
    const auto [known, is_new] = seen.emplace(group_id + "/" + id, stored);
    if (!is_new) {
      // One target, though its address may be spelled in two ways; but not with two weights.
      return google::protobuf::util::MessageDifferencer::Equals(*known->second, *stored) ||
             Refuse(name, "id: there are two of it");
    }
    if (auto f = CheckRange("port", config.port(), 1, 65535)) return Refuse(name, *f);
    if (config.subset().size() > kMaxSubsetBytes) {
      return Refuse(name, "subset: longer than " + std::to_string(kMaxSubsetBytes) + " bytes");
    }
    Member member;
    member.weight = config.has_weight() ? config.weight() : 1;
    if (auto f = CheckRange("weight", member.weight, 0, kMaxGroupWeight)) return Refuse(name, *f);
    member.admin = AdminOf(config.state());
    member.is_own_zone = !options_.zone.empty() && config.zone() == options_.zone;
    const auto port = static_cast<uint16_t>(config.port());
    if (const auto before = Before(group_id)) {
      const Member* old = before->Find(id);
      if (old != nullptr && old->target->address() == address && old->target->port() == port) {
        member.target = old->target;
      }
    }
    if (member.target == nullptr) {
      member.target =
          std::make_shared<TargetState>(group->state, id, address, port, options_.workers);
    }
    member.config = std::move(stored);
    const auto it = Position(*group, id);
    if (it != group->members.end() && it->target->id() == id) {
      *it = std::move(member);
    } else {
      if (group->members.size() >= static_cast<size_t>(kMaxTargets)) {
        return Refuse(GroupName(group_id), "more than " + std::to_string(kMaxTargets) + " targets");
      }
      group->members.insert(it, std::move(member));
    }
    return true;
  }

  bool TakeSplits() {
    for (const std::string& name : update_.removed_traffic_splits()) {
      std::string id;
      if (!NormalizeId(name, "targetGroups", id)) continue;
      if (TargetGroup* group = DraftOf(id)) {
        group->split = nullptr;
        group->previews.clear();
        group->mirror = {};
      }
    }
    std::set<std::string> seen;
    for (const auto& config : update_.upserts().traffic_splits()) {
      std::string id;
      TargetGroup* group =
          NormalizeId(config.target_group(), "targetGroups", id) ? DraftOf(id) : nullptr;
      const std::string name = "trafficSplits/" + config.target_group();
      if (group == nullptr) {
        return Refuse(name,
                      "target_group: there is no target group '" + config.target_group() + "'");
      }
      if (!seen.insert(id).second) return Refuse(name, "there are two of it");
      if (auto f = CheckRange("subsets", config.subsets_size(), 0, kMaxSubsets))
        return Refuse(name, *f);
      std::set<std::string> subsets;
      for (const auto& subset : config.subsets()) {
        if (auto f = CheckRange("subsets.weight", subset.weight(), 0, kMaxSubsetWeight))
          return Refuse(name, *f);
        if (!subsets.insert(subset.subset()).second) {
          return Refuse(name, "subsets: '" + subset.subset() + "' is there twice");
        }
      }
      if (auto f = CompilePreviews(config, group->previews, group->mirror)) return Refuse(name, *f);
      group->split = std::make_shared<const v1::TrafficSplit>(config);
    }
    return true;
  }

  // The subsets of a changed group from its split and its targets, then into the table.
  bool CompileGroups() {
    for (auto& [id, draft] : drafts_) {
      TargetGroup& group = *draft.group;
      group.serial = NextSerial();
      group.subsets.clear();
      std::map<std::string, size_t> index;
      const auto subset_index = [&](const std::string& name, int32_t weight) {
        const auto [it, is_new] = index.emplace(name, group.subsets.size());
        if (is_new) group.subsets.push_back({name, weight});
        return it->second;
      };
      if (group.split != nullptr) {
        for (const auto& subset : group.split->subsets())
          subset_index(subset.subset(), subset.weight());
      }
      const int32_t unnamed_weight = group.split == nullptr ? 1 : 0;
      for (Member& member : group.members) {
        member.subset = subset_index(member.config->subset(), unnamed_weight);
      }
      NoteDirectSubsets(subset_index, group);
      KeepCounts(group, Before(id).get());
      group.hash_ring =
          group.policy.algorithm == Algorithm::kConsistentHash ? RingOf(group.members) : nullptr;
      group.members_by_hash = group.policy.stickiness.kind != StickinessSpec::Kind::kOff
                                  ? ByHash(group.members)
                                  : std::vector<uint32_t>();
      table_->groups[id] = std::move(draft.group);
    }
    return true;
  }

  // Those that are reached besides their share, whether they have a target or a weight or not.
  template <typename IndexOf>
  static void NoteDirectSubsets(IndexOf index_of, TargetGroup& group) {
    group.direct_subsets.clear();
    if (group.split == nullptr) return;
    const auto note = [&](const std::string& name) {
      const size_t at = index_of(name, 0);
      auto& noted = group.direct_subsets;
      if (std::find(noted.begin(), noted.end(), at) == noted.end()) noted.push_back(at);
    };
    for (const auto& preview : group.split->previews()) note(preview.subset());
    if (group.split->has_mirror()) note(group.split->mirror().subset());
  }

  // Gives each subset the counts that it had in the table before, or had once.
  void KeepCounts(TargetGroup& group, const TargetGroup* before) const {
    std::vector<SubsetSpec> past;
    if (before != nullptr) {
      past = before->subsets;
      past.insert(past.end(), before->past_subsets.begin(), before->past_subsets.end());
    }
    std::map<std::string_view, const SubsetSpec*> known;
    for (const SubsetSpec& subset : past) known.emplace(subset.name, &subset);
    for (SubsetSpec& subset : group.subsets) {
      const auto it = known.find(subset.name);
      if (it != known.end()) {
        subset.state = it->second->state;
        known.erase(it);
      } else {
        subset.state = std::make_shared<SubsetState>(options_.workers);
      }
    }
    group.past_subsets.clear();
    for (const SubsetSpec& subset : past) {
      if (known.count(subset.name) > 0 && group.past_subsets.size() < kMaxPastSubsets)
        group.past_subsets.push_back(subset);
    }
  }

  bool TakeLoadBalancers() {
    for (const std::string& name : update_.removed_load_balancers()) {
      std::string id;
      if (!NormalizeId(name, "loadBalancers", id))
        return Refuse(name, "not a load balancer's name");
      table_->load_balancers.erase(id);
    }
    std::set<std::string> seen;
    const GroupLookup groups = [&](const std::string& id) -> std::shared_ptr<GroupState> {
      const auto it = table_->groups.find(id);
      return it == table_->groups.end() ? nullptr : it->second->state;
    };
    for (const auto& config : update_.upserts().load_balancers()) {
      auto balancer = std::make_shared<LoadBalancer>();
      if (!NormalizeId(config.name(), "loadBalancers", balancer->id)) {
        return Refuse(config.name(),
                      "name: '" + config.name() + "' is not an id ([a-z0-9-], at most 63)");
      }
      const std::string name = "loadBalancers/" + balancer->id;
      if (!seen.insert(balancer->id).second) return Refuse(name, "name: there are two of it");
      if (auto f = FindUnknownEnum(config)) return Refuse(name, *f);
      if (auto f = CompileLoadBalancer(config, groups, options_.allow_port_zero, *balancer)) {
        return Refuse(name, *f);
      }
      if (auto f = Attach(config, *balancer)) return Refuse(name, *f);
      balancer->serial = NextSerial();
      BeginTurns(NthRandom(options_.seed, balancer->serial), *balancer);
      balancer->config = std::make_shared<const remuda::v1::LoadBalancer>(config);
      for (ListenerSpec& listener : balancer->listeners) listener.load_balancer = balancer.get();
      if (const auto it = previous_.load_balancers.find(balancer->id);
          it != previous_.load_balancers.end()) {
        KeepTurns(*it->second, *balancer);
        balancer->state = it->second->state;
      } else {
        balancer->state = std::make_shared<BalancerState>(options_.workers);
      }
      table_->load_balancers[balancer->id] = std::move(balancer);
    }
    return true;
  }

  // What listeners are besides their own messages.
  Fault Attach(const remuda::v1::LoadBalancer& config, LoadBalancer& balancer) const {
    if (auto f = AttachTls(config, *table_->tls, options_.tls, balancer)) return f;
    return AttachIngress(config, table_->security_groups, balancer);
  }

  // A certificate or a security group changed under load balancers that did not.
  bool Renew() {
    for (auto& [id, balancer] : table_->load_balancers) {
      const auto before = previous_.load_balancers.find(id);
      const bool is_due =
          before != previous_.load_balancers.end() && before->second == balancer &&
          (IsTouched(*balancer->config, tls_) || IsTouched(*balancer->config, security_groups_));
      if (!is_due) continue;
      auto copy = std::make_shared<LoadBalancer>(*balancer);
      if (auto f = Attach(*copy->config, *copy)) return Refuse("loadBalancers/" + id, *f);
      copy->serial = NextSerial();
      for (ListenerSpec& listener : copy->listeners) listener.load_balancer = copy.get();
      balancer = std::move(copy);
    }
    return true;
  }

  const RoutingTable& previous_;
  const v1::ConfigUpdate& update_;
  const CompileOptions& options_;
  std::shared_ptr<RoutingTable> table_;
  TlsUpdate tls_;
  SecurityGroupUpdate security_groups_;
  std::map<std::string, Draft> drafts_;
  ConfigError error_;
};

}  // namespace

std::string ListenerSpec::Key() const {
  // Connections that were accepted for another protocol must not go on with this one.
  const std::string protocol_key = "|" + std::to_string(static_cast<int>(protocol));
  if (port != 0) return address + "|" + std::to_string(port) + protocol_key;
  return load_balancer->id + "#" + std::to_string(this - load_balancer->listeners.data()) + "|" +
         address + protocol_key;
}

const Member* TargetGroup::Find(std::string_view target_id) const {
  const auto it =
      std::lower_bound(members.begin(), members.end(), target_id,
                       [](const Member& m, std::string_view key) { return m.target->id() < key; });
  return it != members.end() && it->target->id() == target_id ? &*it : nullptr;
}

CompileResult CompileUpdate(const RoutingTable& previous, const v1::ConfigUpdate& update,
                            const CompileOptions& options) {
  return Compiler(previous, update, options).Run();
}

void Publish(const RoutingTable& table) {
  for (const auto& [target, admin] : table.admin_changes) target->SetAdmin(admin);
}

}  // namespace remuda::proxy
