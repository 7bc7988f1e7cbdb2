#include "tests/sim/scaling/aws.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/sim/scaling/series.h"

namespace remuda::scaling_sim {
namespace {

constexpr absl::Duration kDatapoint = absl::Minutes(1);
constexpr absl::Duration kWarmup = absl::Seconds(120);
constexpr size_t kHighDatapoints = 3;
constexpr size_t kLowDatapoints = 15;
constexpr double kLowShare = 0.9;

bool IsWarm(const Sample& instance, int tick) {
  return instance.ready.has_value() && tick >= instance.launched + Ticks(kWarmup);
}

}  // namespace

// Those that warm up are no part of the metric.
void Aws::TakeUp(const Sight& sight) {
  for (const Sample& instance : sight.instances) {
    if (!instance.has_metrics || !IsWarm(instance, sight.tick)) continue;
    sum_ += instance.cpu;
    ++samples_;
  }
}

bool Aws::IsAlarm(size_t datapoints, double from, double to) const {
  return datapoints_.size() >= datapoints &&
         std::all_of(datapoints_.end() - static_cast<std::ptrdiff_t>(datapoints), datapoints_.end(),
                     [&](const std::optional<double>& datapoint) {
                       return datapoint.has_value() && *datapoint > from && *datapoint < to;
                     });
}

int Aws::Desired(const Sight& sight) {
  TakeUp(sight);
  if ((sight.tick + 1) % Ticks(kDatapoint) != 0) return sight.desired;
  datapoints_.push_back(samples_ == 0 ? std::nullopt : std::optional(sum_ / samples_));
  if (datapoints_.size() > kLowDatapoints) datapoints_.pop_front();
  sum_ = 0;
  samples_ = 0;
  const auto warm =
      std::count_if(sight.instances.begin(), sight.instances.end(),
                    [&](const Sample& instance) { return IsWarm(instance, sight.tick); });
  const auto proportional = [&] {
    return static_cast<int>(
        std::ceil(static_cast<double>(warm) * *datapoints_.back() / target_ - 1e-9));
  };
  if (IsAlarm(kHighDatapoints, target_, std::numeric_limits<double>::infinity())) {
    // Those that warm up count as capacity.
    return std::max(sight.desired, proportional());
  }
  // No scale-in while instances warm up.
  if (warm == sight.desired && IsAlarm(kLowDatapoints, -1, kLowShare * target_)) {
    return std::min(sight.desired, std::max(1, proportional()));
  }
  return sight.desired;
}

}  // namespace remuda::scaling_sim
