// Brings configs into force: compiles, opens sockets, hands each table to every worker, knows when
// the last has adopted it, and follows what leaves until nothing is in flight to it any more.
//
// Thread: one control loop owns everything here, given by the caller; Snapshot may be called from
// any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "proxy/control/known_target.h"
#include "proxy/control/listening.h"
#include "proxy/core/routing_table.h"
#include "proxy/io/event_loop.h"
#include "proxy/target/outliers.h"
#include "proxy/target/prober.h"
#include "proxy/tls/compiler.h"
#include "proxy/worker.h"

namespace remuda::proxy {

// A target that takes no new request and has some in flight.
struct Busy {
  std::string group;
  std::string target;
  uint64_t in_flight = 0;
};

// The reason of a target that is out because requests to it failed (docs/proxy.md).
inline constexpr char kEjectedReason[] = "Remuda.PassiveEjection";

class Coordinator {
 public:
  struct Adopted {
    std::shared_ptr<const RoutingTable> table;
    std::vector<Busy> busy;  // counted after the last worker adopted the table
    std::vector<ListenerReport> listeners;
  };
  struct Events {
    std::function<void(const HealthChange&)> on_health;
    std::function<void(const std::vector<Busy>&)>
        on_busy;  // changed between zero and more, or a second passed
    // A request of that group waits for a first target, and none did before.
    std::function<void(const std::string& group)> on_first_held;
    // Of the newest table: one that could not be opened listens now, or fails for another reason.
    // What an update opens or fails to open is in its Adopted.
    std::function<void(const std::vector<ListenerReport>&)> on_listeners;
    std::function<void()> on_stopped;  // after Drain: no connection is left
  };
  struct Options {
    size_t workers = 1;
    std::string zone;                    // the proxy's own
    std::string default_listen_address;  // of listeners that name none; empty: all addresses
    Settings settings;
    AccessLog* log = nullptr;
  };
  // From the process before, for the first config.
  struct Inheritance {
    std::map<std::string, ListenerSockets> sockets;  // see Listening
    std::vector<KnownTarget> targets;
  };

  Coordinator(EventLoop& loop, Options options, Events events, Inheritance inheritance);
  ~Coordinator();

  // Compiles `update` over the newest table. An error changes nothing. Otherwise `done` is called
  // once, when every worker has adopted the result; later updates may be applied before that.
  std::optional<ConfigError> Apply(const v1::ConfigUpdate& update, bool allow_port_zero,
                                   std::function<void(Adopted)> done);

  // Of all TLS listeners. Any thread.
  tls::TicketKeys& ticket_keys() { return *ticket_keys_; }

  std::shared_ptr<const RoutingTable> newest() const { return newest_; }
  // The newest table that every worker has adopted.
  std::shared_ptr<const RoutingTable> adopted_table() const { return adopted_; }
  Revision adopted() const { return adopted_->revision; }
  // That is the newest of all.
  bool is_settled() const { return adoptions_under_way_ == 0; }
  std::vector<Busy> CountBusy() const;
  const std::unordered_map<TargetState*, HealthChange>& health() const { return health_; }
  const std::vector<std::unique_ptr<Worker>>& workers() const { return workers_; }

  Listening& listening() { return listening_; }
  // All listeners of the newest table as they are now.
  std::vector<ListenerReport> Listeners() const { return listening_.Reports(); }
  // What another process that goes on in this one's place is to know of the targets.
  std::vector<KnownTarget> KnownTargets() const;

  // Targets that were taken out because requests to them failed. Any thread.
  uint64_t ejections() const { return ejections_.load(std::memory_order_relaxed); }

  // Checks that were not made for want of our own. Any thread.
  uint64_t skipped_checks() const { return prober_.skipped_checks(); }

  // Drain comes: the view says so, all else goes on.
  void AnnounceDrain();
  // Stops accepting, finishes what is in flight, then calls on_stopped. A table that is applied
  // from now on opens no listener. After `timeout` the caller cuts what is left.
  void Drain(std::chrono::milliseconds timeout);
  // As Drain, where another process accepts on the sockets of `kept` (by ListenerSpec::Key): what
  // waits in those is its. Clients that wait stay until they ask: the answer says that the
  // connection ends. Those that still do not are let go of shortly before `timeout`. Drain may come
  // after it.
  void HandOver(std::chrono::milliseconds timeout, const std::set<std::string>& kept);

  // For admin pages: a copy, safe on any thread.
  struct View {
    std::shared_ptr<const RoutingTable> table;
    std::vector<HealthChange> health;  // only with health
    std::vector<ListenerReport> listeners;
    std::chrono::steady_clock::time_point adopted_at{};
    bool is_draining = false;
  };
  View Snapshot() const;
  View SnapshotWithHealth() const;

 private:
  struct Leaving {
    std::shared_ptr<TargetState> target;
    SteadyTime deadline;
    bool has_deadline = false;
    bool is_closed = false;    // what outlived the deadline was closed
    SteadyTime gone_at{};      // zero: its process is not said to be gone
    bool is_given_up = false;  // what it has not begun to answer was ended
    bool is_settled = false;   // every worker has adopted a table in which it is leaving
  };
  void ListenOn(Listening::Opened opened);
  std::vector<HealthChange> Recall(const RoutingTable& table);
  // To each worker, by a task of its own.
  void ToWorkers(const std::function<void(Worker&)>& call);
  void FollowLeaving(const RoutingTable& previous, const RoutingTable& table);
  void WhenAdopted(const std::shared_ptr<const RoutingTable>& table,
                   const std::function<void(Adopted)>& done);
  using Targets = std::vector<std::shared_ptr<TargetState>>;
  void ToEachWorker(Targets targets, void (ClientWorker::*call)(const Targets&));
  void ServeHeld(const std::shared_ptr<TargetState>& target);
  void CheckBusy();
  void OnTick();
  void OnProbed(const HealthChange& change);
  static HealthChange Judge(HealthChange change);
  void OnHealth(const HealthChange& change);

  EventLoop& loop_;
  const Options options_;
  const Events events_;
  const uint64_t seed_;  // see CompileOptions
  const std::shared_ptr<tls::TicketKeys> ticket_keys_ = std::make_shared<tls::TicketKeys>();
  tls::Compiler tls_compiler_;
  Prober prober_;
  Outliers outliers_;
  std::atomic<uint64_t> ejections_{0};
  std::vector<std::unique_ptr<Worker>> workers_;
  std::shared_ptr<const RoutingTable> newest_;
  std::shared_ptr<const RoutingTable> adopted_;
  size_t adoptions_under_way_ = 0;
  std::vector<KnownTarget> known_;  // of targets of the first table
  Listening listening_;
  std::unordered_map<TargetState*, Leaving> leaving_;
  std::unordered_map<TargetState*, HealthChange> probed_;  // as the prober says
  std::unordered_map<TargetState*, HealthChange> health_;  // as it is reported
  Targets fallen_;  // that failed their checks in this turn of the loop
  std::set<std::pair<std::string, std::string>> reported_busy_;
  SteadyTime last_busy_report_{};
  size_t stopped_workers_ = 0;
  Timer tick_;
  Timer idle_end_;  // after HandOver

  mutable std::mutex view_mutex_;
  View view_;  // guarded by view_mutex_; its health is filled in when asked for
  std::unordered_map<TargetState*, HealthChange> view_health_;  // guarded by view_mutex_
};

}  // namespace remuda::proxy
