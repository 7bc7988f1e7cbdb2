// Whether a failed attempt may be made again, on another target. Pure decisions; one budget a
// worker.
#pragma once

#include <algorithm>
#include <cstdint>

namespace remuda::proxy {

// What is known when an attempt fails before a byte of its response was passed on.
struct FailedAttempt {
  bool any_sent = false;          // a byte of the request may have reached the target
  bool is_idempotent = false;     // RFC 9110 section 9.2.2
  bool body_is_held = false;      // all body bytes that were sent are still in the buffer
  bool response_started = false;  // a byte of a final response came
  uint32_t attempts = 1;          // made so far, this one included
};

inline constexpr uint32_t kMaxAttemptsARequest = 3;

// Safe: nothing was sent, or sending twice does what once does and everything can be sent again.
constexpr bool MayRetry(const FailedAttempt& attempt) {
  if (attempt.response_started || attempt.attempts >= kMaxAttemptsARequest) return false;
  if (!attempt.any_sent) return true;
  return attempt.is_idempotent && attempt.body_is_held;
}

// Bounds retries to a share of the requests, so that a failing group is not hit by a multiple of
// its load; the burst covers the requests that one dying process has in flight at a worker.
class RetryBudget {
 public:
  static constexpr int64_t kBurst = 2000;
  static constexpr int64_t kRequestsARetry = 5;

  void OnRequest() { credit_ = std::min(credit_ + 1, kBurst * kRequestsARetry); }
  bool Take() {
    if (credit_ < kRequestsARetry) return false;
    credit_ -= kRequestsARetry;
    return true;
  }

 private:
  int64_t credit_ = kBurst * kRequestsARetry;
};

}  // namespace remuda::proxy
