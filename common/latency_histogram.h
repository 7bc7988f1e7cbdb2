// Counts by latency in the buckets of remuda.proxy.v1.LatencyHistogram, which can be added up over
// workers, proxies and targets. Thread: pure functions.
#pragma once

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace remuda::proxy::v1 {
class LatencyHistogram;
}

namespace remuda {

inline constexpr size_t kLatencyBuckets = 201;

// The bucket of a latency; below zero is none. On the request path: a division by a constant, which
// is a multiplication, and shifts.
inline size_t BucketOf(std::chrono::nanoseconds latency) {
  // In 2 us, of which every bound is a multiple: 8 to 15 are the first doubling.
  const auto units = static_cast<uint64_t>(std::max<int64_t>(latency.count(), 0)) / 2000;
  if (units < 8) return 0;
  const auto doubling = static_cast<size_t>(std::bit_width(units)) - 4;
  const size_t eighth = (units >> doubling) - 8;
  return std::min(1 + 8 * doubling + eighth, kLatencyBuckets - 1);
}

// Where a bucket begins, which is in it, and where it ends, which is not. The last has no end: it
// is given the one that it would have.
std::chrono::nanoseconds LowerBound(size_t bucket);
std::chrono::nanoseconds UpperBound(size_t bucket);

// The latency that `fraction` (0 to 1) of what was counted is not above, as if each bucket's were
// spread evenly over it: off by an eighth at most. Nothing if nothing was counted. `counts` has at
// most kLatencyBuckets; none is below 0.
std::optional<std::chrono::nanoseconds> Quantile(std::span<const int64_t> counts, double fraction);

// `counts` has at most kLatencyBuckets.
void Encode(std::span<const int64_t> counts, proxy::v1::LatencyHistogram& out);
// kLatencyBuckets counts; nothing if the message is none that Encode makes.
std::optional<std::vector<int64_t>> Decode(const proxy::v1::LatencyHistogram& histogram);

// Adds `more` to `counts`, which is at least as long.
void AddCounts(std::span<const int64_t> more, std::span<int64_t> counts);

}  // namespace remuda
