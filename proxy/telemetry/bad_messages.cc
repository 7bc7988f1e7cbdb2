#include "proxy/telemetry/bad_messages.h"

#include <algorithm>

namespace remuda::proxy {
namespace {

bool IsTheSame(const BadMessages::Kept& kept, const BadMessage& message) {
  return kept.reason == message.reason && kept.fault.rule() == message.fault->rule() &&
         kept.fault.text() == message.fault->text() &&
         kept.load_balancer == message.load_balancer && kept.target == message.target;
}

}  // namespace

void BadMessages::Note(const BadMessage& message) {
  std::lock_guard lock(mutex_);
  Ring& ring = rings_[static_cast<size_t>(message.kind)];
  auto kept = std::find_if(ring.begin(), ring.end(),
                           [&](const Kept& other) { return IsTheSame(other, message); });
  if (kept == ring.end()) {
    if (ring.size() < kKeptOfEachKind) {
      kept = ring.emplace(ring.end());
    } else {
      kept = std::min_element(ring.begin(), ring.end(),
                              [](const Kept& a, const Kept& b) { return a.last_us < b.last_us; });
    }
    kept->first_us = message.time_us;
    kept->count = 0;
    kept->kind = message.kind;
    kept->reason = message.reason;
    kept->fault = *message.fault;
    kept->load_balancer = message.load_balancer;
    kept->target_group = message.target_group;
    kept->target = message.target;
  }
  ++kept->count;
  kept->last_us = message.time_us;
  kept->first_line = message.first_line.substr(0, kMaxFirstLineBytes);
  kept->client = message.client;
}

std::vector<BadMessages::Kept> BadMessages::Snapshot() const {
  std::vector<Kept> all;
  {
    std::lock_guard lock(mutex_);
    for (const Ring& ring : rings_) all.insert(all.end(), ring.begin(), ring.end());
  }
  std::sort(all.begin(), all.end(),
            [](const Kept& a, const Kept& b) { return a.last_us > b.last_us; });
  return all;
}

}  // namespace remuda::proxy
