#include "controller/core/reconcile/placement.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <limits>
#include <tuple>

#include "common/quantity.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/words.h"
#include "controller/core/reconcile/host_record.h"

namespace remuda::core {
namespace {

// Hosts that a reason names.
constexpr size_t kHostsNamed = 8;

int64_t CpuOf(const v1::LaunchTemplateVersion& row) {
  return ParseCpuMillis(row.limits().cpu()).value_or(0);
}
int64_t MemoryOf(const v1::LaunchTemplateVersion& row) {
  return ParseMemoryBytes(row.limits().memory()).value_or(0);
}

// Why the host takes no instance of the group at all; empty if it may.
std::string WhyIneligible(const v1::Host& host, bool is_there, const v1::AutoScalingGroup& group) {
  if (!is_there) return "is not connected";
  if (host.schedule() == v1::HOST_SCHEDULE_CORDONED) return "is cordoned";
  if (host.schedule() == v1::HOST_SCHEDULE_DRAINING) return "is being drained";
  if (!group.zones().empty() &&
      std::find(group.zones().begin(), group.zones().end(), host.zone()) == group.zones().end()) {
    return absl::StrCat("is in zone '", host.zone(), "'");
  }
  if (!HasLabels(host, group)) return "lacks a label of host_selector";
  return "";
}

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

std::string Names(const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kHostsNamed);
  std::string out = absl::StrJoin(names.begin(), names.begin() + static_cast<int64_t>(shown), ", ");
  if (shown < names.size()) absl::StrAppend(&out, " and ", names.size() - shown, " more");
  return out;
}

}  // namespace

bool HasLabels(const v1::Host& host, const v1::AutoScalingGroup& group) {
  return std::all_of(group.host_selector().begin(), group.host_selector().end(),
                     [&](const auto& wanted) {
                       const auto it = host.labels().find(wanted.first);
                       return it != host.labels().end() && it->second == wanted.second;
                     });
}

Placement::Placement(const Draft& draft, const Observations& seen, Time now, const Wish& wish)
    : now_(now),
      launch_(wish.launch),
      port_(wish.wanted.port()),
      cpu_(CpuOf(wish.wanted)),
      memory_(MemoryOf(wish.wanted)) {
  draft.ForEach<v1::Host>([&](const std::string& id, const v1::Host& host) {
    const auto it = seen.hosts.find(id);
    const HostObservation* observed = it == seen.hosts.end() ? nullptr : &it->second;
    const Time awaited_until = AwaitedUntil(host, observed, seen, now);
    const bool is_there =
        (observed != nullptr && observed->connected && observed->reported) || awaited_until > now;
    if (const std::string why = WhyIneligible(host, is_there, wish.group); !why.empty()) {
      ineligible_.push_back(absl::StrCat(id, " ", why));
      return;
    }
    Add(draft, observed, id, host, awaited_until);
  });
  for (const auto& [id, row] : wish.spread) {
    if (!IsUp(row->state())) continue;
    ++zones_[row->zone()];
    if (const Candidate* candidate = Find(row->host()); candidate != nullptr) {
      ++candidates_[static_cast<size_t>(candidate - candidates_.data())].of_side;
    }
  }
  for (size_t i = 0; i < candidates_.size(); ++i) {
    if (HasRoom(candidates_[i])) by_zone_[candidates_[i].zone].insert(RankOf(i));
  }
}

Placement::Rank Placement::RankOf(size_t index) const {
  const Candidate& candidate = candidates_[index];
  return {candidate.avoided, candidate.of_side, candidate.in_all, index};
}

void Placement::Add(const Draft& draft, const HostObservation* seen, const std::string& id,
                    const v1::Host& host, Time awaited_until) {
  Candidate candidate{.id = id, .zone = host.zone(), .awaited_until = awaited_until};
  constexpr int64_t kPlenty = std::numeric_limits<int64_t>::max();
  candidate.cpu_free = host.capacity().cpu_millis() > 0 ? host.capacity().cpu_millis() : kPlenty;
  candidate.memory_free =
      host.capacity().memory_bytes() > 0 ? host.capacity().memory_bytes() : kPlenty;
  CountUse(draft, seen, candidate);
  candidates_.push_back(std::move(candidate));
}

