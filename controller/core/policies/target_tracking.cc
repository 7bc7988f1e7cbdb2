#include "controller/core/policies/target_tracking.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>

#include "controller/core/model/limits.h"
#include "controller/core/model/words.h"
#include "controller/core/policies/reading.h"
#include "controller/core/policies/trend.h"

namespace remuda::core {
namespace {

// What is so far above or below the target is its noise.
constexpr double kTolerance = 0.1;
// So far above it one value is enough.
constexpr double kClearExcess = 1.2;
// Otherwise the mean of this long counts.
constexpr Duration kMeanOf = absl::Seconds(30);
// Values may be missing for so many periods before what was known counts as unknown. While one is
// missing nothing is taken away.
constexpr int kGapPeriods = 3;
// What is kept of a number of instances.
constexpr double kParts = 100;

// The load in instances that are at the target.
struct Need {
  double newest = 0;
  double mean = 0;
  double growth = 0;  // until what is launched now is warm
};

Need NeedOf(const Inputs& inputs, const MetricRef& ref, double target) {
  Need out;
  double sum = 0;
  int count = 0;
  for (auto it = inputs.history.points.rbegin();
       it != inputs.history.points.rend() && it->time > inputs.newest().time - kMeanOf; ++it) {
    const Reading reading = ReadAt(*it, ref);
    if (!reading.whole.has_value()) continue;
    if (count == 0) out.newest = *reading.whole / target;
    sum += *reading.whole / target;
    ++count;
  }
  out.mean = count == 0 ? 0 : sum / count;
  out.growth = GrowthOf(inputs.history, ref, FromProto(inputs.group.instance_warmup())) / target;
  return out;
}

int Whole(double instances) {
  if (!(instances > 0)) return 0;  // also what is no number
  const double needed = std::ceil(instances - 1e-9);
  return static_cast<int>(std::clamp<double>(needed, 0, limits::kGroupInstances));
}

int PartsOf(double instances) {
  if (!(instances > 0)) return 0;
  constexpr double kMost = kParts * 1000 * limits::kGroupInstances;
  return static_cast<int>(std::clamp<double>(std::ceil(instances * kParts), 0, kMost));
}

// What a scale-out would go to; desired if none is needed.
int OutTo(const Need& need, int desired) {
  if (need.newest > kClearExcess * desired)
    return std::max(desired, Whole(need.newest + need.growth));
  if (need.mean <= (1 + kTolerance) * desired) return desired;
  return std::max(desired, Whole(need.mean));
}

// Why less is not taken away yet; empty if it may be.
std::string WhyNotIn(const Inputs& inputs, const v1::TargetTrackingPolicy& policy,
                     const PolicyMemory& memory) {
  if (policy.disable_scale_in()) return "scale-in is disabled";
  if (inputs.is_deploying) return "a deployment is under way";
  const Duration after = FromProto(policy.scale_in_after());
  if (*memory.known_since + after > inputs.now) {
    return absl::StrCat("values are known for ", DurationText(inputs.now - *memory.known_since),
                        " of ", DurationText(after));
  }
  if (ScaledOutAt(inputs.group) + after > inputs.now) {
    return absl::StrCat("scaled out ", DurationText(inputs.now - ScaledOutAt(inputs.group)),
                        " ago, and in not before ", DurationText(after));
  }
  const Time cooled = ScaledInAt(inputs.group) + FromProto(policy.scale_in_cooldown());
  if (cooled > inputs.now) {
    return absl::StrCat("cooling down for another ", DurationText(cooled - inputs.now));
  }
  return "";
}

// A value is missing.
void NoteGap(const Inputs& inputs, PolicyMemory& memory) {
  if (!memory.known_since || inputs.now <= memory.known_until + kGapPeriods * inputs.period) return;
  memory.known_since.reset();
  memory.needed.clear();
}

}  // namespace

Verdict FollowTarget(const Inputs& inputs, const std::string& name,
                     const v1::TargetTrackingPolicy& policy, PolicyMemory& memory) {
  const MetricRef ref = RefOf(name, policy);
  const Reading reading = ReadAt(inputs.newest(), ref);
  Verdict out{.metric = NameOf(ref), .value = reading.each, .target = policy.target()};
  out.hangs_on_version = HangsOnVersion(ref);
  if (!reading.whole.has_value()) {
    NoteGap(inputs, memory);
    out.bars_scale_in = !policy.disable_scale_in();
    out.reason = absl::StrCat(reading.missing, ": nothing is changed");
    return out;
  }
  NoteGap(inputs, memory);
  if (!memory.known_since) memory.known_since = inputs.now;
  memory.known_until = inputs.now;
  const int desired = inputs.desired();
  const Need need = NeedOf(inputs, ref, policy.target());
  memory.needed.Add(inputs.now, PartsOf(need.mean));

  const std::string facts = absl::StrCat(out.metric, " is ", NumberText(*reading.each),
                                         " an instance, target ", NumberText(policy.target()));
  const int out_to = OutTo(need, desired);
  if (out_to > desired) {
    out.wanted = out_to;
    out.reason =
        absl::StrCat(facts, ": ", Counted(out_to, "instance"), " ", IsOrAre(out_to), " needed");
    const Time cooled = ScaledOutAt(inputs.group) + FromProto(policy.scale_out_cooldown());
    if (cooled > inputs.now && need.newest <= kClearExcess * desired) {
      out.wanted = desired;
      absl::StrAppend(&out.reason,
                      "; soon after a scale-out only a clear excess passes, for another ",
                      DurationText(cooled - inputs.now));
    }
    return out;
  }
  const double most = memory.needed.Since(inputs.now - FromProto(policy.scale_in_after())) / kParts;
  const int in_to = std::max(SpeaksAtZero(ref) ? 0 : 1, Whole(most));
  if (in_to >= desired || most > (1 - kTolerance) * desired) {
    out.wanted = desired;
    out.reason =
        absl::StrCat(facts, ": ", Counted(desired, "instance"), " ", IsOrAre(desired), " right");
    return out;
  }
  const std::string why_not = WhyNotIn(inputs, policy, memory);
  out.reason = absl::StrCat(facts, ": ", in_to, " of ", Counted(desired, "instance"),
                            " would be enough", why_not.empty() ? "" : "; ", why_not);
  if (policy.disable_scale_in()) return out;  // it has no say in it
  out.wanted = why_not.empty() ? in_to : desired;
  return out;
}

}  // namespace remuda::core
