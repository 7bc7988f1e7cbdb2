#include "tests/sim/scaling/hpa.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/sim/scaling/series.h"

namespace remuda::scaling_sim {
namespace {

// The defaults of kube-controller-manager and of HorizontalPodAutoscalerBehavior.
constexpr absl::Duration kSyncPeriod = absl::Seconds(15);
constexpr double kTolerance = 0.1;
constexpr absl::Duration kInitializationPeriod = absl::Minutes(5);
constexpr absl::Duration kDownStabilization = absl::Seconds(300);
constexpr absl::Duration kPolicyPeriod = absl::Seconds(15);
constexpr int kUpPods = 4;
constexpr double kUpPercent = 100;
// Down: 100 % in 15 s, which bounds nothing.

constexpr absl::Duration kScrapeWindow = absl::Seconds(15);

bool IsWithinTolerance(double ratio) { return std::abs(ratio - 1) <= kTolerance; }

}  // namespace

struct Hpa::Pods {
  std::map<int, double> cpu;  // of those that count as ready
  std::set<int> unready;
  std::set<int> missing;
};

void Hpa::Scrape(const Sight& sight) {
  std::map<int, Usage> kept;
  for (const Sample& pod : sight.instances) {
    Usage usage = usage_[pod.id];
    if (pod.has_metrics) usage = {usage.sum + pod.cpu, usage.ticks + 1};
    kept[pod.id] = usage;
  }
  usage_ = std::move(kept);
  if (sight.tick % Ticks(kScrapeWindow) != 0) return;
  metrics_.clear();
  for (const auto& [id, usage] : usage_) {
    // A window with a hole in it, or of one that began within it, is no sample.
    if (usage.ticks == Ticks(kScrapeWindow)) {
      metrics_[id] = {.cpu = usage.sum / usage.ticks, .tick = sight.tick};
    }
  }
  usage_.clear();
}

// groupPods
Hpa::Pods Hpa::Sorted(const Sight& sight) const {
  Pods out;
  for (const Sample& pod : sight.instances) {
    const auto metric = metrics_.find(pod.id);
    if (metric == metrics_.end()) {
      out.missing.insert(pod.id);
      continue;
    }
    const bool is_ready = pod.ready.has_value();
    // Those that are not ready have never been: what the initial readiness delay is for does not
    // come up here.
    const bool is_early = sight.tick < pod.launched + Ticks(kInitializationPeriod);
    if (!is_ready || (is_early && metric->second.tick < *pod.ready + Ticks(kScrapeWindow))) {
      out.unready.insert(pod.id);
    } else {
      out.cpu[pod.id] = metric->second.cpu;
    }
  }
  return out;
}

// GetResourceReplicas
int Hpa::Recommended(const Sight& sight) const {
  Pods pods = Sorted(sight);
  if (pods.cpu.empty()) return sight.desired;  // an error: nothing is scaled
  const auto ratio_of = [&](const std::map<int, double>& cpu) {
    double sum = 0;
    for (const auto& [id, used] : cpu) sum += used;
    return sum / static_cast<double>(cpu.size()) / target_;
  };
  const double ratio = ratio_of(pods.cpu);
  const bool counts_unready = !pods.unready.empty() && ratio > 1;
  if (!counts_unready && pods.missing.empty()) {
    if (IsWithinTolerance(ratio)) return sight.desired;
    return static_cast<int>(std::ceil(ratio * static_cast<double>(pods.cpu.size())));
  }
  // On the way down those that are missing use all that they may, on the way up nothing.
  for (const int id : pods.missing) pods.cpu[id] = ratio < 1 ? 1 : 0;
  if (counts_unready) {
    for (const int id : pods.unready) pods.cpu[id] = 0;
  }
  const double again = ratio_of(pods.cpu);
  if (IsWithinTolerance(again) || (ratio < 1 && again > 1) || (ratio > 1 && again < 1)) {
    return sight.desired;
  }
  const int replicas = static_cast<int>(std::ceil(again * static_cast<double>(pods.cpu.size())));
  if ((again < 1 && replicas > sight.desired) || (again > 1 && replicas < sight.desired)) {
    return sight.desired;
  }
  return replicas;
}

// stabilizeRecommendationWithBehaviors: down to the highest of the last 300 s, up at once.
int Hpa::Stabilized(int tick, int desired, int recommended) {
  while (!recommended_.empty() && recommended_.front().tick <= tick - Ticks(kDownStabilization)) {
    recommended_.pop_front();
  }
  recommended_.push_back({.tick = tick, .count = recommended});
  int highest = recommended;
  for (const Past& past : recommended_) highest = std::max(highest, past.count);
  return recommended >= desired ? recommended : std::min(desired, highest);
}

// calculateScaleUpLimitWithScalingRules: the larger of 100 % and 4 pods, from where the period
// began.
int Hpa::MostOut(int tick, int desired) const {
  int added = 0;
  for (const Past& past : added_) {
    if (past.tick > tick - Ticks(kPolicyPeriod)) added += past.count;
  }
  const int start = desired - added;
  return std::max(start + kUpPods, static_cast<int>(std::ceil(start * (1 + kUpPercent / 100))));
}

int Hpa::Desired(const Sight& sight) {
  Scrape(sight);
  if (sight.tick % Ticks(kSyncPeriod) != 1) return sight.desired;
  const int stable = Stabilized(sight.tick, sight.desired, Recommended(sight));
  const int wanted = std::min(stable, std::max(sight.desired, MostOut(sight.tick, sight.desired)));
  if (wanted > sight.desired) {
    added_.push_back({.tick = sight.tick, .count = wanted - sight.desired});
    if (added_.size() > 2) added_.pop_front();
  }
  return wanted;
}

}  // namespace remuda::scaling_sim
