// A budget that fills with time: what a peer may do at once, and how often in the long run. Pure.
#pragma once

#include <algorithm>
#include <chrono>

namespace remuda::proxy {

class TokenBucket {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // Holds `burst` tokens, full at first; `a_second` come back.
  TokenBucket(double burst, double a_second) : burst_(burst), a_second_(a_second), tokens_(burst) {}

  // False if there is none left.
  bool Take(Time now) {
    if (now > filled_) {
      if (filled_ != Time()) {
        const std::chrono::duration<double> passed = now - filled_;
        tokens_ = std::min(burst_, tokens_ + passed.count() * a_second_);
      }
      filled_ = now;
    }
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }
  // Work that the peer has a right to pays for what comes with it.
  void Earn(double tokens) { tokens_ = std::min(burst_, tokens_ + tokens); }

 private:
  double burst_;
  double a_second_;
  double tokens_;
  Time filled_{};
};

}  // namespace remuda::proxy
