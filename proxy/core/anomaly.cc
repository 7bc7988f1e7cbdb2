#include "proxy/core/anomaly.h"

#include <algorithm>
#include <vector>

namespace remuda::proxy {

void AnomalyDetector::Look(const TargetGroup& group) {
  std::vector<double> rates;
  for (const Member& member : group.members) {
    uint64_t requests = 0;
    uint64_t failures = 0;
    for (const TargetSlot& slot : member.target->slots()) {
      requests += slot.requests.Get();
      failures += slot.server_errors.Get() + slot.connection_errors.Get();
    }
    const auto [it, is_new] = windows_.try_emplace(member.target.get());
    Window& window = it->second;
    if (is_new) {  // what was before is not of this window
      window.requests_seen = requests;
      window.failures_seen = failures;
    }
    window.requests =
        window.requests * kDecay + static_cast<double>(requests - window.requests_seen);
    window.failures =
        window.failures * kDecay + static_cast<double>(failures - window.failures_seen);
    window.requests_seen = requests;
    window.failures_seen = failures;
    if (member.admin == AdminState::kActive && member.target->is_healthy())
      rates.push_back(window.rate());
  }
  double bound = 2;  // no rate is above it
  if (rates.size() >= kMinTargets) {
    // The lower of two middles: of four, two that fail do not hide each other.
    const auto middle = rates.begin() + static_cast<std::ptrdiff_t>((rates.size() - 1) / 2);
    std::nth_element(rates.begin(), middle, rates.end());
    bound = std::max(kMinRate, kTimesMedian * *middle);
  }
  for (const Member& member : group.members) {
    const uint32_t share = member.target->share();
    const bool is_odd = windows_[member.target.get()].rate() >= bound;
    member.target->SetShare(is_odd ? std::max(share / 2, kLeastShare)
                                   : std::min(share * 2, kFullShare));
  }
}

void AnomalyDetector::GiveBack(const TargetGroup& group) {
  for (const Member& member : group.members) {
    member.target->SetShare(kFullShare);
    Forget(member.target.get());
  }
}

}  // namespace remuda::proxy
