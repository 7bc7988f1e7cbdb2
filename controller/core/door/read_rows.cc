#include "controller/core/door/read_rows.h"

#include <absl/strings/str_cat.h>

#include "controller/core/model/etag.h"
#include "controller/core/model/names.h"
#include "controller/core/reconcile/health.h"
#include "controller/core/reconcile/host_failures.h"
#include "controller/core/views/target_group_view.h"

namespace remuda::core {
namespace {

// One that is refused dials again within seconds.
constexpr Duration kRefusedShownFor = absl::Minutes(1);

// Who asks to join under a name that is another's; empty: nobody does.
std::string RefusedText(const Refused& refused, Time now) {
  if (now - refused.last >= kRefusedShownFor) return "";
  return absl::StrCat(refused.who, " asks to join under this name from ", refused.peer,
                      ", last at ", absl::FormatTime("%H:%M:%S", refused.last, absl::UTCTimeZone()),
                      " UTC");
}

template <class Table>
const typename Table::mapped_type* FindIn(const Table& table, std::string_view id) {
  const auto it = table.find(id);
  return it == table.end() ? nullptr : &it->second;
}

std::string ProcessText(const agent::v1::InstanceStatus& status) {
  const std::string more = status.message().empty() ? "" : ": " + status.message();
  switch (status.state()) {
    case agent::v1::PROCESS_STATE_FETCHING:
      return "fetching its image" + more;
    case agent::v1::PROCESS_STATE_STARTING:
      return "starting" + more;
    case agent::v1::PROCESS_STATE_RUNNING:
      return "running" + more;
    case agent::v1::PROCESS_STATE_STOPPING:
      return "stopping" + more;
    case agent::v1::PROCESS_STATE_FAILED:
      return "failed" + more;
    case agent::v1::PROCESS_STATE_EXITED:
      if (status.exit().out_of_memory()) return "ended: over its memory limit" + more;
      if (status.exit().signal() != 0)
        return absl::StrCat("ended by signal ", status.exit().signal(), more);
      return absl::StrCat("ended with code ", status.exit().code(), more);
    default:
      return "not known" + more;
  }
}

// A state with the reason as AWS names it and the words for a person.
template <class Health>
void SetHealth(Health& out, v1::TargetState state, std::string_view reason, std::string_view why) {
  out.set_state(state);
  out.set_reason(std::string(reason));
  out.set_description(std::string(why));
}

// What one proxy says of a target.
v1::ProxyTargetHealth HealthAt(const LiveProxy& proxy, const TargetId& id) {
  v1::ProxyTargetHealth out;
  out.set_proxy(proxy.id);
  if (!proxy.Connected()) {
    SetHealth(out, v1::TARGET_STATE_UNAVAILABLE, "Elb.InternalError",
              "the proxy has no session; it may be serving its last config");
    return out;
  }
  const auto busy = proxy.seen->busy.find(id);
  if (busy != proxy.seen->busy.end()) out.set_requests_in_flight(busy->second);
  const proxy::v1::TargetHealth* health = proxy.seen->health.Find(id);
  if (health == nullptr) {
    SetHealth(out, v1::TARGET_STATE_INITIAL, "Elb.RegistrationInProgress",
              "the proxy has not checked it yet");
    return out;
  }
  SetHealth(out, health->state(), health->reason(), health->description());
  if (out.state() == v1::TARGET_STATE_INITIAL && out.reason().empty()) {
    out.set_reason("Elb.InitialHealthChecking");
  }
  return out;
}

// Health over all proxies that serve the group: healthy when most of them say so; else what the
// first one that does not says.
void SumUp(v1::Target& target) {
  int healthy = 0;
  int unhealthy = 0;
  const v1::ProxyTargetHealth* first_bad = nullptr;
  const v1::ProxyTargetHealth* first_other = nullptr;
  for (const v1::ProxyTargetHealth& health : target.proxies()) {
    if (health.state() == v1::TARGET_STATE_HEALTHY) {
      ++healthy;
    } else if (health.state() == v1::TARGET_STATE_UNHEALTHY) {
      ++unhealthy;
      if (first_bad == nullptr) first_bad = &health;
    } else if (first_other == nullptr) {
      first_other = &health;
    }
  }
  const int all = target.proxies_size();
  if (healthy * 2 > all) return SetHealth(target, v1::TARGET_STATE_HEALTHY, "", "");
  const v1::ProxyTargetHealth* why =
      unhealthy * 2 >= all || first_other == nullptr ? first_bad : first_other;
  if (why != nullptr) SetHealth(target, why->state(), why->reason(), why->description());
}

void Judge(const Snapshot& from, const Gates& gates, const proxy::v1::Target& known,
           const v1::Instance* instance, v1::Target& target) {
  for (const LiveProxy* proxy : gates.Serving(known.target_group())) {
    *target.add_proxies() = HealthAt(*proxy, {known.target_group(), known.id()});
  }
  if (known.state() == proxy::v1::Target::STATE_DRAINING) {
    return SetHealth(target, v1::TARGET_STATE_DRAINING, "Target.DeregistrationInProgress",
                     "it takes no new requests; those in flight finish");
  }
  if (known.state() == proxy::v1::Target::STATE_GONE && instance != nullptr) {
    return SetHealth(target, v1::TARGET_STATE_UNHEALTHY, "Target.InvalidState",
                     EndOf(ProcessOf(from.seen, known.id(), *instance), *instance));
  }
  if (!gates.InUse(known.target_group())) {
    return SetHealth(target, v1::TARGET_STATE_UNUSED, "Target.NotInUse",
                     "no load balancer forwards to its group");
  }
  if (target.proxies().empty()) {
    return SetHealth(target, v1::TARGET_STATE_UNUSED, "Target.NotInUse",
                     "no live proxy serves a load balancer that forwards to its group");
  }
  SumUp(target);
}

}  // namespace

v1::Instance ShowInstance(const Snapshot& from, std::string_view id, const v1::Instance& row) {
  v1::Instance out = row;
  out.set_etag(EtagOf(row));
  const HostObservation* host = FindIn(from.seen.hosts, row.host());
  if (host == nullptr) return out;
  const agent::v1::InstanceStatus* status = FindIn(host->instances, id);
  if (status == nullptr) return out;
  v1::InstanceProcess& process = *out.mutable_process();
  process.set_pid(status->pid());
  if (status->has_start_time()) *process.mutable_start_time() = status->start_time();
  process.set_restarts(status->restarts());
  process.set_status(ProcessText(*status));
  if (const Usage* usage = FindIn(host->usage.instances, id); usage != nullptr) {
    process.set_cpu_millis(usage->said.cpu_millis());
    process.set_memory_bytes(usage->said.memory_bytes());
  }
  return out;
}

v1::Host ShowHost(const Snapshot& from, std::string_view id, const v1::Host& row) {
  v1::Host out = row;
  out.set_etag(EtagOf(row));
  const HostObservation* seen = FindIn(from.seen.hosts, id);
  if (seen != nullptr && seen->connected) {
    out.set_state(v1::HOST_STATE_CONNECTED);
  } else {
    out.set_state(IsLost(from.seen, id, from.now) ? v1::HOST_STATE_LOST : v1::HOST_STATE_SILENT);
  }
  int count = 0;
  for (const std::string& instance : from.state.InstancesOnHost(id)) {
    const auto* entry = from.state.Find<v1::Instance>(instance);
    count += entry != nullptr && (*entry)->state() != v1::INSTANCE_STATE_TERMINATED;
  }
  out.set_instance_count(count);
  const HostRecord record = WorstHostRecordOf(Draft(from.state).InstancesOnHost(id), from.now);
  out.set_launch_failures(record.failures);
  out.set_last_launch_failure(record.last);
  if (record.avoided_until > from.now) *out.mutable_avoided_until() = ToProto(record.avoided_until);
  if (seen == nullptr) return out;
  out.set_refused_agent(RefusedText(seen->refused, from.now));
  *out.mutable_used() = seen->used;
  *out.mutable_assignment() = seen->assignment;
  out.set_agent_version(seen->hello.version());
  if (seen->last_seen != absl::InfinitePast())
    *out.mutable_last_seen_time() = ToProto(seen->last_seen);
  return out;
}

v1::Proxy ShowProxy(const Snapshot& from, std::string_view id, const v1::Proxy& row) {
  v1::Proxy out = row;
  out.set_etag(EtagOf(row));
  const ProxyObservation* seen = FindIn(from.seen.proxies, id);
  out.set_live(IsLive(from.seen, seen, from.now));
  if (seen == nullptr) return out;
  out.set_connected(seen->connected);
  if (seen->last_seen != absl::InfinitePast())
    *out.mutable_last_seen_time() = ToProto(seen->last_seen);
  out.set_proxy_version(seen->hello.version());
  *out.mutable_config() = seen->config;
  out.mutable_config()->set_confirmed_commit(seen->confirmed_commit);
  for (const auto& [listener, trouble] : seen->listener_errors) {
    out.add_listener_errors(
        absl::StrCat(listener.first, ":", listener.second, ": ", trouble.error));
  }
  out.set_refused_proxy(RefusedText(seen->refused, from.now));
  out.set_active_connections(seen->active_connections);
  out.set_requests(seen->requests);
  return out;
}

std::map<std::string, v1::Target> ShowTargets(
    const Snapshot& from, const Gates& gates, std::string_view target_group,
    const std::function<bool(const std::string& id)>& wanted) {
  std::map<std::string, v1::Target> out;
  const TargetGroupView view = TargetGroupViewOf(from.state, from.seen, target_group);
  for (const auto& [id, known] : view.targets) {
    if (!wanted(id)) continue;
    v1::Target target;
    const auto* by_hand = from.state.Find<v1::Target>(TargetKey(target_group, id));
    const auto* instance = by_hand == nullptr ? from.state.Find<v1::Instance>(id) : nullptr;
    if (by_hand != nullptr) target = **by_hand;
    target.set_name(FullName(kTargetGroups, TargetKey(target_group, id)));
    target.set_address(known.address());
    target.set_port(known.port());
    target.set_weight(known.has_weight() ? known.weight() : 1);
    target.set_zone(known.zone());
    if (instance != nullptr) {
      const v1::Instance& row = **instance;
      target.set_instance(id);
      target.set_template_version(row.launch_template().resolved_version());
      *target.mutable_create_time() = row.start_time();
      if (row.state() == v1::INSTANCE_STATE_DRAINING)
        *target.mutable_drain_start_time() = row.state_time();
    }
    Judge(from, gates, known, instance == nullptr ? nullptr : instance->value.get(), target);
    out.emplace(id, std::move(target));
  }
  return out;
}

}  // namespace remuda::core
