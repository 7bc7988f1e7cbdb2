// RateWindow: rates of counters that are told now and then, over the time between the reports that
// they are made of. Pure.
//
// Reports carry no time of their own: one that came late, and the next one soon after it, would
// make a dip and a peak. So a rate is over nine tenths of a period at least.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "controller/core/model/time.h"

namespace remuda::core {

template <size_t kCounters>
class RateWindow {
 public:
  using Counts = std::array<int64_t, kCounters>;
  using Rates = std::array<double, kCounters>;  // a second

  // What was counted up to `now`, none of it less than before. `period`: how often it is told.
  void Add(Time now, Duration period, const Counts& counts) {
    if (const Sample* base = BaseFor(now, period)) {
      const double seconds = absl::ToDoubleSeconds(now - base->time);
      rates_.emplace();
      for (size_t i = 0; i < kCounters; ++i) {
        (*rates_)[i] = static_cast<double>(counts[i] - base->counts[i]) / seconds;
      }
    }
    Keep({now, counts}, period);
  }

  // Nothing before two reports that are far enough apart.
  const std::optional<Rates>& rates() const { return rates_; }

 private:
  struct Sample {
    Time time = absl::InfinitePast();
    Counts counts = {};
  };

  // The newest that is old enough.
  const Sample* BaseFor(Time now, Duration period) const {
    for (size_t i = size_; i-- > 0;) {
      if (now - samples_[i].time >= 0.9 * period) return &samples_[i];
    }
    const bool is_far = size_ > 0 && now - samples_[0].time >= 0.5 * period;
    return is_far ? &samples_[0] : nullptr;
  }

  // However often it is told, those that are kept reach back for long enough.
  void Keep(const Sample& sample, Duration period) {
    if (size_ >= 2 && sample.time - samples_[size_ - 2].time < 0.5 * period) --size_;
    if (size_ == samples_.size()) {
      for (size_t i = 1; i < size_; ++i) samples_[i - 1] = samples_[i];
      --size_;
    }
    samples_[size_++] = sample;
  }

  std::array<Sample, 4> samples_ = {};  // the oldest first
  size_t size_ = 0;
  std::optional<Rates> rates_ = std::nullopt;
};

}  // namespace remuda::core
