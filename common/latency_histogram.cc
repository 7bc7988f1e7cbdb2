#include "common/latency_histogram.h"

#include <numeric>

#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda {
namespace {

constexpr std::chrono::nanoseconds kUnit{2000};

}  // namespace

std::chrono::nanoseconds LowerBound(size_t bucket) {
  if (bucket == 0) return std::chrono::nanoseconds(0);
  const size_t doubling = (bucket - 1) / 8;
  const auto eighths = static_cast<int64_t>(8 + (bucket - 1) % 8);
  return kUnit * (eighths << doubling);
}

std::chrono::nanoseconds UpperBound(size_t bucket) { return LowerBound(bucket + 1); }

std::optional<std::chrono::nanoseconds> Quantile(std::span<const int64_t> counts, double fraction) {
  const int64_t total = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  if (total <= 0) return std::nullopt;
  const double rank = std::clamp(fraction, 0.0, 1.0) * static_cast<double>(total);
  int64_t below = 0;
  size_t last = 0;
  for (size_t bucket = 0; bucket < counts.size(); ++bucket) {
    if (counts[bucket] <= 0) continue;
    last = bucket;
    const auto missing = rank - static_cast<double>(below);
    const auto count = static_cast<double>(counts[bucket]);
    if (missing <= count) {
      const auto width = static_cast<double>((UpperBound(bucket) - LowerBound(bucket)).count());
      const auto part = static_cast<int64_t>(width * std::max(missing, 0.0) / count);
      return LowerBound(bucket) + std::chrono::nanoseconds(part);
    }
    below += counts[bucket];
  }
  return UpperBound(last);  // what rounding leaves over
}

void Encode(std::span<const int64_t> counts, proxy::v1::LatencyHistogram& out) {
  out.Clear();
  size_t before = 0;
  for (size_t bucket = 0; bucket < counts.size(); ++bucket) {
    if (counts[bucket] == 0) continue;
    out.add_gaps(static_cast<int32_t>(bucket - before));
    out.add_counts(counts[bucket]);
    before = bucket;
  }
}

std::optional<std::vector<int64_t>> Decode(const proxy::v1::LatencyHistogram& histogram) {
  std::vector<int64_t> counts(kLatencyBuckets);
  if (histogram.gaps_size() != histogram.counts_size()) return std::nullopt;
  size_t bucket = 0;
  for (int i = 0; i < histogram.gaps_size(); ++i) {
    const int32_t gap = histogram.gaps(i);
    if (gap < (i == 0 ? 0 : 1) || static_cast<size_t>(gap) >= kLatencyBuckets - bucket)
      return std::nullopt;
    if (histogram.counts(i) <= 0) return std::nullopt;
    bucket += static_cast<size_t>(gap);
    counts[bucket] = histogram.counts(i);
  }
  return counts;
}

void AddCounts(std::span<const int64_t> more, std::span<int64_t> counts) {
  for (size_t i = 0; i < more.size(); ++i) counts[i] += more[i];
}

}  // namespace remuda
