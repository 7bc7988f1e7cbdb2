// Observe: what reports imply. See reconcile.h.
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "controller/core/model/addresses.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/warm_pool_size.h"
#include "controller/core/reconcile.h"
#include "controller/core/reconcile/health.h"
#include "controller/core/reconcile/pass.h"

namespace remuda::core {
namespace {

void ObserveHost(Edits& pass, const std::string& id, const HostObservation& seen) {
  if (!seen.reported) return;
  const auto before = pass.draft.Find<v1::Host>(id);
  // One that was forgotten comes back only with a session.
  if (before == nullptr && !seen.connected) return;
  v1::Host after;
  if (before != nullptr) {
    after = *before;
  } else {
    after.set_name(absl::StrCat("hosts/", id));
    after.set_schedule(v1::HOST_SCHEDULE_ACTIVE);
    *after.mutable_create_time() = ToProto(pass.now);
  }
  after.set_address(seen.hello.address());
  after.set_zone(seen.hello.zone());
  *after.mutable_labels() = seen.hello.labels();
  *after.mutable_capacity() = seen.hello.capacity();
  *after.mutable_lacks() = seen.hello.lacks();
  if (!seen.hello.machine_id().empty()) after.set_machine_id(seen.hello.machine_id());
  pass.Put(id, std::move(after));
}

// As it says, and where its session comes from.
void SetAddresses(const ProxyObservation& seen, v1::Proxy& out) {
  out.clear_addresses();
  for (const std::string& text : {seen.hello.address(), seen.peer_address}) {
    for (std::string& address : AddressesIn(text)) {
      const auto& known = out.addresses();
      if (std::find(known.begin(), known.end(), address) == known.end())
        out.add_addresses(std::move(address));
    }
  }
  out.set_address(seen.hello.address());
  if (out.address().empty() && out.addresses_size() > 0) out.set_address(out.addresses(0));
}

void ObserveProxy(Edits& pass, const std::string& id, const ProxyObservation& seen) {
  if (seen.hello.proxy().empty()) return;
  const auto before = pass.draft.Find<v1::Proxy>(id);
  if (before == nullptr && !seen.connected) return;
  v1::Proxy after;
  if (before != nullptr) {
    after = *before;
  } else {
    after.set_name(absl::StrCat("proxies/", id));
    *after.mutable_create_time() = ToProto(pass.now);
  }
  SetAddresses(seen, after);
  after.set_zone(seen.hello.zone());
  *after.mutable_labels() = seen.hello.labels();
  pass.Put(id, std::move(after));
}

// Port and start of a process that runs.
void ObserveRunning(Edits& pass, const std::string& id, const v1::Instance& before,
                    const agent::v1::InstanceStatus& status) {
  if (before.has_start_time() && (status.port() == 0 || status.port() == before.port())) return;
  v1::Instance after = before;
  if (status.port() != 0) after.set_port(status.port());
  if (!after.has_start_time()) {
    *after.mutable_start_time() = status.has_start_time() ? status.start_time() : ToProto(pass.now);
  }
  pass.Put(id, std::move(after));
}

// Whether it belongs to a warm pool in which no process is to run.
bool IsToStop(const Draft& draft, const v1::Instance& row) {
  if (!row.in_warm_pool()) return false;
  const auto group = draft.Find<v1::AutoScalingGroup>(row.auto_scaling_group());
  return group != nullptr && HasStoppedPool(*group);
}

void ObserveInstance(Edits& pass, const std::string& id, const v1::Instance& row) {
  if (row.state() == v1::INSTANCE_STATE_TERMINATED) return;
  const ProcessFact fact = ProcessOf(pass.seen, id, row);
  const bool ending = IsLeavingState(row.state());
  switch (fact.process) {
    case Process::kRunning:
      if (!ending && !IsToStop(pass.draft, row)) ObserveRunning(pass, id, row, *fact.status);
      return;
    case Process::kEnded:
      if (ending && !DrainsToStay(row)) {
        pass.Terminate(id, row.state_reason(), false);
      } else if (ending || LifeOf(row) == v1::INSTANCE_STATE_STANDBY) {
        // It was not in service: no launch has failed, and none is missing.
        pass.Terminate(id, EndOf(fact, row), false);
      } else {
        pass.Terminate(id, EndOf(fact, row), true);
      }
      return;
    default:
      return;
  }
}

void ObserveGroup(Edits& pass, const std::string& group) {
  for (const auto& [id, row] : pass.draft.InstancesOfGroup(group)) ObserveInstance(pass, id, *row);
}

}  // namespace

std::set<std::string> Observe(Draft& draft, const Observations& seen, Time now,
                              const Scope& scope) {
  Edits pass(draft, seen, now);
  if (scope.housekeeping) {
    for (const auto& [id, host] : seen.hosts) ObserveHost(pass, id, host);
  } else {
    for (const std::string& id : scope.hosts) {
      const HostObservation* host = FindObservation(seen.hosts, id);
      if (host != nullptr) ObserveHost(pass, id, *host);
    }
  }
  if (scope.housekeeping || scope.proxies) {
    for (const auto& [id, proxy] : seen.proxies) ObserveProxy(pass, id, proxy);
  }
  std::set<std::string> groups;
  if (scope.groups.has_value()) {
    groups = *scope.groups;
  } else {
    draft.ForEach<v1::AutoScalingGroup>(
        [&](const std::string& id, const v1::AutoScalingGroup&) { groups.insert(id); });
    if (!draft.InstancesOfGroup(kNoGroup).list().empty()) groups.emplace(kNoGroup);
  }
  // One at least, whatever hosts and proxies had to say.
  for (bool is_first = true; !groups.empty() && (is_first || pass.count() < scope.max_edits);
       is_first = false) {
    ObserveGroup(pass, *groups.begin());
    groups.erase(groups.begin());
  }
  return groups;
}

}  // namespace remuda::core
