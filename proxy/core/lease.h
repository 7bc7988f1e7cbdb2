// How long this proxy may take for granted that the controller counts on it: until then no
// deployment goes on without it. Each of its reports that the controller answers renews it, from
// the moment at which the report was sent: what the controller counts from is not earlier. Time is
// an argument.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>

#include "proxy/core/steady_time.h"

namespace remuda::proxy {

class Lease {
 public:
  // Of a proxy whose controller has not said another: the controller's --proxy-lease by default.
  static constexpr std::chrono::milliseconds kDefaultLength{15000};
  // Reports that wait for an answer; of more the oldest is forgotten, and its answer renews
  // nothing.
  static constexpr size_t kMaxUnanswered = 64;

  // Runs for the default length first, in which the controller is to be found.
  explicit Lease(SteadyTime now) : end_(now + kDefaultLength) {}

  // A session began, of a controller that gives leases of `length`; the hello went at `hello_sent`.
  void Begin(std::chrono::milliseconds length, SteadyTime hello_sent);
  // A report is sent: the next of the session.
  void OnReport(SteadyTime now);
  // The controller has answered the report of that number, counted from 1. False if there is no
  // such one that waits.
  bool OnRenewal(int64_t report);

  SteadyTime end() const { return end_; }

 private:
  std::chrono::milliseconds length_ = kDefaultLength;
  SteadyTime end_;
  std::deque<SteadyTime> sent_;  // of the reports that are not answered, oldest first
  int64_t reports_ = 0;          // sent in this session
};

}  // namespace remuda::proxy
