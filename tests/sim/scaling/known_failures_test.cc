// What other autoscalers are known to have done wrong, each as a scenario on the real core.
#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "controller/core/model/deployment_row.h"
#include "tests/sim/scaling/remuda.h"

namespace remuda::scaling_sim {
namespace {

// An app whose instances serve 100 requests a second, 60 of them at the target; boot 30 s.
AppTraits Traits() {
  AppTraits out;
  out.min = 2;
  out.max = 100;
  out.boot = absl::Seconds(30);
  out.cold_for = absl::Seconds(10);
  return out;
}

// An app under a load that the test sets, tick by tick.
class Stage {
 public:
  explicit Stage(double load, v1::ScalingPolicy policy = TrackCpu(Traits()))
      : app_(Traits(), 1), remuda_(std::move(policy)), load_(load) {
    remuda_.Begin(app_, app_.traits().NeededFor(load));
  }

  void SetLoad(double load) { load_ = load; }
  void For(absl::Duration duration) {
    for (int i = 0; i < Ticks(duration); ++i, ++tick_) {
      app_.Advance(tick_);
      app_.Serve(tick_, load_, gaps_);
      remuda_.Step(app_, tick_);
      most_desired_ = std::max(most_desired_, remuda_.desired());
      most_running_ = std::max(most_running_, static_cast<int>(app_.processes().size()));
    }
  }
  // Nothing is heard of any instance for so long.
  void GoDark(absl::Duration duration) {
    gaps_ = {{.from = tick_, .to = tick_ + Ticks(duration)}};
    For(duration);
  }
  // `stops_at`: per cent of the instances at which it stays for an hour; 0: it does not.
  void Deploy(int stops_at = 0) {
    v1::CreateDeploymentRequest request;
    v1::Deployment& wish = *request.mutable_deployment();
    wish.set_auto_scaling_group(absl::StrCat("autoScalingGroups/", kGroup));
    wish.mutable_to()->set_launch_template("shop");
    wish.mutable_to()->set_version("2");
    wish.mutable_strategy()->mutable_rolling()->set_max_percent(125);
    if (stops_at > 0) {
      wish.mutable_strategy()->mutable_rolling()->add_checkpoint_percents(stops_at);
      *wish.mutable_strategy()->mutable_rolling()->mutable_checkpoint_delay() =
          core::ToProto(absl::Hours(1));
    }
    *wish.mutable_health_deadline() = core::ToProto(absl::Minutes(5));
    remuda_.Ask(request);
  }
  bool IsDeploying() const {
    const auto& all = remuda_.state().All<v1::Deployment>();
    return std::any_of(all.begin(), all.end(), [](const auto& entry) {
      return !core::HasEnded(core::StageOf(*entry.second));
    });
  }
  // How long the newest evaluation has been ago.
  absl::Duration SinceEvaluation() {
    const auto& rows = remuda_.seen().metrics.evaluations[kGroup].rows;
    if (rows.empty()) return absl::InfiniteDuration();
    return remuda_.now() - core::FromProto(rows.back().time());
  }

  Remuda& remuda() { return remuda_; }
  int desired() const { return remuda_.desired(); }
  int most_desired() const { return most_desired_; }
  int most_running() const { return most_running_; }

