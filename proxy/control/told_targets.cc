#include "proxy/control/told_targets.h"

#include <algorithm>

namespace remuda::proxy {

void ToldTargets::Add(const std::shared_ptr<TargetState>& target, Numbers numbers) {
  auto it = told_.find(target.get());
  if (it == told_.end()) {
    if (numbers == Numbers()) return;  // as whoever was told nothing takes it to be
    it = told_.emplace(target.get(), Told{.target = target}).first;
  }
  Told& told = it->second;
  if (told.added_for != report_) ++added_;
  told.added_for = report_;
  told.now = numbers;
}

std::vector<ToldTargets::Target> ToldTargets::Take() {
  const auto is_gone = [&](const Told* told) { return told->is_gone_in(report_); };
  if (added_ < told_.size()) {
    for (auto& [target, told] : told_) {
      if (is_gone(&told)) told.now = {.requests = told.numbers.requests, .in_flight = 0};
    }
    std::erase_if(told_, [&](const auto& entry) {
      return is_gone(&entry.second) && entry.second.now == entry.second.numbers;
    });
  }
  std::vector<Told*> changed;
  for (auto& [target, told] : told_) {
    if (told.now != told.numbers) changed.push_back(&told);
  }
  if (changed.size() > kMaxTargetsAReport) {
    const auto end = changed.begin() + kMaxTargetsAReport;
    std::nth_element(changed.begin(), end, changed.end(), [&](const Told* a, const Told* b) {
      return is_gone(a) != is_gone(b) ? is_gone(a) : a->told_in < b->told_in;
    });
    changed.erase(end, changed.end());
  }
  std::partition(changed.begin(), changed.end(), is_gone);
  std::vector<Target> out;
  out.reserve(changed.size());
  for (Told* const told : changed) {
    told->numbers = told->now;
    told->told_in = report_;
    out.push_back({told->target, told->now});
  }
  ++report_;
  added_ = 0;
  return out;
}

}  // namespace remuda::proxy
