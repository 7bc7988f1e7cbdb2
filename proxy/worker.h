// One thread that accepts connections and serves them, alone: its own sockets, loop, pools and
// counters. Everything is reached by tasks posted to its loop; the counters may be read by anyone.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "proxy/client/address_limit.h"
#include "proxy/client/connection_list.h"
#include "proxy/client/handshake_turns.h"
#include "proxy/core/retry.h"
#include "proxy/core/routing_table.h"
#include "proxy/exchange/place_queues.h"
#include "proxy/exchange/session.h"
#include "proxy/exchange/sticky_cookie.h"
#include "proxy/http/date.h"
#include "proxy/io/buffer_pool.h"
#include "proxy/io/event_loop.h"
#include "proxy/io/splice_pipe.h"
#include "proxy/settings.h"
#include "proxy/target/upstream.h"
#include "proxy/telemetry/access_log.h"
#include "proxy/telemetry/bad_messages.h"
#include "proxy/telemetry/metrics.h"

namespace remuda::proxy {

class Http2Worker;

// A table that this worker has adopted; kept until no request that matched or picked from it is
// left.
struct AdoptedTable {
  std::shared_ptr<const RoutingTable> table;
  uint32_t pins = 0;
  bool is_current = true;
};

// A listening socket of one worker and what it serves.
struct Listener final : IoHandler, std::enable_shared_from_this<Listener> {
  void OnIo(uint32_t events) override;

  Worker* worker = nullptr;
  int fd = -1;
  uint16_t port = 0;                        // the real one
  std::shared_ptr<BalancerState> balancer;  // outlives the spec
  const ListenerSpec* spec = nullptr;       // of the current table; null: gone
};

// What a worker is told to listen on: the spec and a socket of its own, already bound.
struct ListenerChange {
  std::string key;  // ListenerSpec::Key
  int fd = -1;      // -1: the socket it has already
  uint16_t port = 0;
};

class Worker {
 public:
  // Called on the worker's thread.
  struct Events {
    std::function<void()>
        on_drained_target;  // a leaving target has no request in flight here any more
    std::function<void(TargetState*)>
        on_passively_out;                          // a connection to a target was refused or reset
    std::function<void(TargetState*)> on_failing;  // its requests fail one after the other
    std::function<void(size_t)> on_place_free;     // for whom that worker's queues may wait
    std::function<void()> on_stopped;              // after Drain: the last connection is gone
  };

  Worker(size_t index, const Settings& settings, AccessLog* log, Events events);
  ~Worker();

  void Start();
  void Join();
  EventLoop& loop() { return loop_; }
  const WorkerMetrics& metrics() const { return metrics_; }
  const BadMessages& bad_messages() const { return bad_messages_; }

  // On the worker's thread, as posted tasks:
  void Adopt(std::shared_ptr<const RoutingTable> table, const std::vector<ListenerChange>& opened,
             const std::vector<std::string>& closed);
  // Opens listeners of the table that it has.
  void Listen(const std::vector<ListenerChange>& opened);
  using Targets = std::vector<std::shared_ptr<TargetState>>;
  void CloseExchangesWith(const Targets& targets);
  // They failed their checks; see Connection::TargetFell.
  void TargetsFell(const Targets& targets);
  void EndUnanswered(const Targets& targets);
  // Stops accepting; requests in flight finish.
  void Drain();
  void AbortAll();

