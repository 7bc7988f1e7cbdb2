// ConfigClient, the part that makes what it reports of targets.
#include <utility>

#include "proxy/control/config_client.h"

namespace remuda::proxy {

namespace {

// One that had no traffic is left out.
void AddSubset(const std::string& group, const SubsetSpec& subset, v1::StatsReport& stats) {
  const SubsetCounts counts = subset.state->Sum();
  if (counts.requests == 0 && counts.mirrored == 0) return;
  v1::SubsetStats& out = *stats.add_subsets();
  out.set_target_group(group);
  out.set_subset(subset.name);
  out.set_requests(counts.requests);
  out.set_errors(counts.errors);
  Encode(counts.latency, *out.mutable_latency());
  out.set_mirrored(counts.mirrored);
  out.set_mirrored_errors(counts.mirrored_errors);
}

}  // namespace

v1::ConnectRequest ConfigClient::HealthMessage() {
  v1::ConnectRequest message;
  v1::HealthReport& report = *message.mutable_health();
  report.set_full(is_health_full_);
  const auto add = [&](const HealthChange& change) {
    v1::TargetHealth& health = *report.add_targets();
    health.set_target_group(change.target->group().id());
    health.set_target(change.target->id());
    switch (change.health) {
      case Health::kInitial:
        health.set_state(remuda::v1::TARGET_STATE_INITIAL);
        break;
      case Health::kHealthy:
        health.set_state(remuda::v1::TARGET_STATE_HEALTHY);
        break;
      case Health::kUnhealthy:
        health.set_state(remuda::v1::TARGET_STATE_UNHEALTHY);
        break;
    }
    health.set_reason(change.reason);
    health.set_description(change.description);
    const auto ns =
        std::chrono::duration_cast<std::chrono::nanoseconds>(change.since.time_since_epoch())
            .count();
    health.mutable_since()->set_seconds(ns / 1000000000);
    health.mutable_since()->set_nanos(static_cast<int32_t>(ns % 1000000000));
  };
  const auto& known = coordinator_.health();
  if (is_health_full_) {
    for (const auto& [target, change] : known) add(change);
  } else {
    for (TargetState* target : changed_health_) {
      if (const auto it = known.find(target); it != known.end()) add(it->second);
    }
  }
  is_health_full_ = false;
  changed_health_.clear();
  return message;
}

v1::ConnectRequest ConfigClient::StatsMessage(bool with_targets) const {
  v1::ConnectRequest message;
  v1::StatsReport& stats = *message.mutable_stats();
  int64_t requests = 0;
  int64_t connections = 0;
  for (const auto& worker : coordinator_.workers()) {
    requests += static_cast<int64_t>(worker->metrics().requests.Get());
    connections += worker->metrics().active_connections.Get();
  }
  stats.set_requests(requests);
  stats.set_active_connections(connections);
  for (const auto& [id, group] : coordinator_.newest()->groups) {
    for (const SubsetSpec& subset : group->subsets) AddSubset(id, subset, stats);
    if (!with_targets) continue;
    for (const Member& member : group->members) {
      uint64_t sent = 0;
      for (const TargetSlot& slot : member.target->slots()) sent += slot.requests.Get();
      if (sent == 0) continue;
      v1::TargetStats& target = *stats.add_targets();
      target.set_target_group(id);
      target.set_target(member.target->id());
      target.set_requests(static_cast<int64_t>(sent));
      target.set_in_flight(static_cast<int64_t>(member.target->InFlight()));
    }
  }
  return message;
}

}  // namespace remuda::proxy
