// What is known of a target and a target group over many routing tables: health, in-flight counts,
// cursors.
//
// Threads: the config owner (the coordinator) makes and changes the admin state, the prober writes
// health, each worker writes only its own slot and the target's load; anyone reads. Counts of a
// slot are written by one thread, so they need no atomic read-modify-write; a sum over slots is
// exact for what happened before the reader synchronised with each worker.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/core/counter.h"
#include "proxy/core/goodbye.h"
#include "proxy/core/group_policy.h"
#include "proxy/core/mix.h"
#include "proxy/core/picker_state.h"
#include "proxy/core/steady_time.h"
#include "proxy/core/traffic.h"

namespace remuda::proxy {

struct UpstreamConnection;

// Of "[IPv6 address]:port", at most.
inline constexpr size_t kMaxEndpointBytes = 56;

// Limit of the counters and of --workers.
inline constexpr size_t kMaxWorkers = 64;

enum class Health : uint8_t { kInitial, kHealthy, kUnhealthy };

// What the config says of a target; kRemoved: it is in no table any more.
enum class AdminState : uint8_t { kActive, kDraining, kGone, kRemoved };

// How a request that begins counts in its target's load.
enum class InLoad : uint8_t {
  kNever,   // nobody goes by it
  kNotYet,  // its begin adds it
  kPlaced,  // its pick has added it, as the place that it took
};

// One worker's part of a target.
struct alignas(64) TargetSlot {
  OwnedCounter<uint32_t> in_flight;  // from pick to the end of the exchange
  OwnedCounter<uint64_t> requests;
  OwnedCounter<uint64_t> server_errors;
  OwnedCounter<uint64_t> connection_errors;
  OwnedCounter<uint64_t> response_time_us;
  // What proxy/tls keeps to resume sessions with it; touched by the worker alone.
  std::shared_ptr<void> tls_session;
  // Idle connections of this worker, newest first; touched by the worker alone.
  UpstreamConnection* idle_head = nullptr;
  uint32_t idle_count = 0;
  // `in_flight` is part of the target's load; touched by the worker alone.
  bool is_in_load = false;
  // The worker looks for its exchanges among all connections.
  bool is_sought = false;
  // While it leaves: when its WebSockets are asked to end. Zero: it does not.
  GoodbyeTimes goodbye{};
};

class GroupState;

class TargetState {
 public:
  TargetState(std::shared_ptr<GroupState> group, std::string id, std::string address, uint16_t port,
              size_t workers)
      : group_(std::move(group)),
        id_(std::move(id)),
        id_hash_(HashOf(id_)),
        address_(std::move(address)),
        port_(port),
        endpoint_(address_.find(':') == std::string::npos
                      ? address_ + ":" + std::to_string(port)
                      : "[" + address_ + "]:" + std::to_string(port)),
        slots_(workers) {}

  GroupState& group() const { return *group_; }
  const std::string& id() const { return id_; }
  uint64_t id_hash() const { return id_hash_; }
  const std::string& address() const { return address_; }
  uint16_t port() const { return port_; }
  const std::string& endpoint() const { return endpoint_; }  // "address:port"

  TargetSlot& slot(size_t worker) { return slots_[worker]; }
  const std::vector<TargetSlot>& slots() const { return slots_; }

  // What an acknowledgement and a drain go by: the sum over the workers.
  uint64_t InFlight() const {
    uint64_t sum = 0;
    for (const TargetSlot& slot : slots_) sum += slot.in_flight.Get();
    return sum;
  }

  // What picks and concurrency limits go by, in groups that need it (GroupPolicy::UsesLoad): the
  // same number, kept by all workers in one place, so that a pick costs the same whatever their
  // number. One that reads it may see requests of others begin and end a moment late, but a limit
  // holds: who takes a place adds to the newest value. Others do without: for workers that pick at
  // the same time the one place is dearer than the whole pick.
  uint32_t load() const { return load_.load(std::memory_order_relaxed); }
  bool IsFull(uint32_t max_requests) const { return load() >= max_requests; }
  // Adds one to the load unless that is at the limit; for a request that begins at once.
  bool TakePlace(uint32_t max_requests) {
    uint32_t load = load_.load(std::memory_order_relaxed);
    while (load < max_requests) {
      if (load_.compare_exchange_weak(load, load + 1, std::memory_order_relaxed)) return true;
    }
    return false;
  }
  // Whether the requests of `worker` are in the load, those under way too. On its thread, as are
  // Begin and End.
  void ShareLoad(size_t worker, bool is_shared) {
    TargetSlot& slot = slots_[worker];
    if (std::exchange(slot.is_in_load, is_shared) == is_shared) return;
    const uint32_t count = slot.in_flight.Get();
    load_.fetch_add(is_shared ? count : 0 - count, std::memory_order_relaxed);
  }
  // A request of `worker` is in flight from its pick on until it ends.
  void Begin(size_t worker, InLoad in_load) {
    ShareLoad(worker, in_load != InLoad::kNever);
    slots_[worker].in_flight.Add(1);
    if (in_load == InLoad::kNotYet) load_.fetch_add(1, std::memory_order_relaxed);
  }
  void End(size_t worker) {
    TargetSlot& slot = slots_[worker];
    slot.in_flight.Sub(1);
    if (slot.is_in_load) load_.fetch_sub(1, std::memory_order_relaxed);
  }

