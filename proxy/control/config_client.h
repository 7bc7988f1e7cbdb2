// The proxy's end of the stream with a controller (the next one is dialled when it ends): takes
// configs, says which is in force, reports health, drains and counts. Without a controller the
// proxy goes on with what it has, from disk if need be.
//
// Thread: everything on the control loop; gRPC's threads only post to it.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "common/identity/controller_addresses.h"
#include "common/identity/controller_channel.h"
#include "common/identity/dial.h"
#include "common/identity/renewer.h"
#include "common/open_calls.h"
#include "proxy/control/config_store.h"
#include "proxy/control/control_counters.h"
#include "proxy/control/coordinator.h"
#include "proxy/control/told_targets.h"
#include "proxy/control/wakes.h"
#include "proxy/core/lease.h"
#include "proxy/io/event_loop.h"
#include "remuda/proxy/v1/proxy.grpc.pb.h"
#include "remuda/proxy/v1/proxy.pb.h"
#include "remuda/proxy/v1/takeover.pb.h"

namespace remuda::proxy {

class Predecessor;

class ConfigClient {
 public:
  struct Options {
    std::vector<std::string> controllers;  // HOST:PORT of each, as --controller has them
    identity::Dial dial;
    v1::Hello identity;    // proxy, address, zone, labels, version
    std::string data_dir;  // empty: nothing is kept
  };
  // A whole config with thousands of targets.
  static constexpr int kMaxReceiveBytes = 64 * 1024 * 1024;
  static constexpr std::chrono::milliseconds kMinBackoff{100};
  static constexpr std::chrono::milliseconds kMaxBackoff{5000};
  // A session that ends sooner is as a try that failed: who throws it out at once would do so
  // again.
  static constexpr std::chrono::milliseconds kSettled{1000};

  // The controller has so long to hear that the proxy ends.
  static constexpr std::chrono::milliseconds kFarewellPatience{1000};

  using OnListeners = std::function<void(const std::vector<ListenerReport>&)>;

  ConfigClient(EventLoop& loop, Coordinator& coordinator, ControlCounters& counters,
               Options options, OnListeners on_listeners);
  ~ConfigClient();

  // Dials; if there is something on disk, when that is in force: the hello says what is held. True:
  // there is, and `on_listeners` will be told of it.
  bool Start();
  // Instead of Start, for one that takes over from another process: brings what that one has into
  // force, then calls `done`; Begin dials. False, with the reason in the log: that is refused.
  bool StartFrom(const v1::TakeoverOffer& offer, std::function<void()> done);
  // `before`: the process that this one took over from, which outlives it; null: there is none.
  void Begin(Predecessor* before);

  // While frozen, what the controller says is kept for later.
  void Freeze(bool is_frozen);
  // Frozen: what is in force is so in each worker, and on the disk.
  bool is_settled() const;
  // What another process goes on with.
  void Describe(v1::TakeoverOffer& offer) const;
  // Another process goes on in this one's place: ends the session, for good.
  void GiveUp();
  // Ends the stream and waits until gRPC has let go of it.
  void Stop();

  // This process drains and accepts nothing any more: another one that asks for its name may have
  // it at once.
  void Leave() { is_leaving_ = true; }
  // This process has drained and ends: says so to the controller (a Pong that answers no Ping),
  // then calls `done`; within kFarewellPatience at most, and maybe at once. Once.
  void SayFarewell(std::function<void()> done);

  void OnHealth(const HealthChange& change);
  void OnBusy();
  void OnFirstHeld(const std::string& group);
  void OnListenersChanged(const std::vector<ListenerReport>& listeners);

 private:
  class Stream;
  friend class Stream;

  bool StartFromDisk();
  void Dial();
  void OnMessage(const Stream* from, const v1::ConnectResponse& message);
  void OnClosed(const Stream* from, const std::string& why);
  void LogEnd(const std::string& why);
  void OnWelcome(const v1::Welcome& welcome);
  void OnUpdate(const v1::ConfigUpdate& update);
  void OnTicketKeys(const v1::TicketKeys& message);
  void OnLease(const v1::LeaseRenewal& renewal);
  void OnPing(const v1::Ping& ping);
  void PublishLease();
  void Refuse(const v1::ConfigUpdate& update, std::string resource, std::string reason);
  void SaveConfig(const std::shared_ptr<const RoutingTable>& table);
  void OnAdopted(const Coordinator::Adopted& adopted, uint64_t session);
  void Acknowledge(const Coordinator::Adopted& adopted, uint64_t session);
  std::vector<Busy> AllBusy() const;
  void Send(v1::ConnectRequest message);
  void Flush();
  void EndFarewell();
  v1::ConnectRequest HelloMessage() const;
  v1::ConnectRequest HealthMessage();
  v1::ConnectRequest ListenersMessage() const;
  v1::ConnectRequest DrainMessage() const;
  v1::ConnectRequest StatsMessage(bool with_targets);
  // That requests wait, if it is to be said now.
  std::optional<v1::ConnectRequest> WakeMessage();

  EventLoop& loop_;
  Coordinator& coordinator_;
  ControlCounters& counters_;
  const Options options_;
  const OnListeners on_listeners_;
  const std::string incarnation_;  // of this process, random
  std::unique_ptr<ConfigStore> store_;
  identity::ControllerAddresses controllers_;
  identity::ControllerChannel channel_;
  std::unique_ptr<identity::Renewer> renewer_;  // null without an identity
  OpenCalls calls_;
  std::shared_ptr<Stream> stream_;
  uint64_t session_ = 0;  // number of the stream
  bool is_welcome_ = false;
  bool is_stopped_ = false;
  bool is_leaving_ = false;
  bool has_given_up_name_ = false;
  std::function<void()> on_farewell_;  // null: it has not drained, or the controller knows
  std::string cluster_id_;
  int64_t epoch_ = 0;  // highest seen
  Lease lease_;
  SteadyTime hello_sent_{};
  SteadyTime welcome_time_{};
  std::string refusal_;  // why we end the session ourselves; empty: we do not
  // Why there is no session, as was logged of each controller since the last one.
  std::map<std::string, std::string> last_why_;
  std::chrono::milliseconds backoff_{kMinBackoff};
  std::mt19937_64 random_;
  Timer dial_timer_;
  Timer farewell_timer_;
  Timer stats_timer_;
  Timer wake_timer_;
  std::chrono::milliseconds stats_interval_{5000};

  // What is to be said, bounded by what there is: answers in order, then the newest of everything
  // else.
  std::deque<v1::ConnectRequest> answers_;
  bool is_health_full_ = false;
  std::unordered_set<TargetState*> changed_health_;
  bool is_busy_due_ = false;
  bool are_listeners_due_ = false;
  bool is_stats_due_ = false;
  bool moves_shares_ = false;  // what is to be adopted does
  bool is_frozen_ = false;
  std::deque<std::pair<uint64_t, v1::ConfigUpdate>> frozen_;  // with their sessions
  Predecessor* predecessor_ = nullptr;
  Wakes wakes_;
  ToldTargets told_targets_;
  // When the process began.
  const std::chrono::system_clock::time_point start_time_ = std::chrono::system_clock::now();
};

}  // namespace remuda::proxy
