// ConfigClient, the part that makes what it says.
#include <utility>
#include <vector>

#include "proxy/control/config_client.h"
#include "proxy/control/predecessor.h"

namespace remuda::proxy {

namespace {

void AddListeners(const std::vector<ListenerReport>& listeners,
                  google::protobuf::RepeatedPtrField<v1::ListenerStatus>& out) {
  for (const ListenerReport& report : listeners) {
    v1::ListenerStatus& status = *out.Add();
    status.set_load_balancer(report.load_balancer);
    status.set_port(report.port);
    status.set_error(report.error);
  }
}

void AddBusy(const std::vector<Busy>& busy,
             google::protobuf::RepeatedPtrField<v1::BusyTarget>& out) {
  for (const Busy& entry : busy) {
    v1::BusyTarget& target = *out.Add();
    target.set_target_group(entry.group);
    target.set_target(entry.target);
    target.set_requests_in_flight(static_cast<int64_t>(entry.in_flight));
  }
}

// One that had no traffic is left out.
void AddSubset(const std::string& group, const SubsetSpec& subset, int64_t in_flight,
               v1::StatsReport& stats) {
  const SubsetCounts counts = subset.state->Sum();
  if (counts.requests == 0 && counts.mirrored == 0 && counts.bytes_in == 0 && in_flight == 0)
    return;
  v1::SubsetStats& out = *stats.add_subsets();
  out.set_target_group(group);
  out.set_subset(subset.name);
  out.set_requests(counts.requests);
  out.set_errors(counts.errors);
  Encode(counts.latency, *out.mutable_latency());
  out.set_mirrored(counts.mirrored);
  out.set_mirrored_errors(counts.mirrored_errors);
  out.set_in_flight(in_flight);
  out.set_bytes_in(counts.bytes_in);
  out.set_bytes_out(counts.bytes_out);
}

// The same.
void AddGroup(const TargetGroup& group, v1::StatsReport& stats) {
  uint64_t requests = 0;
  uint64_t refused = 0;
  for (const GroupSlot& slot : group.state->slots()) {
    requests += slot.requests.Get();
    refused += slot.refused.Get();
  }
  const size_t queued = group.state->CountWaiting();
  const size_t held = group.state->CountHeld();
  if (requests == 0 && refused == 0 && queued == 0 && held == 0) return;
  v1::TargetGroupStats& out = *stats.add_groups();
  out.set_target_group(group.id);
  out.set_queued(static_cast<int64_t>(queued));
  out.set_held(static_cast<int64_t>(held));
  out.set_refused(static_cast<int64_t>(refused));
}

void SetTime(std::chrono::system_clock::time_point time, google::protobuf::Timestamp& out) {
  const auto ns =
      std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
  out.set_seconds(ns / 1000000000);
  out.set_nanos(static_cast<int32_t>(ns % 1000000000));
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
    SetTime(change.since, *health.mutable_since());
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

v1::ConnectRequest ConfigClient::StatsMessage(bool with_targets) {
  v1::ConnectRequest message;
  v1::StatsReport& stats = *message.mutable_stats();
  SetTime(start_time_, *stats.mutable_start_time());
  int64_t requests = 0;
  int64_t connections = 0;
  for (const auto& worker : coordinator_.workers()) {
    requests += static_cast<int64_t>(worker->metrics().requests.Get());
    connections += worker->metrics().active_connections.Get();
  }
  stats.set_requests(requests);
  stats.set_active_connections(connections);
  for (const auto& [id, group] : coordinator_.newest()->groups) {
    std::vector<int64_t> in_flight(group->subsets.size());
    for (const Member& member : group->members) {
      ToldTargets::Numbers numbers;
      for (const TargetSlot& slot : member.target->slots()) {
        numbers.requests += static_cast<int64_t>(slot.requests.Get());
        numbers.in_flight += slot.in_flight.Get();
      }
      in_flight[member.subset] += numbers.in_flight;
      if (with_targets) told_targets_.Add(member.target, numbers);
    }
    for (size_t i = 0; i < in_flight.size(); ++i)
      AddSubset(id, group->subsets[i], in_flight[i], stats);
    AddGroup(*group, stats);
  }
  if (!with_targets) return message;
  for (const ToldTargets::Target& told : told_targets_.Take()) {
    v1::TargetStats& target = *stats.add_targets();
    target.set_target_group(told.target->group().id());
    target.set_target(told.target->id());
    target.set_requests(told.numbers.requests);
    target.set_in_flight(told.numbers.in_flight);
  }
  return message;
}

void ConfigClient::OnFirstHeld(const std::string& group) {
  wakes_.Note(group, std::chrono::steady_clock::now());
  Flush();
}

std::optional<v1::ConnectRequest> ConfigClient::WakeMessage() {
  const SteadyTime now = std::chrono::steady_clock::now();
  const auto& groups = coordinator_.newest()->groups;
  const auto due = wakes_.Take(now, [&](const std::string& id) {
    const auto it = groups.find(id);
    return (it == groups.end() ? size_t{0} : it->second->state->CountHeld()) +
           (predecessor_ == nullptr ? 0 : predecessor_->CountHeld(id));
  });
  wake_timer_.Cancel();
  if (wakes_.next() != SteadyTime::max()) wake_timer_.Arm(loop_, wakes_.next());
  if (!due) return std::nullopt;
  v1::ConnectRequest message;
  message.mutable_wake()->set_target_group(due->group);
  message.mutable_wake()->set_held(static_cast<int64_t>(due->held));
  return message;
}

v1::ConnectRequest ConfigClient::HelloMessage() const {
  v1::ConnectRequest message;
  v1::Hello& hello = *message.mutable_hello();
  hello = options_.identity;
  hello.set_cluster_id(cluster_id_);
  hello.set_incarnation(incarnation_);
  const RoutingTable& held = *coordinator_.adopted_table();
  if (held.revision.sequence > 0) {
    hello.mutable_held()->set_epoch(held.revision.epoch);
    hello.mutable_held()->set_sequence(held.revision.sequence);
    hello.set_held_digest(held.digest);
  }
  return message;
}

void ConfigClient::Acknowledge(const Coordinator::Adopted& adopted, uint64_t session) {
  if (session != session_ || !is_welcome_) return;  // the next Hello says it
  // What was counted until now had the shares before: said first, so that whoever counts from the
  // confirmation counts the new ones only.
  if (std::exchange(moves_shares_, false)) {
    lease_.OnReport(std::chrono::steady_clock::now());
    answers_.push_back(StatsMessage(/*with_targets=*/false));
  }
  v1::ConnectRequest message;
  v1::Ack& ack = *message.mutable_ack();
  ack.mutable_revision()->set_epoch(adopted.table->revision.epoch);
  ack.mutable_revision()->set_sequence(adopted.table->revision.sequence);
  AddBusy(predecessor_ == nullptr ? adopted.busy : AllBusy(), *ack.mutable_busy());
  AddListeners(adopted.listeners, *ack.mutable_listeners());
  Send(std::move(message));
}

std::vector<Busy> ConfigClient::AllBusy() const {
  std::vector<Busy> busy = coordinator_.CountBusy();
  return predecessor_ == nullptr ? busy : Merge(std::move(busy), predecessor_->busy());
}

v1::ConnectRequest ConfigClient::DrainMessage() const {
  v1::ConnectRequest message;
  v1::DrainReport& drain = *message.mutable_drain();
  const Revision revision = coordinator_.adopted();
  drain.mutable_revision()->set_epoch(revision.epoch);
  drain.mutable_revision()->set_sequence(revision.sequence);
  AddBusy(AllBusy(), *drain.mutable_busy());
  return message;
}

v1::ConnectRequest ConfigClient::ListenersMessage() const {
  v1::ConnectRequest message;
  AddListeners(coordinator_.Listeners(), *message.mutable_listeners()->mutable_listeners());
  return message;
}

}  // namespace remuda::proxy
