#include "controller/views/proxy_views.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <utility>

#include "controller/core/reconcile/gates.h"
#include "controller/core/views/proxy_config.h"
#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda {
namespace {

using google::protobuf::util::MessageDifferencer;
using Resource = ViewLog::Resource;
using Resources = ViewLog::Resources;

constexpr int64_t kWhole = -1;

// A resource's key: a letter for its set, then its name there.
constexpr char kLoadBalancer = 'b';
constexpr char kCertificate = 'c';
constexpr char kSecurityGroup = 'i';
constexpr char kTargetGroup = 'g';
constexpr char kSplit = 's';
constexpr char kTarget = 't';
// Not a resource's: what whole views have beside those.
constexpr std::string_view kSharedSecret = "shared secret";

std::string Key(char set, std::string_view name) {
  std::string key(1, set);
  key += name;
  return key;
}

// Written out: reflection over 10,000 targets would cost more than everything else about a change
// of one.
bool Same(const proxy::v1::Target& a, const proxy::v1::Target& b) {
  return a.state() == b.state() && a.port() == b.port() && a.has_weight() == b.has_weight() &&
         a.weight() == b.weight() && a.address() == b.address() && a.subset() == b.subset() &&
         a.id() == b.id() && a.target_group() == b.target_group() && a.zone() == b.zone();
}

template <class T>
bool Same(const T& a, const T& b) {
  return MessageDifferencer::Equals(a, b);
}

// One slot of a group's resources brought from `before` to `now`; the key is noted if that is a
// change.
template <class T>
void Bring(const std::string& key, const T* before, const T* now, Resources& resources,
           std::set<std::string>& changed) {
  if (now == nullptr) {
    if (before == nullptr) return;
    resources.erase(key);
  } else {
    if (before != nullptr && Same(*before, *now)) return;
    resources[key] = std::make_shared<const T>(*now);
  }
  changed.insert(key);
}

template <class T>
const T* PointerTo(const std::optional<T>& value) {
  return value.has_value() ? &*value : nullptr;
}

// Notes the target whose resource it is; nothing if it is another one's.
void NoteTarget(std::string_view key, std::set<core::TargetId>& out) {
  if (key[0] != kTarget) return;
  const size_t slash = key.find('/');
  out.emplace(key.substr(1, slash - 1), key.substr(slash + 1));
}

void AddUpsert(const std::string& key, const Resource& value, proxy::v1::ProxyConfig& out) {
  switch (key[0]) {
    case kLoadBalancer:
      *out.add_load_balancers() = static_cast<const v1::LoadBalancer&>(*value);
      break;
    case kCertificate:
      *out.add_certificates() = static_cast<const v1::Certificate&>(*value);
      break;
    case kSecurityGroup:
      *out.add_security_groups() = static_cast<const v1::SecurityGroup&>(*value);
      break;
    case kTargetGroup:
      *out.add_target_groups() = static_cast<const v1::TargetGroup&>(*value);
      break;
    case kSplit:
      *out.add_traffic_splits() = static_cast<const proxy::v1::TrafficSplit&>(*value);
      break;
    default:
      *out.add_targets() = static_cast<const proxy::v1::Target&>(*value);
  }
}

void AddRemoval(const std::string& key, proxy::v1::ConfigUpdate& out) {
  const std::string name = key.substr(1);
  switch (key[0]) {
    case kLoadBalancer:
      out.add_removed_load_balancers(name);
      break;
    case kCertificate:
      out.add_removed_certificates(name);
      break;
    case kSecurityGroup:
      out.add_removed_security_groups(name);
      break;
    case kTargetGroup:
      out.add_removed_target_groups(name);
      break;
    case kSplit:
      out.add_removed_traffic_splits(name);
      break;
    default:
      out.add_removed_targets(name);
  }
}

}  // namespace

ProxyViews::Keys ProxyViews::RefreshGroup(const std::string& id, const core::State& state,
                                          const core::Observations& seen) {
  Group& group = groups_[id];
  core::TargetGroupView now = core::TargetGroupViewOf(state, seen, id);
  Keys changed;
  Bring(Key(kTargetGroup, id), PointerTo(group.view.target_group), PointerTo(now.target_group),
        group.resources, changed);
  Bring(Key(kSplit, id), PointerTo(group.view.split), PointerTo(now.split), group.resources,
        changed);
  auto before = group.view.targets.begin();
  for (const auto& [target, value] : now.targets) {
    for (; before != group.view.targets.end() && before->first < target; ++before) {
      removed_.emplace(id, before->first);
      Bring<proxy::v1::Target>(Key(kTarget, id + "/" + before->first), &before->second, nullptr,
                               group.resources, changed);
    }
    const bool known = before != group.view.targets.end() && before->first == target;
    Bring(Key(kTarget, id + "/" + target), known ? &before->second : nullptr, &value,
          group.resources, changed);
    if (known) ++before;
  }
  for (; before != group.view.targets.end(); ++before) {
    removed_.emplace(id, before->first);
    Bring<proxy::v1::Target>(Key(kTarget, id + "/" + before->first), &before->second, nullptr,
                             group.resources, changed);
  }
  group.view = std::move(now);
  return changed;
}

