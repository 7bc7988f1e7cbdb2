// One thread's loop: descriptors (edge triggered epoll), timers, and tasks posted from other
// threads. It allocates nothing per event or timer. Why not Asio: docs/adr (the proxy's own event
// loop).
//
// Thread: everything but Post and Stop is for the thread that is in Run, or for before Run.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "proxy/core/steady_time.h"

namespace remuda::proxy {

// Moved by one connection before others get their turn.
inline constexpr uint64_t kMaxBytesATurn = 1024 * 1024;

// Gets the events of one descriptor. Edge triggered: told once when something becomes ready.
class IoHandler {
 public:
  // `events` as epoll has them: EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR.
  virtual void OnIo(uint32_t events) = 0;

 protected:
  ~IoHandler() = default;
};

class EventLoop;

// Is told once at the end of the turn of the loop in which it asked to be: to do once what many
// events of a turn ask for (write what they have made).
class TurnEndHandler {
 public:
  virtual ~TurnEndHandler() = default;
  virtual void OnTurnEnd() = 0;

 private:
  friend class EventLoop;
  TurnEndHandler* next_ = nullptr;
  bool is_queued_ = false;
};

// Calls back once, at or up to one tick (4 ms) after its deadline. Moving a deadline later is one
// store. A callback may cancel or arm any timer but must not destroy its own.
class Timer {
 public:
  explicit Timer(std::function<void()> callback) : callback_(std::move(callback)) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { Cancel(); }

  void Arm(EventLoop& loop, SteadyTime deadline);
  void Cancel();
  bool is_armed() const { return is_armed_; }

 private:
  friend class EventLoop;
  std::function<void()> callback_;
  EventLoop* loop_ = nullptr;  // set while it is in a slot
  Timer* previous_ = nullptr;
  Timer* next_ = nullptr;
  int64_t deadline_tick_ = 0;
  int64_t slot_tick_ = 0;  // the tick it will be looked at: at most the deadline
  bool is_armed_ = false;
};

class EventLoop {
 public:
  EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  ~EventLoop();

  // Watches `fd` for reading and writing, edge triggered. Returns false with errno if the kernel
  // refuses.
  bool Add(int fd, IoHandler* handler);
  // Level triggered, reading only: for listening sockets, which must not be starved by one that
  // accepts partly.
  bool AddListening(int fd, IoHandler* handler);
  // From now on the events of `fd` go to `to` instead of `from`, beginning with what it is ready
  // for now.
  bool Rebind(int fd, IoHandler* from, IoHandler* to);
  // No event of `handler` is delivered after it.
  void Remove(int fd, IoHandler* handler);
  // As Remove, for a descriptor that is closed right after: the kernel then forgets it by itself.
  void RemoveClosing(IoHandler* handler) { DropPending(handler); }

  // Runs `task` on the loop's thread, in order of posting. Any thread. After the loop ended tasks
  // are dropped.
  void Post(std::function<void()> task);
  // Runs `task` when the current event has been dealt with: to destroy what is on the stack.
  void Defer(std::function<void()> task) { deferred_.push_back(std::move(task)); }
  // Once a turn however often it is asked for; from within OnTurnEnd: at the end of the next turn.
  void AtTurnEnd(TurnEndHandler* handler);
  void ForgetTurnEnd(TurnEndHandler* handler);
  // After Run has returned: what is left of it.
  void RunDeferred();

  void Run();
  void Stop();  // any thread
  // One turn at that time, in place of Run, for who moves time by hand: timers, tasks, and what was
  // left to the end of the turn. No descriptor is looked at.
  void TurnAt(SteadyTime now);

  // The time at which the current batch of events was taken.
  SteadyTime now() const { return now_; }

 private:
  friend class Timer;
  static constexpr size_t kSlots = 1024;
  static constexpr std::chrono::milliseconds kTick{4};
  static constexpr int kBatch = 256;

  int64_t TickOf(SteadyTime time) const { return (time - start_) / kTick; }
  void Link(Timer& timer);
  void Unlink(Timer& timer);
  int WaitMs() const;
  void DropPending(const IoHandler* handler);
  void RunTimers();
  void RunPosted();
  void RunTurnEnds();
  void EndTurn();

  int epoll_fd_ = -1;
  int wake_fd_ = -1;
  SteadyTime start_;
  SteadyTime now_;
  bool is_stopped_ = false;
  std::array<epoll_event, kBatch> events_;
  int event_count_ = 0;
  int event_next_ = 0;
  std::vector<std::function<void()>> deferred_;
  TurnEndHandler* turn_ends_ = nullptr;
  TurnEndHandler* turn_ends_running_ = nullptr;

  std::array<Timer*, kSlots> slots_{};
  std::array<uint64_t, kSlots / 64> occupied_{};
  int64_t current_tick_ = 0;  // all slots up to it have been looked at
  size_t timer_count_ = 0;

  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by mutex_
};

}  // namespace remuda::proxy