  Health health() const { return health_.load(std::memory_order_relaxed); }
  AdminState admin() const { return admin_.load(std::memory_order_relaxed); }
  // A connection to it was refused or reset: out until a check passes (a worker sets it, the prober
  // clears it).
  bool is_passively_out() const { return passively_out_.load(std::memory_order_relaxed); }
  // Requests to it failed one after the other: out until its time is over (the control loop).
  bool is_ejected() const { return ejected_.load(std::memory_order_relaxed); }
  bool is_leaving() const { return admin() != AdminState::kActive; }
  // Passes its checks and none has reason to doubt it.
  bool is_healthy() const {
    return health() == Health::kHealthy && !is_passively_out() && !is_ejected();
  }
  // It was healthy once: its process listens, or did.
  bool has_passed() const { return has_passed_.load(std::memory_order_relaxed); }
  // It has sent what no request asked for, not long ago. Any thread.
  bool IsDistrusted(SteadyTime now) const {
    return now.time_since_epoch().count() < distrusted_until_.load(std::memory_order_relaxed);
  }
  // From now on, for `time`. Whether it was trusted so far.
  bool Distrust(SteadyTime now, SteadyTime::duration time) {
    const SteadyTime::rep until = (now + time).time_since_epoch().count();
    return distrusted_until_.exchange(until, std::memory_order_relaxed) <=
           now.time_since_epoch().count();
  }
  // When its slow start began; the epoch: it has none. Written by the prober.
  SteadyTime warm_begin() const {
    return SteadyTime(SteadyTime::duration(warm_begin_.load(std::memory_order_relaxed)));
  }
  void SetWarmBegin(SteadyTime begin) {
    warm_begin_.store(begin.time_since_epoch().count(), std::memory_order_relaxed);
  }
  // The share of its weight that it gets, in 1/kFullShare.
  uint32_t share() const { return share_.load(std::memory_order_relaxed); }
  void SetShare(uint32_t share) { share_.store(share, std::memory_order_relaxed); }

  // Each returns whether that changed anything; the caller then calls GroupState::Changed.
  bool SetHealth(Health health) {
    if (health == Health::kHealthy) has_passed_.store(true, std::memory_order_relaxed);
    return health_.exchange(health) != health;
  }
  bool SetAdmin(AdminState admin) { return admin_.exchange(admin) != admin; }
  bool SetPassivelyOut(bool out) { return passively_out_.exchange(out) != out; }
  bool SetEjected(bool out) { return ejected_.exchange(out) != out; }

  // Gateway failures one after the other, over all workers. A success writes only after a failure.
  uint32_t AddFailure() { return failures_.fetch_add(1, std::memory_order_relaxed) + 1; }
  void ClearFailures() {
    if (failures_.load(std::memory_order_relaxed) != 0)
      failures_.store(0, std::memory_order_relaxed);
  }

 private:
  const std::shared_ptr<GroupState> group_;
  const std::string id_;
  const uint64_t id_hash_;
  const std::string address_;
  const uint16_t port_;
  const std::string endpoint_;
  std::vector<TargetSlot> slots_;
  std::atomic<Health> health_{Health::kInitial};
  std::atomic<bool> has_passed_{false};
  std::atomic<AdminState> admin_{AdminState::kActive};
  std::atomic<bool> passively_out_{false};
  std::atomic<bool> ejected_{false};
  std::atomic<uint32_t> share_{kFullShare};
  std::atomic<SteadyTime::rep> warm_begin_{0};
  std::atomic<SteadyTime::rep> distrusted_until_{0};
  std::atomic<uint32_t> failures_{0};
  // Written by all workers with each request: on a cache line of its own.
  alignas(64) std::atomic<uint32_t> load_{0};
};

class GroupState {
 public:
  static constexpr size_t kNobody = ~size_t{0};
  // Turns among targets: two a subset, which many subsets share, and those of subsets that are
  // reached besides their share.
  static constexpr size_t kSubsetTurns = 32;
  static constexpr size_t kDirectTurns = 6;

  // `first_share`: with which of the shares' turns it begins, another one in each proxy.
  GroupState(std::string id, size_t workers, uint64_t first_share = 0)
      : id_(std::move(id)),
        id_hash_(HashOf(id_)),
        pickers_(workers),
        slots_(workers),
        queues_(workers),
        shares_taken_(first_share),
        mirrors_taken_(Mix(first_share)) {}