 private:
  App app_;
  Remuda remuda_;
  double load_;
  std::vector<Gap> gaps_;
  int tick_ = 0;
  int most_desired_ = 0;
  int most_running_ = 0;
};

v1::ScalingPolicy WithCooldowns(absl::Duration in, absl::Duration out) {
  v1::ScalingPolicy policy = TrackCpu(Traits());
  *policy.mutable_target_tracking()->mutable_scale_in_cooldown() = core::ToProto(in);
  *policy.mutable_target_tracking()->mutable_scale_out_cooldown() = core::ToProto(out);
  return policy;
}

TEST(KnownFailures, OneCooldownForBothDirectionsThatBlocksTheEvaluator) {
  Stage stage(600, WithCooldowns(absl::Hours(1), absl::Hours(1)));
  EXPECT_EQ(stage.desired(), 10);
  stage.SetLoad(300);
  stage.For(absl::Minutes(5));
  const int fewer = stage.desired();
  EXPECT_LT(fewer, 10);
  // An hour of cooldown after the scale-in does not stand in the way of a scale-out.
  stage.SetLoad(900);
  stage.For(absl::Seconds(20));
  const int more = stage.desired();
  EXPECT_GT(more, fewer);
  // Nor does the hour after the scale-out in that of a clearly larger one.
  stage.For(absl::Minutes(3));
  const int enough = stage.desired();
  EXPECT_GE(enough, 15);
  stage.SetLoad(2400);
  stage.For(absl::Seconds(20));
  EXPECT_GT(stage.desired(), enough);
}

TEST(KnownFailures, AnEvaluatorThatSilentlyStops) {
  Stage stage(600);
  for (int hour = 0; hour < 12; ++hour) {
    stage.SetLoad(hour % 2 == 0 ? 1200 : 600);
    stage.For(absl::Minutes(20));
    EXPECT_LE(stage.SinceEvaluation(), kTick) << "hour " << hour;
    stage.GoDark(absl::Minutes(15));
    EXPECT_LE(stage.SinceEvaluation(), kTick) << "hour " << hour << ", nothing is heard";
    stage.For(absl::Minutes(25));
  }
  const int before = stage.desired();
  stage.SetLoad(3000);
  stage.For(absl::Seconds(20));
  EXPECT_GT(stage.desired(), before);
}

TEST(KnownFailures, DoubleActionOnOneBreach) {
  Stage stage(600);
  // Those in service are at 90 %: 15 are needed. While they boot the breach goes on.
  stage.SetLoad(900);
  stage.For(absl::Seconds(10));
  const int first = stage.desired();
  EXPECT_GE(first, 15);
  stage.For(absl::Minutes(2));
  EXPECT_EQ(stage.most_desired(), first);
  EXPECT_LE(first, 17);
}

TEST(KnownFailures, ScalingThatMultipliesDuringARollingUpdate) {
  // 383 → 479 → 589: what a surge of 125 % did to others, each time that it was counted.
  Stage stage(1800);
  const int before = stage.desired();
  EXPECT_EQ(before, 30);
  stage.Deploy();
  stage.For(absl::Minutes(1));
  EXPECT_TRUE(stage.IsDeploying());
  for (int i = 0; i < 60 && stage.IsDeploying(); ++i) stage.For(absl::Minutes(1));
  EXPECT_FALSE(stage.IsDeploying());
  EXPECT_GT(stage.most_running(), before);
  EXPECT_LE(stage.most_running(), before * 125 / 100 + 1);
  EXPECT_EQ(stage.most_desired(), before);
  stage.For(absl::Minutes(10));
  EXPECT_EQ(stage.desired(), before);
}

TEST(KnownFailures, ABrokenNewVersionThatDrivesTheCapacityToTheMaximum) {
  Stage stage(1200);
  const int before = stage.desired();
  EXPECT_EQ(before, 20);
  // It never passes its check, and burns all of its CPU.
  stage.remuda().versions()[2] = {.is_healthy = false, .cpu_beside = 1};
  stage.Deploy();
  for (int i = 0; i < 60 && stage.IsDeploying(); ++i) stage.For(absl::Minutes(1));
  EXPECT_FALSE(stage.IsDeploying());
  EXPECT_EQ(stage.most_desired(), before);
  stage.For(absl::Minutes(10));
  EXPECT_EQ(stage.desired(), before);
}

TEST(KnownFailures, ANewVersionThatLooksBusyAndDrivesTheCapacityToTheMaximum) {
  Stage stage(1200);
  const int before = stage.desired();
  // A fifth of the instances are of it when the deployment waits: the others say what is needed.
  stage.remuda().versions()[2] = {.looks_busy = true};
  stage.Deploy(20);
  stage.For(absl::Minutes(30));
  EXPECT_TRUE(stage.IsDeploying());
  EXPECT_EQ(stage.most_desired(), before);
}

TEST(KnownFailures, ASlowNewVersionThatDrivesTheCapacityToTheMaximumWhileItIsDeployed) {
  Stage stage(1200);
  const int before = stage.desired();
  // It passes its check, and half of its CPU serves nobody.
  stage.remuda().versions()[2] = {.is_healthy = true, .cpu_beside = 0.5};
  stage.Deploy();
  while (stage.IsDeploying()) {
    EXPECT_LE(stage.desired(), 2 * before);
    stage.For(kTick);
  }
}

}  // namespace
}  // namespace remuda::scaling_sim
