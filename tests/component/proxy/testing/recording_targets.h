// Many targets served by one thread, each of which knows whether its drain was confirmed, and
// counts what arrives all the same.
//
// Each answers after a few milliseconds, so that something is always in flight, and now and then
// closes instead, so that requests are repeated elsewhere. Requests may have a body with a length.
// Thread: its own; the methods may be called from any.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tests/component/proxy/testing/raw_socket.h"

namespace remuda::proxy::testing {

class RecordingTargets {
 public:
  explicit RecordingTargets(size_t count);
  RecordingTargets(const RecordingTargets&) = delete;
  RecordingTargets& operator=(const RecordingTargets&) = delete;
  ~RecordingTargets();

  size_t size() const { return listening_.size(); }
  uint16_t port(size_t target) const { return listening_[target].port; }
  // From now on nothing may arrive at it, or again something may.
  void SetConfirmed(size_t target, bool is_confirmed) { confirmed_[target] = is_confirmed; }
  // Requests that were read, of all targets.
  int64_t arrivals() const { return arrivals_; }
  // Of those, the ones at a target whose drain was confirmed.
  int64_t late_arrivals() const { return late_arrivals_; }
  // Requests that were not answered.
  int64_t closed() const { return closed_; }

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Connection {
    size_t target = 0;
    std::string received;
    Time answer_at{};  // zero: nothing is owed
  };
  static constexpr int kClosesEach = 97;
  static constexpr int kMaxDelayMs = 5;

  void Run();
  void Accept(size_t target);
  void Read(int fd);
  void TakeRequest(int fd, Connection& connection);
  void AnswerDue();

  std::vector<ListeningSocket> listening_;
  std::vector<std::atomic<bool>> confirmed_;
  std::atomic<int64_t> arrivals_{0};
  std::atomic<int64_t> late_arrivals_{0};
  std::atomic<int64_t> closed_{0};
  std::atomic<bool> is_stopped_{false};
  int epoll_fd_ = -1;
  std::map<int, Connection> connections_;
  std::thread thread_;
};

}  // namespace remuda::proxy::testing