ProxyViews::Keys ProxyViews::RefreshTargets(const std::string& id,
                                            const std::set<std::string>& targets,
                                            const core::State& state,
                                            const core::Observations& seen) {
  Group& group = groups_.find(id)->second;
  core::TargetGroupView& view = group.view;
  std::optional<core::TargetGroupChange> change = core::ChangeOf(state, seen, id, targets, view);
  if (!change.has_value()) return RefreshGroup(id, state, seen);
  Keys changed;
  Bring(Key(kSplit, id), PointerTo(view.split), PointerTo(change->split), group.resources, changed);
  view.split = std::move(change->split);
  view.subsets = std::move(change->subsets);
  for (auto& [target, shown] : change->targets) {
    const auto before = view.targets.find(target);
    Bring(Key(kTarget, id + "/" + target), before == view.targets.end() ? nullptr : &before->second,
          shown.has_value() ? &shown->target : nullptr, group.resources, changed);
    if (shown.has_value()) {
      view.targets[target] = std::move(shown->target);
      view.shares[target] = shown->share;
    } else {
      removed_.emplace(id, target);
      view.targets.erase(target);
      view.shares.erase(target);
    }
  }
  return changed;
}

std::map<std::string, ProxyViews::Keys> ProxyViews::RefreshGroups(
    const core::State& state, const core::Observations& seen, const TouchedProxyViews& touched) {
  std::map<std::string, Keys> changed;
  // Of a group that no view shows, nobody knows what is otherwise now.
  std::set<std::string> unshown;
  for (const std::string& id : touched.target_groups) {
    if (groups_.contains(id)) {
      changed[id] = RefreshGroup(id, state, seen);
    } else {
      unshown.insert(id);
    }
  }
  for (auto it = touched.targets.begin(); it != touched.targets.end();) {
    const std::string& id = it->first;
    std::set<std::string> targets;
    for (; it != touched.targets.end() && it->first == id; ++it) targets.insert(it->second);
    if (!groups_.contains(id)) {
      unshown.insert(id);
    } else if (!touched.target_groups.contains(id)) {
      changed[id] = RefreshTargets(id, targets, state, seen);
    }
  }
  for (const std::string& id : unshown) {
    for (const auto& [target, value] : core::TargetGroupViewOf(state, seen, id).targets) {
      changed_.emplace(id, target);
    }
  }
  return changed;
}

const ProxyViews::Group& ProxyViews::GroupOf(const std::string& id, const core::State& state,
                                             const core::Observations& seen) {
  const auto it = groups_.find(id);
  if (it != groups_.end()) return it->second;
  RefreshGroup(id, state, seen);
  return groups_.find(id)->second;
}

void ProxyViews::Compose(Class& view, const core::State& state, const core::Observations& seen,
                         const core::Ingress& ingress) {
  Resources wanted;
  view.target_groups.clear();
  for (const std::string& id : view.load_balancers) {
    const auto* entry = state.Find<v1::LoadBalancer>(id);
    if (entry == nullptr) continue;
    wanted[Key(kLoadBalancer, id)] = entry->value;
    view.target_groups.merge(core::TargetGroupsOf(*entry->value));
    for (const std::string& certificate : core::CertificatesOf(*entry->value)) {
      const auto* shown = state.Find<v1::Certificate>(certificate);
      if (shown != nullptr) wanted[Key(kCertificate, certificate)] = shown->value;
    }
    for (const std::string& group : (*entry)->security_groups()) {
      if (auto shown = ingress.SecurityGroupOf(group); shown != nullptr)
        wanted[Key(kSecurityGroup, group)] = std::move(shown);
    }
  }
  for (const std::string& id : view.target_groups) {
    const Group& group = GroupOf(id, state, seen);
    wanted.insert(group.resources.begin(), group.resources.end());
  }
  std::vector<std::string> gone;
  for (const auto& [key, value] : view.log.resources()) {
    if (!wanted.contains(key)) gone.push_back(key);
  }
  for (const std::string& key : gone) {
    NoteTarget(key, removed_);
    view.log.Remove(key);
  }
  for (const auto& [key, value] : wanted) {
    const auto it = view.log.resources().find(key);
    // Values are shared and immutable, so another pointer is another value (or one written again,
    // which does no harm).
    if (it == view.log.resources().end() || it->second != value) view.log.Set(key, value);
  }
}