  const std::string& id() const { return id_; }
  uint64_t id_hash() const { return id_hash_; }
  // Changes whenever the set of targets that may be picked may have.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }
  void Changed() { version_.fetch_add(1, std::memory_order_seq_cst); }

  PickerState& picker(size_t worker) { return pickers_[worker]; }
  // One more in a worker's queue (wait_queue.h) or one less, on that worker's thread.
  void Enqueue(size_t worker, Waiter& waiter, SteadyTime now) {
    pickers_[worker].queue.Push(waiter, now);
    PublishQueue(worker);
    waiting_.fetch_add(1, std::memory_order_relaxed);
  }
  void Dequeue(size_t worker, Waiter& waiter) {
    pickers_[worker].queue.Remove(waiter);
    PublishQueue(worker);
    waiting_.fetch_sub(1, std::memory_order_relaxed);
  }
  // Over all workers, read with each request: one number, whatever their number.
  size_t CountWaiting() const { return waiting_.load(std::memory_order_relaxed); }
  // The worker whose first waits longest, or kNobody.
  size_t LongestWaiting() const {
    size_t longest = kNobody;
    if (CountWaiting() == 0) return longest;
    SteadyTime::rep longest_since = 0;
    for (size_t i = 0; i < queues_.size(); ++i) {
      const SteadyTime::rep since = queues_[i].waits_since.load(std::memory_order_relaxed);
      if (since == 0 || (longest != kNobody && since >= longest_since)) continue;
      longest = i;
      longest_since = since;
    }
    return longest;
  }
  // Requests that wait for a first target (exchange/held_requests.h), over all workers. One more,
  // if the bounds allow it: how many there were before it.
  std::optional<size_t> TakeHeld(const HoldSpec& hold, uint64_t bytes) {
    if (!MoveHeldBytes(hold, 0, bytes)) return std::nullopt;
    size_t held = held_.load();
    while (held < hold.max_requests) {
      if (held_.compare_exchange_weak(held, held + 1)) return held;
    }
    held_bytes_.fetch_sub(bytes);
    return std::nullopt;
  }
  // What was read of one's body is more now. False if that is over the bound.
  bool MoveHeldBytes(const HoldSpec& hold, uint64_t from, uint64_t to) {
    uint64_t bytes = held_bytes_.load();
    while (to <= from || bytes + (to - from) <= hold.max_bytes) {
      if (held_bytes_.compare_exchange_weak(bytes, bytes + (to - from))) return true;
    }
    return false;
  }
  void GiveHeld(uint64_t bytes) {
    held_.fetch_sub(1);
    held_bytes_.fetch_sub(bytes);
  }
  size_t CountHeld() const { return held_.load(); }
  uint64_t held_bytes() const { return held_bytes_.load(); }
  // Whether the group has changed since that version: for one who waits from now on. Whoever
  // changes it then sees that one waits.
  bool HasChangedSince(uint64_t version) const { return version_.load() != version; }

  GroupSlot& slot(size_t worker) { return slots_[worker]; }
  const std::vector<GroupSlot>& slots() const { return slots_; }
  // Shared by the workers, so that the turn goes round over the whole proxy: with two workers and
  // two targets two requests still reach two targets. Costs one contended add a request.
  uint64_t NextTurn(size_t turn) { return turns_[turn].fetch_add(1, std::memory_order_relaxed); }

  // Which turn of its subsets' shares a request takes, over all workers. Taken only where several
  // subsets have a weight.
  uint64_t NextShare() { return shares_taken_.fetch_add(1, std::memory_order_relaxed); }
  // The same of the requests that could be mirrored.
  uint64_t NextMirror() { return mirrors_taken_.fetch_add(1, std::memory_order_relaxed); }

 private:
  // What a worker says of its queue.
  struct alignas(64) QueueView {
    std::atomic<SteadyTime::rep> waits_since{0};  // the first; 0: none waits
  };
  void PublishQueue(size_t worker) {
    queues_[worker].waits_since.store(pickers_[worker].queue.since().time_since_epoch().count(),
                                      std::memory_order_relaxed);
  }
  const std::string id_;
  const uint64_t id_hash_;
  std::atomic<uint64_t> version_{1};
  std::vector<PickerState> pickers_;
  std::vector<GroupSlot> slots_;
  std::vector<QueueView> queues_;
  std::atomic<size_t> waiting_{0};
  std::atomic<size_t> held_{0};
  std::atomic<uint64_t> held_bytes_{0};
  // Written with each pick: apart from what is read with each.
  alignas(64) std::atomic<uint64_t> turns_[kSubsetTurns + kDirectTurns] = {};
  alignas(64) std::atomic<uint64_t> shares_taken_;
  alignas(64) std::atomic<uint64_t> mirrors_taken_;
};

}  // namespace remuda::proxy
