// Courier: carries frames between the controller's sessions and the players of this process.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "controller/engine/loop.h"
#include "controller/sessions/stream.h"
#include "tests/bench/control/link.h"

namespace remuda::bench {

// A player's end. The courier calls it, until it is closed.
class Mailbox {
 public:
  Mailbox(Link& link, LinkHandler& handler) : link_(&link), handler_(&handler) {}
  void Deliver(const Frame& frame) {
    const std::lock_guard lock(mutex_);
    if (handler_ != nullptr) handler_->OnMessage(*link_, frame);
  }
  void End(const std::string& why) {
    const std::lock_guard lock(mutex_);
    if (handler_ != nullptr) handler_->OnEnd(why);
  }
  void Close() {
    const std::lock_guard lock(mutex_);
    handler_ = nullptr;
  }

 private:
  std::mutex mutex_;  // held during a call, so that Close waits for its end
  Link* link_;
  LinkHandler* handler_;
};

// The way to a controller's loop, for as long as that lives. Thread: any.
class Gate {
 public:
  explicit Gate(Loop& loop) : loop_(&loop) {}
  // Dropped once it is closed.
  void Post(Loop::Task task) {
    const std::lock_guard lock(mutex_);
    if (loop_ != nullptr) loop_->Post(std::move(task));
  }
  void Close() {
    const std::lock_guard lock(mutex_);
    loop_ = nullptr;
  }

 private:
  std::mutex mutex_;
  Loop* loop_;
};

// A thread for all players. What is sent is carried in order.
class Courier {
 public:
  Courier() : thread_([this] { Run(); }) {}
  Courier(const Courier&) = delete;
  Courier& operator=(const Courier&) = delete;
  ~Courier();

  // A null frame: the controller has ended the stream. Thread: any.
  void Carry(std::shared_ptr<Mailbox> to, Frame frame);

  // A stream of `sessions`, which live on the gate's loop.
  std::unique_ptr<Link> Open(std::shared_ptr<Gate> gate, StreamHandler& sessions,
                             LinkHandler& handler);

 private:
  struct Parcel {
    std::shared_ptr<Mailbox> to;
    Frame frame;
  };
  void Run();

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<Parcel> parcels_;
  bool is_ending_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace remuda::bench