void ProxyViews::Reclassify(const core::State& state, const core::Observations& seen,
                            const core::Ingress& ingress, const ProxyAdmission& admission,
                            const std::set<std::string>& proxies) {
  // Proxies that move together from one class to the same new one take its history along and need
  // only a delta.
  std::map<std::pair<std::shared_ptr<Class>, LoadBalancers>, std::vector<std::string>> moves;
  for (const std::string& proxy : proxies) {
    const auto member = members_.find(proxy);
    if (state.Find<v1::Proxy>(proxy) == nullptr) {
      if (member != members_.end()) members_.erase(member);
      continue;
    }
    LoadBalancers wanted;
    if (!admission.IsWaiting(proxy)) wanted = core::LoadBalancersOf(state, proxy);
    std::shared_ptr<Class> from = member == members_.end() ? nullptr : member->second.of;
    if (from != nullptr && from->load_balancers == wanted) continue;
    moves[{std::move(from), std::move(wanted)}].push_back(proxy);
  }
  for (const auto& [move, movers] : moves) {
    const auto& [from, wanted] = move;
    std::shared_ptr<Class>& to = classes_[wanted];
    const bool takes_history_along = to == nullptr && from != nullptr;
    int64_t since = 0;
    if (to == nullptr) {
      to = from == nullptr ? std::make_shared<Class>() : std::make_shared<Class>(*from);
      to->load_balancers = wanted;
      to->frames.clear();
      Compose(*to, state, seen, ingress);
    }
    if (!takes_history_along) {
      // Movers have had revisions of another view, and a receiver's revision never goes back.
      // Newcomers have had none.
      const bool is_new = to->log.sequence() == 0;
      if (is_new || from != nullptr) Renew(*to, state.commit());
      since = to->log.sequence();
      if (from != nullptr) {
        for (const auto& [key, value] : from->log.resources()) {
          if (!to->log.resources().contains(key)) NoteTarget(key, removed_);
        }
      }
    }
    for (const std::string& proxy : movers) {
      Member& member = members_[proxy];
      member.of = to;
      if (takes_history_along) continue;
      member.since = since;
      replaced_.insert(proxy);
    }
  }
}

void ProxyViews::Renew(Class& view, int64_t commit) {
  view.log.Publish(next_sequence_(), commit, /*force=*/true);
  view.frames.clear();
}

void ProxyViews::Surpass(std::string_view proxy, int64_t held) {
  const auto it = members_.find(proxy);
  if (it == members_.end() || it->second.of->log.sequence() > held) return;
  const ViewLog& log = it->second.of->log;
  Renew(*it->second.of, log.CoveredBy(log.sequence()));
}

void ProxyViews::Refresh(const core::State& state, const core::Observations& seen,
                         const core::Ingress& ingress, const ProxyAdmission& admission,
                         const TouchedProxyViews& touched) {
  // Groups first, so that what is composed below sees them as they are.
  const std::map<std::string, Keys> changed = RefreshGroups(state, seen, touched);
  for (const auto& [id, keys] : changed) {
    for (const std::string& key : keys) NoteTarget(key, changed_);
  }
  if (touched.load_balancers) {
    for (auto& [key, view] : classes_) Compose(*view, state, seen, ingress);
    std::set<std::string> all = touched.proxies;
    for (const auto& [proxy, entry] : state.All<v1::Proxy>()) all.insert(proxy);
    Reclassify(state, seen, ingress, admission, all);
  } else {
    Reclassify(state, seen, ingress, admission, touched.proxies);
  }
  if (touched.load_balancers || !touched.proxies.empty()) DropUnused();
  const int64_t sequence = next_sequence_();
  for (auto& [balancers, view] : classes_) {
    const auto log = [&, &view = view](const std::string& id, const Keys& keys) {
      const Resources& now = groups_.find(id)->second.resources;
      for (const std::string& key : keys) {
        const auto it = now.find(key);
        if (it == now.end()) {
          view->log.Remove(key);
        } else {
          view->log.Set(key, it->second);
        }
      }
    };
    // The fewer of both are looked up.
    if (changed.size() < view->target_groups.size()) {
      for (const auto& [id, keys] : changed) {
        if (view->target_groups.contains(id)) log(id, keys);
      }
    } else {
      for (const std::string& id : view->target_groups) {
        const auto it = changed.find(id);
        if (it != changed.end()) log(id, it->second);
      }
    }
    BringSecurityGroups(touched.security_groups, ingress, *view);
    if (view->log.Publish(sequence, state.commit())) view->frames.clear();
  }
}

