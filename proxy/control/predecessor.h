// The process before this one, while it drains: what it still has in flight counts as this one's,
// and what the controller says holds for it too, for it may still send requests that come on
// connections that it has.
//
// Owns: the connection with it. Thread: the control loop's.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/control/coordinator.h"
#include "proxy/control/takeover_channel.h"
#include "proxy/core/routing_table.h"
#include "proxy/io/descriptor.h"
#include "proxy/io/event_loop.h"

namespace remuda::proxy {

class Predecessor {
 public:
  // It has so long to stop accepting once it is told that this one serves.
  static constexpr std::chrono::milliseconds kYoursPatience{10000};
  // And so long to take a config up; then, and so long after its own drain timeout, it counts as
  // one that has ended.
  static constexpr std::chrono::milliseconds kFollowPatience{15000};
  static constexpr std::chrono::milliseconds kEndGrace{5000};

  struct Events {
    // It accepts nothing any more, and its session with the controller has ended. The lock of the
    // data directory.
    std::function<void(Descriptor lock)> on_yours;
    // Before that: it does not answer, or the connection is over.
    std::function<void(const std::string& why)> on_lost;
    std::function<void()> on_busy;                    // what it has in flight has changed
    std::function<void(const std::string&)> on_held;  // requests of that group wait there
    std::function<void()> on_ended;                   // after on_yours
  };

  // `followed`: the revision that it offered; `before`: processes before it that still drain.
  Predecessor(EventLoop& loop, std::shared_ptr<TakeoverChannel> channel, Revision followed,
              int before, Events events);
  ~Predecessor();

  // This process serves, with the sockets of these listeners. Nothing after Leave.
  void SayServing(const std::vector<std::string>& listeners);
  // It was told so: it may have begun to drain.
  bool knows_we_serve() const { return knows_we_serve_; }

  // This process does not go on after all: that one hears so, and is of no matter any more.
  void Leave();
  bool is_there() const { return channel_ != nullptr; }
  // It and those before it, as of the takeover.
  int draining() const { return channel_ == nullptr ? 0 : before_ + 1; }
  const std::vector<Busy>& busy() const { return busy_; }
  const std::map<std::string, size_t>& held() const { return held_; }
  size_t CountHeld(const std::string& group) const;

  void Follow(const v1::ConfigUpdate& update);
  // When it has taken up that revision, or has ended; maybe at once.
  void WhenFollowed(Revision revision, std::function<void()> done);
  // Its access log is to be opened anew.
  void Reopen();

 private:
  void OnMessage(TakeoverChannel::Received received);
  void TakeBusy(const v1::TakeoverBusy& busy);
  void OnFollowed(Revision revision);
  void End(const std::string& why);

  EventLoop& loop_;
  std::shared_ptr<TakeoverChannel> channel_;  // null: it has ended
  const int before_;
  const Events events_;
  bool knows_we_serve_ = false;
  bool is_yours_ = false;
  Revision asked_;     // the newest that it was told
  Revision followed_;  // the newest that it has taken up
  std::deque<std::pair<Revision, std::function<void()>>> waiting_;
  std::vector<Busy> busy_;
  std::map<std::string, size_t> held_;  // by group
  Timer patience_;                      // for its yours; then for its end
  Timer follow_patience_;
};

// Both together, each target once.
std::vector<Busy> Merge(std::vector<Busy> busy, const std::vector<Busy>& more);

}  // namespace remuda::proxy