  // For sessions.
  size_t index() const { return index_; }
  const Settings& settings() const { return settings_; }
  WorkerMetrics& counters() { return metrics_; }
  BufferPool& buffers() { return buffers_; }
  UpstreamPool& pool() { return pool_; }
  SplicePipePool& pipes() { return pipes_; }
  StickyCookies& sticky_cookies() { return sticky_cookies_; }
  PlaceQueues& place_queues() { return place_queues_; }
  RetryBudget& retry_budget() { return retry_budget_; }
  AccessLog* log() { return log_; }
  BadMessages& bad_messages() { return bad_messages_; }
  // Whether something that comes often may be written down now: once an interval.
  bool TakeNote(std::chrono::milliseconds interval) {
    if (loop_.now() < next_note_) return false;
    next_note_ = loop_.now() + interval;
    return true;
  }
  // For a Date field; until the next call.
  std::string_view Date() { return date_.At(WallUs(loop_.now())); }
  // A target of the group for one request; see PickTarget. Worker, time and random bits are filled
  // in.
  Picked Pick(GroupState& group, PickRequest request);
  // The same for HasUntried.
  bool HasUntried(GroupState& group, PickRequest request);
  // And that it is well, not only better than nothing.
  bool HasHealthyUntried(GroupState& group, PickRequest request);
  AdoptedTable* Pin();
  void Unpin(AdoptedTable* table);
  Exchange* TakeExchange();
  void GiveExchange(Exchange* exchange);
  // A session for a new connection or stream, in the worker's list; it comes back by SessionClosed.
  Session* NewSession() { return TakeSession(false); }
  Session* NewStreamSession() { return TakeSession(true); }
  void SessionClosed(Session* session);
  // Puts any other kind of connection into the worker's list.
  void Hold(std::unique_ptr<Connection> connection);
  // Serves what the listener's protocol is on a connection whose greeting is over. `watched_by`:
  // who gets its events so far; null: nobody yet.
  void Serve(Transport transport, const PeerAddress& peer, std::shared_ptr<Listener> listener,
             IoHandler* watched_by);
  // Takes it out and destroys it when the current event has been dealt with.
  void ConnectionClosed(Connection* connection);
  void TargetReleased(TargetState& target);
  void TargetRefused(TargetState& target);
  void TargetFailing(TargetState& target) {
    if (events_.on_failing) events_.on_failing(&target);
  }
  // As many connections and streams as there may be.
  bool is_full() const { return connection_count_ + stream_places_ >= settings_.max_connections; }
  // For a connection or stream that is to begin: where all places are taken, closes the connection
  // that has waited longest for its client to ask for something. False if there is none.
  bool HasRoom() { return !is_full() || MakeRoom(); }
  // The place of a stream that begins, to be given back when its session is made or will not be:
  // many may begin at once. False if there is none.
  bool TakeStreamPlace() {
    if (!HasRoom()) return false;
    ++stream_places_;
    return true;
  }
  void GiveStreamPlace() { --stream_places_; }
  // `connection` waits for its client, from now on; or something is under way.
  void NoteIdle(Connection& connection) { idle_.PushBack(connection); }
  void NoteBusy(Connection& connection) { ConnectionList::Remove(connection); }
  HandshakeTurns& handshakes() { return handshakes_; }
  AddressLimit& addresses() { return addresses_; }
  Http2Worker& http2();
  bool is_draining() const { return is_draining_; }
  uint64_t Random();
  // One batch. True if more may wait.
  bool AcceptFrom(Listener& listener);
  // Microseconds since the epoch at a time of the loop; costs no look at a clock.
  int64_t WallUs(SteadyTime time) const {
    return wall_offset_us_ +
           std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
  }

 private:
  // Fills in what is the worker's, and refreshes and times the picker.
  void PreparePick(GroupState& group, PickRequest& request);
  void AdoptUntimed(std::shared_ptr<const RoutingTable> table,
                    const std::vector<ListenerChange>& opened,
                    const std::vector<std::string>& closed);
  void Sweep();
  void AcceptBacklog(Listener& listener);
  void SetWallOffset();
  void CloseListener(Listener& listener);
  void TellOfLeaving(const RoutingTable& table);
  void CheckStopped();
  void OpenConnection(Transport transport, const PeerAddress& peer,
                      const std::shared_ptr<Listener>& listener);
  Session* TakeSession(bool for_stream);
  bool MakeRoom();
  bool Admit(Listener& listener, Transport& transport, const PeerAddress& peer);
  void Link(Connection* connection);
  void Unlink(Connection* connection);
  template <typename Visit>
  void ForEachConnection(Visit visit);
  template <typename Visit>
  void ForEachExchangeWith(const Targets& targets, Visit visit);

  const size_t index_;
  const Settings& settings_;
  AccessLog* const log_;
  const Events events_;
  EventLoop loop_;
  WorkerMetrics metrics_;
  BadMessages bad_messages_;
  http::DateText date_;
  SteadyTime next_note_{};
  BufferPool buffers_;
  UpstreamPool pool_;
  PlaceQueues place_queues_;
  StickyCookies sticky_cookies_;
  SplicePipePool pipes_;
  RetryBudget retry_budget_;
  std::unique_ptr<AdoptedTable> current_;
  std::vector<std::unique_ptr<AdoptedTable>> retired_;
  std::map<std::string, std::shared_ptr<Listener>> listeners_;
  Connection* connections_ = nullptr;
  Connection* visited_next_ = nullptr;  // while the list is gone through
  size_t connection_count_ = 0;
  size_t stream_places_ = 0;  // of streams that have no session yet
  ConnectionList idle_;       // the longest first
  HandshakeTurns handshakes_;
  AddressLimit addresses_;
  std::unique_ptr<Http2Worker> http2_;  // null until it is needed
  std::vector<std::unique_ptr<Session>> free_sessions_;
  std::vector<std::unique_ptr<Exchange>> free_exchanges_;
  bool is_draining_ = false;
  bool is_stop_reported_ = false;
  uint64_t random_state_;
  int64_t wall_offset_us_ = 0;  // of the system's clock to the loop's; looked at with each sweep
  Timer sweep_timer_;
  Timer accept_timer_;
  std::vector<std::weak_ptr<Listener>> paused_;
  std::thread thread_;
};

}  // namespace remuda::proxy