void ProxyViews::BringSecurityGroups(const std::set<std::string>& changed,
                                     const core::Ingress& ingress, Class& view) {
  for (const std::string& id : changed) {
    const std::string key = Key(kSecurityGroup, id);
    const auto it = view.log.resources().find(key);
    // One that is new to the view came with its load balancer.
    if (it == view.log.resources().end()) continue;
    const auto now = ingress.SecurityGroupOf(id);
    if (now != nullptr && it->second != now) view.log.Set(key, now);
  }
}

void ProxyViews::DropUnused() {
  std::set<const Class*> used;
  for (const auto& [proxy, member] : members_) used.insert(member.of.get());
  std::erase_if(classes_, [&](const auto& entry) { return !used.contains(entry.second.get()); });
  std::erase_if(groups_, [&](const auto& entry) {
    const bool shown = std::any_of(classes_.begin(), classes_.end(), [&](const auto& c) {
      return c.second->target_groups.contains(entry.first);
    });
    if (shown) return false;
    for (const auto& [target, value] : entry.second.view.targets) {
      removed_.emplace(entry.first, target);
    }
    return true;
  });
}

const ViewLog* ProxyViews::ViewOf(std::string_view proxy) const {
  const auto it = members_.find(proxy);
  return it == members_.end() ? nullptr : &it->second.of->log;
}

int64_t ProxyViews::CoveredBy(std::string_view proxy, int64_t sequence) const {
  const ViewLog* view = ViewOf(proxy);
  return view == nullptr ? 0 : view->CoveredBy(sequence);
}

bool ProxyViews::CanBuildOn(std::string_view proxy, int64_t held) const {
  const auto it = members_.find(proxy);
  return it != members_.end() && held >= it->second.since && it->second.of->log.Knows(held);
}

std::set<core::TargetId> ProxyViews::TakeRemoved() { return std::exchange(removed_, {}); }

std::set<core::TargetId> ProxyViews::TakeChanged() { return std::exchange(changed_, {}); }

bool ProxyViews::Knows(std::string_view proxy, const core::TargetId& target) const {
  const ViewLog* view = ViewOf(proxy);
  return view != nullptr &&
         view->resources().contains(Key(kTarget, target.first + "/" + target.second));
}

std::set<std::string> ProxyViews::TakeReplaced() { return std::exchange(replaced_, {}); }

std::string ProxyViews::DigestOf(const ViewLog& log) const {
  ContentDigest digest = log.digest();
  digest.Add(kSharedSecret, shared_secret_);
  return digest.bytes();
}

std::string ProxyViews::DigestOf(std::string_view proxy) const {
  const ViewLog* log = ViewOf(proxy);
  return log == nullptr ? "" : DigestOf(*log);
}

void ProxyViews::Name(const ViewLog& log, proxy::v1::ConfigUpdate& update) const {
  update.mutable_revision()->set_epoch(epoch_);
  update.mutable_revision()->set_sequence(log.sequence());
  update.set_digest(DigestOf(log));
}

Frame ProxyViews::RenamingOf(std::string_view proxy, const v1::Revision& held) const {
  const ViewLog* log = ViewOf(proxy);
  if (log == nullptr) return nullptr;
  proxy::v1::ConnectResponse response;
  Name(*log, *response.mutable_update());
  *response.mutable_update()->mutable_base() = held;
  return MakeFrame(response);
}

Frame ProxyViews::UpdateFor(std::string_view proxy, std::optional<int64_t> base) {
  const auto member = members_.find(proxy);
  if (member == members_.end()) return nullptr;
  Class& view = *member->second.of;
  Frame& frame = view.frames[base.value_or(kWhole)];
  if (frame != nullptr) return frame;
  proxy::v1::ConnectResponse response;
  proxy::v1::ConfigUpdate& update = *response.mutable_update();
  Name(view.log, update);
  const Resources& resources = view.log.resources();
  if (base.has_value()) {
    update.mutable_base()->set_epoch(epoch_);
    update.mutable_base()->set_sequence(*base);
    for (const std::string& key : view.log.ChangedSince(*base).value_or(std::set<std::string>())) {
      const auto it = resources.find(key);
      if (it == resources.end()) {
        AddRemoval(key, update);
      } else {
        AddUpsert(key, it->second, *update.mutable_upserts());
      }
    }
  } else {
    // A delta leaves it as it is.
    update.mutable_upserts()->add_shared_secrets(shared_secret_);
    for (const auto& [key, value] : resources) AddUpsert(key, value, *update.mutable_upserts());
  }
  frame = MakeFrame(response);
  return frame;
}

}  // namespace remuda
