// That the baselines do what is published of them.
#include <gtest/gtest.h>

#include <vector>

#include "tests/sim/scaling/aws.h"
#include "tests/sim/scaling/hpa.h"
#include "tests/sim/scaling/series.h"

namespace remuda::scaling_sim {
namespace {

constexpr int kOld = -10'000;  // launched long ago

// Drives a scaler tick by tick with the same instances.
class Drive {
 public:
  explicit Drive(Scaler& scaler, int desired) : scaler_(scaler) { sight_.desired = desired; }

  Drive& With(int count, double cpu) {
    for (int i = 0; i < count; ++i) {
      sight_.instances.push_back({.id = ++next_, .launched = kOld, .ready = kOld, .cpu = cpu});
    }
    return *this;
  }
  Drive& WithStarting(int count, double cpu) {
    for (int i = 0; i < count; ++i) {
      sight_.instances.push_back(
          {.id = ++next_, .launched = sight_.tick, .ready = std::nullopt, .cpu = cpu});
    }
    return *this;
  }
  Drive& WithMissing(int count) {
    With(count, 0);
    for (auto it = sight_.instances.end() - count; it != sight_.instances.end(); ++it) {
      it->has_metrics = false;
    }
    return *this;
  }
  void SetCpu(double cpu) {
    for (Sample& instance : sight_.instances) instance.cpu = cpu;
  }
  int For(absl::Duration duration) {
    for (int i = 0; i < Ticks(duration); ++i) {
      sight_.desired = scaler_.Desired(sight_);
      ++sight_.tick;
    }
    return sight_.desired;
  }

 private:
  Scaler& scaler_;
  Sight sight_;
  int next_ = 0;
};

TEST(Hpa, ScalesByTheRatioOfUsageToTarget) {
  Hpa hpa(0.5);
  EXPECT_EQ(Drive(hpa, 4).With(4, 1.0).For(absl::Seconds(30)), 8);
}

TEST(Hpa, LeavesARatioWithinTenPerCentAlone) {
  for (const auto& [cpu, want] : std::vector<std::pair<double, int>>{{0.54, 10}, {0.56, 12}}) {
    Hpa hpa(0.5);
    EXPECT_EQ(Drive(hpa, 10).With(10, cpu).For(absl::Seconds(30)), want) << cpu;
  }
}

TEST(Hpa, CountsThoseThatAreNotReadyAsIdleOnTheWayUp) {
  Hpa hpa(0.5);
  // 4 x 100 % over 6: 67 %, 8 instead of the 12 that 100 % of 6 would be.
  EXPECT_EQ(Drive(hpa, 6).With(4, 1.0).WithStarting(2, 1.0).For(absl::Seconds(30)), 8);
}

TEST(Hpa, CountsThoseThatAreMissingAsBusyOnTheWayDown) {
  Hpa hpa(0.5);
  // 6 x 10 % and 4 x 100 %: 46 %, which is within the tolerance of 50 %.
  EXPECT_EQ(Drive(hpa, 10).With(6, 0.1).WithMissing(4).For(absl::Minutes(20)), 10);
}

TEST(Hpa, CountsThoseThatAreMissingAsIdleOnTheWayUp) {
  Hpa hpa(0.5);
  // 8 x 80 % over 10: 64 %.
  EXPECT_EQ(Drive(hpa, 10).With(8, 0.8).WithMissing(2).For(absl::Seconds(30)), 13);
}

TEST(Hpa, DoesNothingWithoutMetrics) {
  Hpa hpa(0.5);
  EXPECT_EQ(Drive(hpa, 10).WithMissing(10).For(absl::Minutes(20)), 10);
}

TEST(Hpa, ScalesInToTheHighestWishOfFiveMinutes) {
  Hpa hpa(0.5);
  Drive drive(hpa, 10);
  drive.With(10, 0.5);
  EXPECT_EQ(drive.For(absl::Seconds(30)), 10);
  drive.SetCpu(0.1);
  EXPECT_EQ(drive.For(absl::Seconds(285)), 10);
  EXPECT_EQ(drive.For(absl::Seconds(30)), 2);
}

TEST(Hpa, GrowsByTheLargerOfFourAndOneHundredPerCentInFifteenSeconds) {
  Hpa few(0.1);
  EXPECT_EQ(Drive(few, 1).With(1, 1.0).For(absl::Seconds(30)), 5);
  Hpa many(0.1);
  EXPECT_EQ(Drive(many, 10).With(10, 1.0).For(absl::Seconds(30)), 20);
}

TEST(Aws, ScalesOutAfterThreeMinutesAboveTheTarget) {
  Aws aws(0.5);
  Drive drive(aws, 4);
  drive.With(4, 0.75);
  EXPECT_EQ(drive.For(absl::Seconds(175)), 4);
  EXPECT_EQ(drive.For(absl::Seconds(10)), 6);
}

TEST(Aws, ScalesInAfterFifteenMinutesBelowNinetyPerCentOfTheTarget) {
  for (const auto& [cpu, want] : std::vector<std::pair<double, int>>{{0.46, 10}, {0.44, 9}}) {
    Aws aws(0.5);
    Drive drive(aws, 10);
    drive.With(10, cpu);
    EXPECT_EQ(drive.For(absl::Minutes(15) - kTick), 10);
    EXPECT_EQ(drive.For(absl::Seconds(10)), want) << cpu;
  }
}

TEST(Aws, LeavesThoseThatWarmUpOutAndCountsThemAsCapacity) {
  Aws aws(0.5);
  Drive drive(aws, 6);
  drive.With(4, 0.75).WithStarting(2, 1.0);
  EXPECT_EQ(drive.For(absl::Minutes(4)), 6);
}

TEST(Aws, DoesNotScaleInWithoutMetrics) {
  Aws aws(0.5);
  EXPECT_EQ(Drive(aws, 10).WithMissing(10).For(absl::Hours(1)), 10);
}

}  // namespace
}  // namespace remuda::scaling_sim
