// What all that one worker serves shares: its loop, pools, counters, the table that it has adopted,
// and how a target is picked from it. Whose connections these are is not known here
// (client/client_worker.h), nor where they come from (worker.h).
//
// Owns: the above. Thread: its worker's; the counters may be read by anyone.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "proxy/core/picker.h"
#include "proxy/core/retry_policy.h"
#include "proxy/core/routing_table.h"
#include "proxy/exchange/held_requests.h"
#include "proxy/exchange/mirrors.h"
#include "proxy/exchange/place_queues.h"
#include "proxy/exchange/sticky_cookie.h"
#include "proxy/http/date.h"
#include "proxy/io/buffer_pool.h"
#include "proxy/io/event_loop.h"
#include "proxy/io/settings.h"
#include "proxy/io/splice_pipe.h"
#include "proxy/target/upstream.h"
#include "proxy/telemetry/access_log.h"
#include "proxy/telemetry/bad_messages.h"
#include "proxy/telemetry/metrics.h"

namespace remuda::proxy {

class Exchange;

// A table that this worker has adopted; kept until no request that matched or picked from it is
// left.
struct AdoptedTable {
  std::shared_ptr<const RoutingTable> table;
  uint32_t pins = 0;
  bool is_current = true;
};

class WorkerContext {
 public:
  // Called on the worker's thread.
  struct Events {
    std::function<void()>
        on_drained_target;  // a leaving target has no request in flight here any more
    std::function<void(TargetState*)>
        on_passively_out;                          // a connection to a target was refused or reset
    std::function<void(TargetState*)> on_failing;  // its requests fail one after the other
    std::function<void(size_t)> on_place_free;     // for whom that worker's queues may wait
    // A request waits for a first target of this group, and none did at any worker.
    std::function<void(GroupState&)> on_first_held;
    std::function<void()> on_stopped;  // after Drain: the last connection is gone
  };

  // `settings` and `log` outlive it; `log` may be null.
  WorkerContext(size_t index, const Settings& settings, AccessLog* log, Events events);
  WorkerContext(const WorkerContext&) = delete;
  WorkerContext& operator=(const WorkerContext&) = delete;
  ~WorkerContext();

  size_t index() const { return index_; }
  const Settings& settings() const { return settings_; }
  EventLoop& loop() { return loop_; }
  WorkerMetrics& counters() { return metrics_; }
  const WorkerMetrics& metrics() const { return metrics_; }
  BufferPool& buffers() { return buffers_; }
  UpstreamPool& pool() { return pool_; }
  // Who opens what exchanges need: the pool, unless there is another make.
  TargetStreams& targets() { return *targets_; }
  SplicePipePool& pipes() { return pipes_; }
  StickyCookies& sticky_cookies() { return sticky_cookies_; }
  PlaceQueues& place_queues() { return place_queues_; }
  HeldRequests& held_requests() { return held_requests_; }
  Mirrors& mirrors() { return mirrors_; }
  RetryBudget& retry_budget() { return retry_budget_; }
  AccessLog* log() { return log_; }
  BadMessages& bad_messages() { return bad_messages_; }
  const BadMessages& bad_messages() const { return bad_messages_; }

  // Whether something that comes often may be written down now: once an interval.
  bool TakeNote(std::chrono::milliseconds interval) {
    if (loop_.now() < next_note_) return false;
    next_note_ = loop_.now() + interval;
    return true;
  }
  // Microseconds since the epoch at a time of the loop; costs no look at a clock.
  int64_t WallUs(SteadyTime time) const {
    return wall_offset_us_ +
           std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
  }
  // For a Date field; until the next call.
  std::string_view Date() { return date_.At(WallUs(loop_.now())); }
  uint64_t Random();

  // A target of the group for one request; see PickTarget. Worker, time and random bits are filled
  // in.
  Picked Pick(GroupState& group, PickRequest request);
  // The same for PickMirror.
  Picked PickMirror(GroupState& group, const SubsetState* taken_by);
  // The same for HasUntried.
  bool HasUntried(GroupState& group, PickRequest request);
  // And that it is well, not only better than nothing.
  bool HasHealthyUntried(GroupState& group, PickRequest request);
  AdoptedTable* Pin();
  void Unpin(AdoptedTable* table);
  Exchange* TakeExchange();
  // May be called from within the exchange's events: it is not destroyed at once.
  void GiveExchange(Exchange* exchange);

  void TargetReleased(TargetState& target);
  void TargetRefused(TargetState& target);
  void TargetFailing(TargetState& target) {
    if (events_.on_failing) events_.on_failing(&target);
  }

 protected:
  // Adopts the table: requests that begin from now on are of it.
  void AdoptTable(std::shared_ptr<const RoutingTable> table);
  const RoutingTable& table() const { return *current_->table; }
  // Now and then: looks at the system's clock, closes connections to targets that idled too long.
  void Sweep();
  const Events& events() const { return events_; }
  void UseTargets(TargetStreams& targets) { targets_ = &targets; }

  size_t connection_count_ = 0;  // of clients

 private:
  // Fills in what is the worker's, and refreshes and times the picker.
  void PreparePick(GroupState& group, PickRequest& request);
  void SetWallOffset();

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
  TargetStreams* targets_ = &pool_;
  PlaceQueues place_queues_;
  HeldRequests held_requests_;
  StickyCookies sticky_cookies_;
  SplicePipePool pipes_;
  RetryBudget retry_budget_;
  Mirrors mirrors_{*this};
  std::unique_ptr<AdoptedTable> current_;
  std::vector<std::unique_ptr<AdoptedTable>> retired_;
  std::vector<std::unique_ptr<Exchange>> free_exchanges_;
  uint64_t random_state_;
  int64_t wall_offset_us_ = 0;  // of the system's clock to the loop's; looked at with each sweep
};

// CPU time of this thread. The call costs as much as a small system call: for rare things.
uint64_t ThreadCpuNs();

}  // namespace remuda::proxy
