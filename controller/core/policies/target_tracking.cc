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

// In only to where the metric is at most this part of its target.
constexpr double kInFraction = 0.9;
// What is so far above the target is answered at once; a smaller excess when the value after it has
// it, too.
constexpr double kClearExcess = 1.2;

int Instances(double load, double target) {
  const double needed = std::ceil(load / target - 1e-9);
  return static_cast<int>(std::clamp<double>(needed, 0, limits::kGroupInstances));
}

// What a scale-out would go to.
int OutTo(const Inputs& inputs, const MetricRef& ref, double load, double target) {
  const double growth = GrowthOf(inputs.history, ref, FromProto(inputs.group.instance_warmup()));
  const int needed = Instances(load + growth, target);
  const int desired = inputs.desired();
  if (needed <= desired || load > kClearExcess * target * desired) return needed;
  // One value alone may be chance.
  const auto& points = inputs.history.points;
  if (points.size() < 2) return desired;
  const Reading before = ReadAt(points[points.size() - 2], ref);
  if (!before.whole.has_value()) return desired;
  return std::max(desired, std::min(needed, Instances(*before.whole + growth, target)));
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
  const Time cooled = ScaledInAt(inputs.group) + FromProto(policy.scale_in_cooldown());
  if (ScaledInAt(inputs.group) > ScaledOutAt(inputs.group) && cooled > inputs.now) {
    return absl::StrCat("cooling down for another ", DurationText(cooled - inputs.now));
  }
  return "";
}

}  // namespace

Verdict FollowTarget(const Inputs& inputs, const std::string& name,
                     const v1::TargetTrackingPolicy& policy, PolicyMemory& memory) {
  const MetricRef ref = RefOf(name, policy);
  const Reading reading = ReadAt(inputs.newest(), ref);
  Verdict out{.metric = NameOf(ref), .value = reading.each, .target = policy.target()};
  if (!reading.whole.has_value()) {
    memory.known_since.reset();
    memory.needed.clear();
    out.bars_scale_in = !policy.disable_scale_in();
    out.reason = absl::StrCat(reading.missing, ": nothing is changed");
    return out;
  }
  const double load = *reading.whole;
  const int desired = inputs.desired();
  if (!memory.known_since) memory.known_since = inputs.now;
  const int least = SpeaksAtZero(ref) ? 0 : 1;
  memory.needed.Add(inputs.now, std::max(least, Instances(load, kInFraction * policy.target())));

  const std::string facts = absl::StrCat(out.metric, " is ", NumberText(*reading.each),
                                         " an instance, target ", NumberText(policy.target()));
  const int out_to = OutTo(inputs, ref, load, policy.target());
  if (out_to > desired) {
    const Time cooled = ScaledOutAt(inputs.group) + FromProto(policy.scale_out_cooldown());
    out.wanted = out_to;
    out.reason =
        absl::StrCat(facts, ": ", Counted(out_to, "instance"), " ", IsOrAre(out_to), " needed");
    if (cooled > inputs.now && load <= kClearExcess * policy.target() * desired) {
      out.wanted = desired;
      absl::StrAppend(&out.reason,
                      "; soon after a scale-out only a clear excess passes, for another ",
                      DurationText(cooled - inputs.now));
    }
    return out;
  }
  const int in_to = memory.needed.Since(inputs.now - FromProto(policy.scale_in_after()));
  if (in_to >= desired) {
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
