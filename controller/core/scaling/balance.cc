#include "controller/core/scaling/balance.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>

#include "controller/core/model/instance_state.h"
#include "controller/core/model/names.h"
#include "controller/core/reconcile/launch_failures.h"
#include "controller/core/reconcile/limits.h"
#include "controller/core/reconcile/placement.h"
#include "controller/core/reconcile/victims.h"
#include "controller/core/scaling/scaling.h"

namespace remuda::core {
namespace {

using Zones = std::map<std::string, InstanceList>;

// The side's instances by zone; nullopt if one is not in service.
std::optional<Zones> ZonesOf(const Side& side) {
  Zones zones;
  for (const Member& member : side.members) {
    const v1::Instance& row = *member.second;
    if (IsLeavingState(row.state())) continue;
    if (row.state() != v1::INSTANCE_STATE_IN_SERVICE || row.unhealthy()) return std::nullopt;
    zones[row.zone()].push_back(member);
  }
  return zones;
}

bool Names(const v1::AutoScalingGroup& group, const std::string& zone) {
  return group.zones().empty() ||
         std::find(group.zones().begin(), group.zones().end(), zone) != group.zones().end();
}

// Whether the group may use a zone that has at most so many of the side.
bool Lacks(const v1::AutoScalingGroup& group, const Zones& zones, const std::string& zone,
           int most) {
  const auto it = zones.find(zone);
  const int here = it == zones.end() ? 0 : static_cast<int>(it->second.size());
  return here <= most && Names(group, zone);
}

// Whether there is a host that the group may use in such a zone.
bool AnyHostThatLacksOne(Pass& pass, const v1::AutoScalingGroup& group, const Zones& zones,
                         int most) {
  return std::any_of(pass.HostsByZone().begin(), pass.HostsByZone().end(), [&](const auto& entry) {
    return Lacks(group, zones, entry.first, most) &&
           std::any_of(entry.second.begin(), entry.second.end(),
                       [&](const auto& host) { return Suits(*host, group); });
  });
}

// One of these hosts that is avoided now may be the only one that helps, and nothing else tells
// when it is used again: after a while, or when a launch there has held.
void WaitForAvoided(Pass& pass, const v1::AutoScalingGroup& group, const Side& side,
                    const Zones& zones, int most) {
  for (const size_t index : pass.rooms.failed()) {
    const v1::Host& host = pass.rooms.row(index);
    if (!Lacks(group, zones, host.zone(), most) || !Suits(host, group)) continue;
    pass.DueAt(pass.rooms.AvoidedChangesAt(index, side.launch));
  }
}

// The zone that has most; one that the group does not name any more before all others.
Zones::const_iterator Fullest(const Zones& zones, const v1::AutoScalingGroup& group) {
  const auto rank = [&](const Zones::value_type& zone) {
    return std::make_pair(!Names(group, zone.first), zone.second.size());
  };
  return std::max_element(zones.begin(), zones.end(),
                          [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
}

}  // namespace

void BalanceZones(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group,
                  const Side& side) {
  if (!pass.balances || group.deleting()) return;
  for (const auto process : {v1::SCALING_PROCESS_AZ_REBALANCE, v1::SCALING_PROCESS_LAUNCH,
                             v1::SCALING_PROCESS_TERMINATE}) {
    if (IsSuspended(group, process)) return;
  }
  const std::optional<Zones> zones = ZonesOf(side);
  if (!zones.has_value() || zones->empty()) return;
  const auto launch = pass.draft.Find<v1::LaunchTemplateVersion>(
      LaunchTemplateKey(side.launch.launch_template(), side.launch.resolved_version()));
  const LaunchRecord record = LaunchRecordOf(pass.draft.InstancesOfGroup(group_id).list(),
                                             side.launch, side.deployment, pass.now);
  if (launch == nullptr || record.failures > 0) return;
  const auto from = Fullest(*zones, group);
  const bool has_to_leave = !Names(group, from->first);
  const int here = static_cast<int>(from->second.size());
  const int most = has_to_leave ? std::numeric_limits<int>::max() : here - 2;
  // Cheaper than a Placement.
  if (!AnyHostThatLacksOne(pass, group, *zones, most)) return;
  pass.WaitForHosts();
  Placement placement(
      pass.rooms,
      {.group = group, .launch = side.launch, .wanted = *launch, .spread = side.members});
  WaitForAvoided(pass, group, side, *zones, most);
  const std::string host = placement.Take();
  if (host.empty() || placement.IsAvoided(host)) return;
  const std::string zone = placement.ZoneOf(host);
  const int there = placement.InZone(zone) - 1;  // without the one that it would take
  if (zone == from->first || (!has_to_leave && here < there + 2)) return;
  const std::vector<std::string> victims =
      ChooseVictims(pass.gates, group, Unprotected(from->second), 1);
  if (victims.empty()) return;
  const std::string& victim = victims.front();
  LaunchOne(pass, group_id, side, *launch,
            {.host = host,
             .cause = absl::StrCat(
                 "zone ", from->first, " has ", here, " of the group's instances and zone ", zone,
                 " has ", there, ": instance ", victim, " is drained once this one is in service"),
             .replaces = victim});
  pass.DueAt(pass.now + kBalanceInterval);
}

}  // namespace remuda::core