void Placement::CountUse(const Draft& draft, const HostObservation* seen,
                         Candidate& candidate) const {
  const InstanceList on_host = draft.InstancesOnHost(candidate.id);
  candidate.avoided = now_ < HostRecordOf(on_host, launch_, now_).avoided_until;
  for (const auto& [id, row] : on_host) {
    if (row->state() == v1::INSTANCE_STATE_TERMINATED) continue;
    ++candidate.in_all;
    // A draining or stopping instance still holds its port and its memory.
    if (port_ != 0 && row->port() == port_) candidate.port_taken = true;
    if (cpu_ == 0 && memory_ == 0) continue;
    const auto runs = draft.Find<v1::LaunchTemplateVersion>(LaunchTemplateKey(
        row->launch_template().launch_template(), row->launch_template().resolved_version()));
    if (runs == nullptr) continue;
    candidate.cpu_free -= CpuOf(*runs);
    candidate.memory_free -= MemoryOf(*runs);
  }
  if (port_ == 0 || seen == nullptr) return;
  // What the agent runs counts too, whatever the state says: it may not have ended yet.
  for (const auto& [id, status] : seen->instances) {
    if (status.port() == port_ && status.state() != agent::v1::PROCESS_STATE_EXITED &&
        status.state() != agent::v1::PROCESS_STATE_FAILED) {
      candidate.port_taken = true;
    }
  }
}

bool Placement::HasRoom(const Candidate& candidate) const {
  return !candidate.port_taken && (cpu_ == 0 || candidate.cpu_free >= cpu_) &&
         (memory_ == 0 || candidate.memory_free >= memory_);
}

std::string Placement::Take() {
  // Each zone's first, and of those the one whose zone has the fewest.
  std::set<Rank>* of_zone = nullptr;
  std::tuple<bool, int, int, int, size_t> least;
  for (auto& [zone, ranks] : by_zone_) {
    if (ranks.empty()) continue;
    const auto& [avoided, of_side, in_all, index] = *ranks.begin();
    const std::tuple rank{avoided, InZone(zone), of_side, in_all, index};
    if (of_zone != nullptr && least < rank) continue;
    of_zone = &ranks;
    least = rank;
  }
  Candidate* best = of_zone == nullptr ? nullptr : &candidates_[std::get<4>(least)];
  awaited_until_ = best == nullptr ? absl::InfinitePast() : best->awaited_until;
  if (best == nullptr) return "";
  if (awaited_until_ > now_) {
    awaited_ = best->id;
    return "";
  }
  of_zone->erase(of_zone->begin());
  ++zones_[best->zone];
  ++best->of_side;
  ++best->in_all;
  if (port_ != 0) best->port_taken = true;
  best->cpu_free -= cpu_;
  best->memory_free -= memory_;
  if (HasRoom(*best)) of_zone->insert(RankOf(std::get<4>(least)));
  return best->id;
}

const Placement::Candidate* Placement::Find(std::string_view host) const {
  const auto it = std::lower_bound(
      candidates_.begin(), candidates_.end(), host,
      [](const Candidate& candidate, std::string_view id) { return candidate.id < id; });
  return it == candidates_.end() || it->id != host ? nullptr : &*it;
}

const std::string& Placement::ZoneOf(std::string_view host) const { return Find(host)->zone; }

int Placement::InZone(std::string_view zone) const {
  const auto it = zones_.find(zone);
  return it == zones_.end() ? 0 : it->second;
}

bool Placement::IsAvoided(std::string_view host) const { return Find(host)->avoided; }

std::string Placement::WhyNone() const {
  if (awaited_until_ > now_) {
    return absl::StrCat("host ", awaited_,
                        " has not been heard of since the controller began; it is "
                        "waited for until ",
                        MomentText(awaited_until_));
  }
  if (candidates_.empty()) {
    if (ineligible_.empty()) return "no host has joined";
    return absl::StrCat("no host is eligible: ", Names(ineligible_));
  }
  std::vector<std::string> names;
  bool all_ports_taken = true;
  for (const Candidate& candidate : candidates_) {
    names.push_back(candidate.id);
    all_ports_taken = all_ports_taken && candidate.port_taken;
  }
  if (all_ports_taken) {
    return absl::StrCat("port ", port_, " is taken on every eligible host: ", Names(names));
  }
  return absl::StrCat("no eligible host has room for its limits", port_ != 0 ? " and port" : "",
                      ": ", Names(names));
}

bool Placement::WouldFree(std::string_view host) const { return Find(host) != nullptr; }

}  // namespace remuda::core
