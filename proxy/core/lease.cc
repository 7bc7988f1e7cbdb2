#include "proxy/core/lease.h"

#include <algorithm>

namespace remuda::proxy {

void Lease::Begin(std::chrono::milliseconds length, SteadyTime hello_sent) {
  length_ = length;
  end_ = hello_sent + length;
  sent_.clear();
  reports_ = 0;
}

void Lease::OnReport(SteadyTime now) {
  ++reports_;
  sent_.push_back(now);
  if (sent_.size() > kMaxUnanswered) sent_.pop_front();
}

bool Lease::OnRenewal(int64_t report) {
  const int64_t oldest = reports_ - static_cast<int64_t>(sent_.size()) + 1;
  if (report < oldest || report > reports_) return false;
  for (int64_t i = oldest; i < report; ++i) sent_.pop_front();
  end_ = std::max(end_, sent_.front() + length_);
  sent_.pop_front();
  return true;
}

}  // namespace remuda::proxy
