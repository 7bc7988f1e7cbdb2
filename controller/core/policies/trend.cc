#include "controller/core/policies/trend.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace remuda::core {
namespace {

constexpr Duration kSpan = absl::Seconds(60);
constexpr size_t kFewest = 6;
constexpr size_t kMost = 60;
constexpr double kErrors = 2;
constexpr double kMostGrowth = 0.5;

struct Sample {
  double seconds;
  double load;
};

// The slope of the line through the samples less its errors; 0 if they are not enough.
double CertainSlope(const std::vector<Sample>& samples) {
  const auto count = static_cast<double>(samples.size());
  double mean_t = 0;
  double mean_y = 0;
  for (const Sample& sample : samples) {
    mean_t += sample.seconds / count;
    mean_y += sample.load / count;
  }
  double tt = 0;
  double ty = 0;
  for (const Sample& sample : samples) {
    tt += (sample.seconds - mean_t) * (sample.seconds - mean_t);
    ty += (sample.seconds - mean_t) * (sample.load - mean_y);
  }
  if (tt <= 0) return 0;
  const double slope = ty / tt;
  double rest = 0;
  for (const Sample& sample : samples) {
    const double off = sample.load - mean_y - slope * (sample.seconds - mean_t);
    rest += off * off;
  }
  return slope - kErrors * std::sqrt(rest / (count - 2) / tt);
}

}  // namespace

double GrowthOf(const MetricHistory& history, const MetricRef& ref, Duration ahead) {
  if (history.points.empty()) return 0;
  const Time newest = history.points.back().time;
  std::vector<Sample> samples;
  for (auto it = history.points.rbegin();
       it != history.points.rend() && it->time >= newest - kSpan && samples.size() < kMost; ++it) {
    const Reading reading = ReadAt(*it, ref);
    if (!reading.whole.has_value()) break;
    samples.push_back({absl::ToDoubleSeconds(it->time - newest), *reading.whole});
  }
  if (samples.size() < kFewest) return 0;
  const double growth = CertainSlope(samples) * absl::ToDoubleSeconds(ahead);
  return std::clamp(growth, 0.0, kMostGrowth * std::max(0.0, samples.front().load));
}

}  // namespace remuda::core
