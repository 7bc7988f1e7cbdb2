// Requests of one target group that wait at one worker, until a target has a place for them or
// until there is a target at all: first come, first served. Intrusive; one thread.
#pragma once

#include <cstddef>

#include "proxy/core/steady_time.h"

namespace remuda::proxy {

class WaitQueue;

// Who waits. Must leave its queue before it is destroyed.
class Waiter {
 public:
  virtual ~Waiter() = default;
  // What it waits for may be there. True if it waits no more: it has it, or gave up.
  virtual bool OnPlaceFree() = 0;
  bool is_waiting() const { return queue_ != nullptr; }
  // Whichever queue that is.
  inline void LeaveQueue();

 private:
  friend class WaitQueue;
  WaitQueue* queue_ = nullptr;
  Waiter* previous_ = nullptr;
  Waiter* next_ = nullptr;
  SteadyTime since_{};
};

class WaitQueue {
 public:
  bool empty() const { return first_ == nullptr; }
  size_t size() const { return size_; }
  // All of `other`, in order, behind its own, since when they have waited.
  void TakeAll(WaitQueue& other) {
    for (Waiter* waiter = other.first_; waiter != nullptr; waiter = other.first_) {
      const SteadyTime since = waiter->since_;
      other.Remove(*waiter);
      Push(*waiter, since);
    }
  }
  Waiter* first() const { return first_; }
  // When the first came; the epoch if none waits.
  SteadyTime since() const { return first_ == nullptr ? SteadyTime() : first_->since_; }

  void Push(Waiter& waiter, SteadyTime now) {
    waiter.queue_ = this;
    waiter.since_ = now;
    waiter.previous_ = last_;
    waiter.next_ = nullptr;
    (last_ == nullptr ? first_ : last_->next_) = &waiter;
    last_ = &waiter;
    ++size_;
  }
  void Remove(Waiter& waiter) {
    (waiter.previous_ == nullptr ? first_ : waiter.previous_->next_) = waiter.next_;
    (waiter.next_ == nullptr ? last_ : waiter.next_->previous_) = waiter.previous_;
    waiter.queue_ = nullptr;
    waiter.previous_ = waiter.next_ = nullptr;
    --size_;
  }

 private:
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
  size_t size_ = 0;
};

void Waiter::LeaveQueue() { queue_->Remove(*this); }

}  // namespace remuda::proxy
