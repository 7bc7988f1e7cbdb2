// Observations: what hosts and proxies report. Kept in memory, never persisted; lost with the
// controller and reported anew.
//
// Owns: the last word of each receiver. Does not own: conclusions from it (Observe, Reconcile).
// Thread: the loop thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controller/core/model/group_metrics.h"
#include "controller/core/model/probe.h"
#include "controller/core/model/time.h"
#include "controller/core/model/traffic.h"
#include "controller/core/model/usage.h"
#include "controller/core/model/votes.h"
#include "remuda/agent/v1/agent.pb.h"
#include "remuda/proxy/v1/proxy.pb.h"
#include "remuda/v1/cluster.pb.h"

namespace remuda::core {

// (id of the load balancer, port).
using ListenerId = std::pair<std::string, int>;

// Why a listener does not listen at a proxy, and since when that has been so.
struct ListenerTrouble {
  std::string error;
  Time since = absl::InfinitePast();
};

// How long silence is borne. Settings of the controller, constant while it runs.
struct Patience {
  Duration host_lost_after = absl::Seconds(10);
  // From a host's loss to replacements elsewhere.
  Duration replace_lost_after = absl::Seconds(5);
  // How long a proxy without a session counts as serving its last config.
  Duration proxy_lease = absl::Seconds(15);
};

// Another one that asks to join under the name of a host or of a proxy, and is refused.
struct Refused {
  std::string who;  // for a person: "machine a1", "another process"
  std::string peer;
  Time last = absl::InfinitePast();
  Time told = absl::InfinitePast();  // when the last activity about it was written
};

// An instance that does not run yet, by its agent's word and this controller's clock.
struct OnTheWay {
  Time since = absl::InfinitePast();  // when it came into the state that it is in
  std::optional<Time> hindered_since =
      std::nullopt;  // when its agent began to say what is in the way
};

struct HostObservation {
  bool connected = false;
  // A Hello has come since the controller began; before that, `instances` being empty means
  // nothing.
  bool reported = false;
  Time last_seen = absl::InfinitePast();
  agent::v1::Hello hello;  // without the instances
  std::map<std::string, agent::v1::InstanceStatus, std::less<>> instances;
  std::map<std::string, OnTheWay, std::less<>> on_the_way;  // see Report
  HostUsage usage;
  v1::HostCapacity used;
  Refused refused;
  v1::ReceiverStatus assignment;
};

struct ProxyObservation {
  bool connected = false;
  // A full HealthReport has come in the newest session: `health` is what the proxy finds now, or
  // found when that session ended. False: it is of a session before.
  bool reported = false;
  // It said in the newest session that it has drained and ends: it serves nobody, however silent.
  bool has_left = false;
  Time last_seen = absl::InfinitePast();
  proxy::v1::Hello hello;
  // That its newest session comes from, an IP address in its one spelling; empty: not known.
  std::string peer_address = {};
  // Newest commit whose view is in force in every worker of the proxy. 0: none yet in this epoch.
  int64_t confirmed_commit = 0;
  HealthReports health;
  // Draining, gone or removed targets that still have requests in flight there, as of the newest
  // Ack or DrainReport, whichever came later.
  std::map<TargetId, int64_t> busy;
  CountedProcess counted;
  // Requests in flight at each target, of those above 0: as it told last in the newest session.
  std::map<TargetId, int64_t> in_flight;
  int64_t active_connections = 0;
  int64_t requests = 0;
  std::map<ListenerId, ListenerTrouble> listener_errors;  // of listeners that do not listen
  Refused refused;
  v1::ReceiverStatus config;
};

// Whether commits reach the disk.
struct StoreObservation {
  std::string error;                  // why the newest commit failed; empty: it did not
  Time since = absl::InfinitePast();  // when the first of the failed ones in a row did
};

// Which of some proxies serve each target group that some load balancers forward to.
struct ServingProxies {
  std::vector<std::shared_ptr<const v1::Proxy>> proxies;
  std::vector<std::shared_ptr<const v1::LoadBalancer>> balancers;
  std::map<std::string, std::vector<size_t>, std::less<>> by_target_group;  // indexes, sorted
};

struct Observations {
  // When this controller began to listen: nothing is concluded from silence before a full patience
  // after it.
  Time start = absl::InfinitePast();
  Patience patience;
  std::map<std::string, HostObservation, std::less<>> hosts;
  std::map<std::string, ProxyObservation, std::less<>> proxies;
  StoreObservation store;
  // The rules of time zones, see schedule/zone_finder.h. A setting; null: there are none.
  std::optional<absl::TimeZone> (*find_zone)(std::string_view name) = nullptr;
  // What proxies counted of each side's requests, and what outside checks answered: for analyses.
  Traffic traffic;
  // What goes through them now, for metrics.
  Flows flows;
  ProbeAnswers answers;
  // What is measured of groups, and what policies make of it.
  GroupMetrics metrics;
  // Totals over what proxies say, and who serves what, as Gates found it last: caches.
  mutable Votes votes;
  mutable std::shared_ptr<const ServingProxies> serving;
};

// Of `hosts` or `proxies`; null: it has not reported.
template <class Table>
const typename Table::mapped_type* FindObservation(const Table& table, std::string_view id) {
  const auto it = table.find(id);
  return it == table.end() ? nullptr : &it->second;
}

// Takes an agent's word on an instance up.
inline void Report(HostObservation& host, const agent::v1::InstanceStatus& status, Time now) {
  const std::string& id = status.instance();
  const auto before = host.instances.find(id);
  const bool on_the_way = status.state() == agent::v1::PROCESS_STATE_FETCHING ||
                          status.state() == agent::v1::PROCESS_STATE_STARTING;
  if (!on_the_way) {
    host.on_the_way.erase(id);
  } else {
    const bool same = before != host.instances.end() && before->second.state() == status.state();
    const auto known = host.on_the_way.find(id);
    OnTheWay& way = host.on_the_way[id];
    if (!same || known == host.on_the_way.end()) way = {.since = now};
    // What is in the way may be told anew with each try: only that something is counts. One that
    // goes on again is not hindered, but its state has begun when it did.
    if (status.message().empty()) {
      way.hindered_since.reset();
    } else if (!way.hindered_since) {
      way.hindered_since = now;
    }
  }
  host.instances[id] = status;
}

// The agent has forgotten the instance.
inline void Forget(HostObservation& host, const std::string& id) {
  host.instances.erase(id);
  host.on_the_way.erase(id);
  host.usage.instances.erase(id);
}

// When a receiver was last known to be there (null: it has not reported): never before `start`, so
// that a new controller waits for everyone whom it knows from the state.
template <class Observation>
Time LastSeen(const Observations& seen, const Observation* receiver) {
  return receiver == nullptr || receiver->last_seen < seen.start ? seen.start : receiver->last_seen;
}

}  // namespace remuda::core
