// What is counted of the targets of one subset together, over many routing tables: a target may
// change its subset, and those of a subset come and go.
//
// Threads: a slot is written by one worker, on cache lines of its own; anyone reads and sums.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/latency_histogram.h"
#include "proxy/core/counter.h"

namespace remuda::proxy {

// See v1::SubsetStats.
struct alignas(64) SubsetSlot {
  OwnedCounter<uint64_t> requests;
  OwnedCounter<uint64_t> errors;
  OwnedCounter<uint64_t> mirrored;
  OwnedCounter<uint64_t> mirrored_errors;
  OwnedCounter<uint64_t> bytes_in;   // of requests, that were sent to it
  OwnedCounter<uint64_t> bytes_out;  // of answers, that came from it
  std::array<OwnedCounter<uint64_t>, kLatencyBuckets> latency;
};

struct SubsetCounts {
  int64_t requests = 0;
  int64_t errors = 0;
  int64_t mirrored = 0;
  int64_t mirrored_errors = 0;
  int64_t bytes_in = 0;
  int64_t bytes_out = 0;
  std::array<int64_t, kLatencyBuckets> latency{};
};

class SubsetState {
 public:
  explicit SubsetState(size_t workers) : slots_(workers) {}

  SubsetSlot& slot(size_t worker) { return slots_[worker]; }
  // Over all workers.
  SubsetCounts Sum() const;

 private:
  std::vector<SubsetSlot> slots_;
};

}  // namespace remuda::proxy
