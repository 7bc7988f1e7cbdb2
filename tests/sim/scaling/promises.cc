#include "tests/sim/scaling/promises.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace remuda::scaling_sim {
namespace {

// The defaults of TargetTrackingPolicy.
constexpr absl::Duration kScaleInAfter = absl::Seconds(150);
constexpr absl::Duration kScaleInCooldown = absl::Seconds(60);
// What is not heard of counts as missing after three periods; before that what was heard last may
// be.
constexpr absl::Duration kSilence = absl::Seconds(20);
// A breach that lasts is answered within this: what warms up when it begins is waited for.
constexpr absl::Duration kAnswered = absl::Minutes(3);
constexpr absl::Duration kAnsweredBelow = absl::Minutes(8);

}  // namespace

void Promises::Complain(int tick, const std::string& what) {
  if (!broken_.empty()) return;
  broken_ = absl::StrCat("tick ", tick, " (", absl::FormatDuration(tick * kTick), "): ", what);
}

// Whether nothing is heard of any instance, and has not been for so long that nothing is known.
bool Promises::IsDark(int tick) const {
  return std::any_of(
      scenario_.series.gaps.begin(), scenario_.series.gaps.end(), [&](const Gap& gap) {
        return gap.percent == 100 && tick >= gap.from + Ticks(kSilence) && tick < gap.to;
      });
}

double Promises::LoadBefore(int tick, int ticks) const {
  const int from = std::max(0, tick - ticks + 1);
  double sum = 0;
  for (int i = from; i <= tick; ++i) sum += scenario_.series.load[static_cast<size_t>(i)];
  return sum / (tick - from + 1);
}

void Promises::LookAtScaleIn(int tick, const Point& point, const App& app) {
  if (IsDark(tick)) Complain(tick, "scaled in though nothing is heard");
  if (tick - last_in_ < Ticks(kScaleInCooldown)) {
    Complain(tick, "scaled in within the cooldown of the last scale-in");
  }
  if (tick - last_out_ < Ticks(kScaleInAfter)) {
    Complain(tick, "scaled in though more was wanted a moment ago");
  }
  const double borne = point.desired * app.traits().requests_per_second;
  if (const double load = LoadBefore(tick, 3); load > borne) {
    Complain(tick, absl::StrCat("scaled in to ", point.desired, ", which bear ", borne,
                                " requests/s, with ", load));
  }
  last_in_ = tick;
}

// A breach that lasts is answered.
void Promises::LookForAnswer(int tick, const Point& point, const App& app) {
  const AppTraits& traits = app.traits();
  const bool any_gap = std::any_of(
      scenario_.series.gaps.begin(), scenario_.series.gaps.end(),
      [&](const Gap& gap) { return tick >= gap.from && tick < gap.to + Ticks(absl::Minutes(1)); });
  const double wanted = point.load / traits.requests_per_second / traits.target;
  const bool is_hot = wanted > 1.25 * point.desired && point.desired < traits.max && !any_gap;
  const bool is_cold = wanted < 0.7 * point.desired - 1 && point.desired > traits.min && !any_gap;
  if (!is_hot || point.desired > desired_) hot_since_ = tick;
  if (!is_cold || point.desired < desired_) cold_since_ = tick;
  if (tick - hot_since_ > Ticks(kAnswered)) {
    Complain(tick, absl::StrCat("nothing is done though ", point.load, " requests/s want ", wanted,
                                " instances and ", point.desired, " are desired"));
  }
  if (tick - cold_since_ > Ticks(kAnsweredBelow)) {
    Complain(tick, absl::StrCat("nothing is taken away though ", point.load, " requests/s want ",
                                wanted, " instances and ", point.desired, " are desired"));
  }
}

void Promises::Look(const App& app, int tick, const Point& point) {
  const AppTraits& traits = app.traits();
  if (point.desired < traits.min || point.desired > traits.max) {
    Complain(tick, absl::StrCat("desired is ", point.desired));
  }
  if (desired_ < 0) {
    desired_ = point.desired;
    hot_since_ = cold_since_ = tick;
  }
  if (point.desired < desired_) LookAtScaleIn(tick, point, app);
  if (point.desired > desired_) last_out_ = tick;
  LookForAnswer(tick, point, app);
  desired_ = point.desired;
}

}  // namespace remuda::scaling_sim
