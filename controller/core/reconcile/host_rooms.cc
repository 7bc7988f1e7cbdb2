#include "controller/core/reconcile/host_rooms.h"

#include <algorithm>
#include <limits>

#include "common/quantity.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/reconcile/host_failures.h"
#include "controller/core/reconcile/hosts.h"
#include "controller/core/reconcile/launch_failures.h"

namespace remuda::core {
namespace {

// Until when a host that has not been heard of since the controller began counts as there; it has
// to be one that the state knows, and that was not lost before. InfinitePast for any other.
Time AwaitedUntil(const v1::Host& host, const HostObservation* observed, const Observations& seen,
                  Time now) {
  if ((observed != nullptr && observed->reported) || host.has_lost_time()) {
    return absl::InfinitePast();
  }
  const Time until = LastSeen(seen, observed) + seen.patience.host_lost_after;
  return until > now ? until : absl::InfinitePast();
}

Rooms::Bar BarOf(const v1::Host& host, bool is_there) {
  if (!is_there) return Rooms::Bar::kNotThere;
  if (host.schedule() == v1::HOST_SCHEDULE_CORDONED) return Rooms::Bar::kCordoned;
  if (host.schedule() == v1::HOST_SCHEDULE_DRAINING) return Rooms::Bar::kDraining;
  return Rooms::Bar::kNone;
}

}  // namespace

bool Suits(const v1::Host& host, const v1::AutoScalingGroup& group) {
  if (group.require_ingress_filter() && !WhyNoIngressFilter(host).empty()) return false;
  return std::all_of(group.host_selector().begin(), group.host_selector().end(),
                     [&](const auto& wanted) {
                       const auto it = host.labels().find(wanted.first);
                       return it != host.labels().end() && it->second == wanted.second;
                     });
}

std::string WhyNoIngressFilter(const v1::Host& host) {
  const auto it = host.lacks().find("ingress_filter");
  return it == host.lacks().end() ? std::string() : it->second;
}

Bounds BoundsOf(const v1::LaunchTemplateVersion& row) {
  return {.cpu = ParseCpuMillis(row.limits().cpu()).value_or(0),
          .memory = ParseMemoryBytes(row.limits().memory()).value_or(0)};
}

void Rooms::Update() {
  const Draft::HostLog& log = draft_.host_log();
  if (edition_ != log.edition) {
    Build();
    edition_ = log.edition;
    read_ = log.hosts.size();
  }
  for (; read_ < log.hosts.size(); ++read_) Refresh(log.hosts[read_]);
}

void Rooms::Build() {
  hosts_.clear();
  failed_.clear();
  orders_.clear();
  bounds_.clear();
  ForEachHost(draft_, seen_, [&](const std::string& id, const auto& row, const auto* observed) {
    Host host{.id = id, .row = row, .seen = observed};
    host.awaited_until = AwaitedUntil(*row, observed, seen_, now_);
    const bool is_left_out = left_out_ != nullptr && left_out_->contains(id);
    const bool is_there =
        observed != nullptr && observed->connected && observed->reported && !is_left_out;
    host.bar = BarOf(*row, is_there || host.awaited_until > now_);
    host.use = &draft_.UseOfHost(id);
    host.instances = host.use->instances;
    if (host.use->failed > 0) failed_.insert(hosts_.size());
    hosts_.push_back(std::move(host));
  });
}

void Rooms::Refresh(std::string_view id) {
  const std::optional<size_t> index = Find(id);
  if (!index.has_value()) return;
  Host& host = hosts_[*index];
  host.use = &draft_.UseOfHost(id);
  host.used.reset();
  host.avoided.clear();
  if (host.use->failed > 0) {
    failed_.insert(*index);
  } else {
    failed_.erase(*index);
  }
  const int before = std::exchange(host.instances, host.use->instances);
  if (before == host.instances) return;
  for (auto& [selector, order] : orders_) {
    if (!order.holds[*index]) continue;
    Line& line = order.by_zone.find(host.row->zone())->second;
    auto node = line.extract({before, *index});
    node.value().first = host.instances;
    line.insert(std::move(node));
  }
}

const Rooms::Order& Rooms::OrderFor(const v1::AutoScalingGroup& group) {
  const auto [it, is_new] =
      orders_.try_emplace(Selection{{group.host_selector().begin(), group.host_selector().end()},
                                    group.require_ingress_filter()});
  Order& order = it->second;
  if (!is_new) return order;
  order.holds.resize(hosts_.size());
  std::map<std::string_view, std::vector<Line::value_type>> by_zone;
  for (size_t i = 0; i < hosts_.size(); ++i) {
    const Host& host = hosts_[i];
    if (host.bar != Bar::kNone || !Suits(*host.row, group)) continue;
    order.holds[i] = true;
    by_zone[host.row->zone()].emplace_back(host.instances, i);
  }
  for (auto& [zone, members] : by_zone) {
    std::sort(members.begin(), members.end());
    order.by_zone.emplace(zone, Line(members.begin(), members.end()));
  }
  return order;
}

std::optional<size_t> Rooms::Find(std::string_view host) const {
  const auto it = std::lower_bound(hosts_.begin(), hosts_.end(), host,
                                   [](const Host& a, std::string_view id) { return a.id < id; });
  if (it == hosts_.end() || it->id != host) return std::nullopt;
  return static_cast<size_t>(it - hosts_.begin());
}

const Bounds& Rooms::BoundsOfVersion(const std::pair<std::string, int>& version) {
  const auto [it, is_new] = bounds_.try_emplace(version);
  if (is_new) {
    const auto row =
        draft_.Find<v1::LaunchTemplateVersion>(LaunchTemplateKey(version.first, version.second));
    if (row != nullptr) it->second = BoundsOf(*row);
  }
  return it->second;
}

Bounds Rooms::Free(size_t index) {
  Host& host = hosts_[index];
  if (!host.used.has_value()) {
    host.used.emplace();
    for (const auto& [version, count] : host.use->launches) {
      const Bounds& each = BoundsOfVersion(version);
      host.used->cpu += count * each.cpu;
      host.used->memory += count * each.memory;
    }
  }
  constexpr int64_t kPlenty = std::numeric_limits<int64_t>::max();
  const v1::HostCapacity& all = host.row->capacity();
  return {.cpu = (all.cpu_millis() > 0 ? all.cpu_millis() : kPlenty) - host.used->cpu,
          .memory = (all.memory_bytes() > 0 ? all.memory_bytes() : kPlenty) - host.used->memory};
}

bool Rooms::IsPortTaken(size_t index, int port) const {
  const Host& host = hosts_[index];
  // A draining or stopping instance still holds its port.
  if (host.use->ports.contains(port)) return true;
  if (host.seen == nullptr) return false;
  // What the agent runs counts too, whatever the state says: it may not have ended yet.
  return std::any_of(host.seen->instances.begin(), host.seen->instances.end(), [&](const auto& e) {
    return e.second.port() == port && e.second.state() != agent::v1::PROCESS_STATE_EXITED &&
           e.second.state() != agent::v1::PROCESS_STATE_FAILED;
  });
}

const Rooms::Avoided& Rooms::AvoidedOn(Host& host, const v1::LaunchTemplateRef& launch) {
  const auto [it, is_new] = host.avoided.try_emplace(TextOf(launch));
  if (!is_new) return it->second;
  const InstanceList on_host = draft_.InstancesOnHost(host.id);
  Avoided& avoided = it->second;
  avoided.until = HostRecordOf(on_host, launch, now_).avoided_until;
  if (avoided.until > now_) avoided.changes_at = avoided.until;
  // A launch that has held takes what failed before it back.
  for (const auto& [id, row] : on_host) {
    const Time stable = StableAt(*row);
    if (stable > now_) avoided.changes_at = std::min(avoided.changes_at, stable);
  }
  return avoided;
}

bool Rooms::IsAvoided(size_t index, const v1::LaunchTemplateRef& launch) {
  Host& host = hosts_[index];
  return host.use->failed > 0 && now_ < AvoidedOn(host, launch).until;
}

Time Rooms::AvoidedChangesAt(size_t index, const v1::LaunchTemplateRef& launch) {
  Host& host = hosts_[index];
  return host.use->failed > 0 ? AvoidedOn(host, launch).changes_at : absl::InfiniteFuture();
}

}  // namespace remuda::core
