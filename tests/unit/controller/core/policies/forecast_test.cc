// Forecasts from a group's own past, what they are made of, and the floor that they set.
#include "controller/core/policies/forecast.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numbers>
#include <random>
#include <string>

#include "controller/core/model/draft.h"
#include "controller/core/policies/evaluate.h"

namespace remuda::core {
namespace {

using testing::HasSubstr;

constexpr double kPi = std::numbers::pi;
// A Monday at midnight.
const Time kStart = absl::FromUnixSeconds(1'767'571'200);
Time At(double days) { return kStart + absl::Hours(24 * days); }

// `days` of the load, which is given the days since kStart.
store::v1::LoadHistory History(double days, const std::function<double(double)>& load) {
  store::v1::LoadHistory row;
  *row.mutable_start_time() = ToProto(kStart);
  for (int span = 0; span < days * kSpansADay; ++span) {
    row.add_loads(static_cast<float>(load(static_cast<double>(span) / kSpansADay)));
  }
  return row;
}

double Daily(double day) { return 1000 - 800 * std::cos(2 * kPi * day); }

TEST(ForecastTest, NeedsADayOfHistory) {
  EXPECT_EQ(ForecastAt(History(0.9, Daily), At(0.9), At(1)), std::nullopt);
  const auto forecast = ForecastAt(History(1, Daily), At(1), At(1.25));
  ASSERT_TRUE(forecast.has_value());
  EXPECT_NEAR(*forecast, 1000, 1);
  EXPECT_EQ(ForecastAt({}, At(1), At(1)), std::nullopt);
}

TEST(ForecastTest, RepeatsWhatRepeats) {
  const auto history = History(14, Daily);
  for (int span : {0, 10, 29, 48, 86}) {
    const Time of = At(14) + span * kLoadSpan;
    const double load = Daily(static_cast<double>(span) / kSpansADay);
    EXPECT_NEAR(*ForecastAt(history, At(14), of), load, 0.01) << span;
  }
}

TEST(ForecastTest, WeighsTheWeekBeforeMost) {
  // Weekends have a tenth.
  const auto weekly = [](double day) { return std::fmod(day, 7) >= 5 ? 100.0 : 1000.0; };
  // Saturday 12:00, from Friday: 2 Friday, 1 Thursday, 8 and 4 Saturdays.
  EXPECT_NEAR(*ForecastAt(History(18.9, weekly), At(18.9), At(19.5)),
              (2 * 1000 + 1 * 1000 + 8 * 100 + 4 * 100) / 15.0, 1);
}

TEST(ForecastTest, ComparesWithTodaySoFar) {
  const auto half_more = [](double day) { return Daily(day) * (day >= 9.5 ? 1.5 : 1); };
  EXPECT_NEAR(*ForecastAt(History(10, half_more), At(10), At(10.25)), 1.5 * 1000, 150);
  const auto ten_times = [](double day) { return Daily(day) * (day >= 9.5 ? 10 : 1); };
  EXPECT_LE(*ForecastAt(History(10, ten_times), At(10), At(10.25)), 2 * 1.9 * 1000)
      << "it is not believed beyond twice";
}

TEST(ForecastTest, WhatIsNotKnownIsLeftOut) {
  auto history = History(8, Daily);
  // Nothing of the day before, and of two hours a week ago.
  for (int span = 7 * kSpansADay; span < 8 * kSpansADay; ++span) {
    history.set_loads(span, std::nanf(""));
  }
  EXPECT_NEAR(*ForecastAt(history, At(8), At(8.5)), Daily(0.5), 15);
  for (int span = 0; span < 8 * kSpansADay; ++span) history.set_loads(span, std::nanf(""));
  EXPECT_EQ(ForecastAt(history, At(8), At(8.5)), std::nullopt);
}

TEST(ForecastTest, TheFuturePlaysNoPart) {
  const auto surprise = [](double day) { return day >= 9 ? 5000.0 : 1000.0; };
  EXPECT_EQ(ForecastAt(History(12, surprise), At(9), At(9.5)),
            ForecastAt(History(9, surprise), At(9), At(9.5)));
}

v1::PredictivePolicy Policy(double target, Duration buffer) {
  v1::PredictivePolicy policy;
  policy.set_metric(v1::SCALING_METRIC_REQUEST_COUNT_PER_TARGET);
  policy.set_target(target);
  policy.set_mode(v1::PredictivePolicy::MODE_FORECAST_AND_SCALE);
  *policy.mutable_scheduling_buffer() = ToProto(buffer);
  return policy;
}

TEST(ForecastTest, TheFloorIsForTheMostUntilTheBufferIsOver) {
  const auto at_nine = [](double day) { return std::fmod(day, 1) >= 0.375 ? 1000.0 : 100.0; };
  const auto history = History(8, at_nine);
  const Time before = At(8.375) - absl::Minutes(20);
  EXPECT_EQ(ForecastFloor(&history, Policy(100, absl::Minutes(4)), before), 1);
  EXPECT_EQ(ForecastFloor(&history, Policy(100, absl::Minutes(20)), before), 10);
  EXPECT_EQ(ForecastFloor(&history, Policy(300, absl::Minutes(20)), before), 4) << "rounded up";
  EXPECT_EQ(ForecastFloor(nullptr, Policy(100, absl::Minutes(20)), before), std::nullopt);
  EXPECT_EQ(ForecastFloor(&history, Policy(0.001, absl::Minutes(20)), before), 1000);
}

TEST(ForecastTest, SaysHowWellItDidBesideLastWeeksValue) {
  // Each week a tenth more, with noise: last week's value is always behind.
  std::mt19937 random(7);
  std::normal_distribution<double> noise(1, 0.03);
  const auto growing = [&](double day) {
    return Daily(day) * std::pow(1.1, std::floor(day / 7)) * noise(random);
  };
  const auto history = History(21, growing);
  v1::ScalingPolicy policy;
  policy.set_name("ahead");
  *policy.mutable_predictive() = Policy(100, absl::Minutes(5));
  const v1::PredictiveForecast forecast = DescribeForecast(&history, policy, At(21));
  EXPECT_EQ(forecast.policy(), "ahead");
  EXPECT_EQ(forecast.missing(), "");
  ASSERT_EQ(forecast.points_size(), kSpansADay);
  EXPECT_EQ(FromProto(forecast.points(0).time()), At(21));
  EXPECT_EQ(forecast.points(48).capacity(), std::ceil(forecast.points(48).load() / 100));
  EXPECT_GT(forecast.error_percent(), 1);
  EXPECT_LT(forecast.error_percent(), forecast.baseline_error_percent() / 2);
  const v1::PredictiveForecast none = DescribeForecast(nullptr, policy, At(21));
  EXPECT_THAT(none.missing(), HasSubstr("needs a day"));
  EXPECT_FALSE(none.has_error_percent());
}

// --- What forecasts are made of -----------------------------------------------------------------

class LoadsTest : public ::testing::Test {
 protected:
  LoadsTest() {
    v1::AutoScalingGroup group;
    v1::ScalingPolicy& policy = *group.add_policies();
    policy.set_name("ahead");
    *policy.mutable_predictive() = Policy(100, absl::Minutes(5));
    group.set_max(50);
    group.mutable_capacity()->set_desired(1);
    Put("web", group);
  }
  template <class T>
  void Put(const std::string& key, const T& row) {
    Draft draft(state_);
    draft.Put(key, row);
    state_.Apply(draft.Take(), state_.commit() + 1);
  }
  // A value at a time; the rows that follow are committed.
  void Tell(Time time, std::optional<double> requests) {
    MetricPoint point{.time = time, .requests = requests};
    seen_.metrics.histories["web"].points.push_back(point);
    for (const auto& [key, row] : TakeLoads(state_, seen_.metrics, time)) Put(key, row);
  }
  std::vector<float> Loads() const {
    const auto* row = state_.Find<store::v1::LoadHistory>("web/1");
    if (row == nullptr) return {};
    return {(*row)->loads().begin(), (*row)->loads().end()};
  }

  State state_;
  Observations seen_;
};

TEST_F(LoadsTest, MeansOfSpansAreWrittenOnceASpan) {
  Tell(kStart + absl::Minutes(1), 10);
  Tell(kStart + absl::Minutes(14), 20);
  EXPECT_TRUE(Loads().empty());
  Tell(kStart + absl::Minutes(15), 100);
  EXPECT_THAT(Loads(), testing::ElementsAre(15));
  Tell(kStart + absl::Minutes(20), std::nullopt);
  EXPECT_THAT(Loads(), testing::ElementsAre(15));
  Tell(kStart + absl::Minutes(30), 7);
  EXPECT_THAT(Loads(), testing::ElementsAre(15, 100));
  const auto& row = **state_.Find<store::v1::LoadHistory>("web/1");
  EXPECT_EQ(FromProto(row.start_time()), kStart);
  EXPECT_EQ(row.span_seconds(), 900);
  EXPECT_EQ(row.auto_scaling_group(), "web");
  EXPECT_EQ(row.metric(), v1::SCALING_METRIC_REQUEST_COUNT_PER_TARGET);
}

TEST_F(LoadsTest, AGapIsNotKnownAndTheOldestGo) {
  Tell(kStart, 1);
  Tell(kStart + absl::Minutes(60), 5);
  Tell(kStart + absl::Minutes(75), 6);
  ASSERT_EQ(Loads().size(), 5u);
  EXPECT_TRUE(std::isnan(Loads()[1]) && std::isnan(Loads()[3]));
  EXPECT_EQ(Loads()[4], 5);
  Tell(At(21), 7);
  Tell(At(21) + absl::Minutes(15), 7);
  EXPECT_EQ(Loads().size(), static_cast<size_t>(kSpansKept));
  EXPECT_EQ(FromProto((*state_.Find<store::v1::LoadHistory>("web/1"))->start_time()),
            At(21) - kLoadSpan * (kSpansKept - 1));
  Tell(At(200), 8);
  Tell(At(200) + absl::Minutes(15), 8);
  EXPECT_THAT(Loads(), testing::ElementsAre(8)) << "what is older than twice that is nothing";
}

TEST_F(LoadsTest, AClockThatWasAheadStopsNoLearning) {
  Tell(At(400), 1);
  Tell(At(400) + absl::Minutes(15), 1);
  ASSERT_EQ(Loads().size(), 1u);
  Tell(kStart, 2);
  Tell(kStart + absl::Minutes(15), 3);
  Tell(kStart + absl::Minutes(30), 4);
  EXPECT_THAT(Loads(), testing::ElementsAre(2, 3));
}

TEST_F(LoadsTest, ARowGoesWithItsPolicyOrItsGroup) {
  Tell(kStart, 1);
  Tell(kStart + absl::Minutes(15), 5);
  EXPECT_TRUE(UnneededLoads(state_).empty());
  v1::AutoScalingGroup group = **state_.Find<v1::AutoScalingGroup>("web");
  group.clear_policies();
  Put("web", group);
  EXPECT_THAT(UnneededLoads(state_), testing::ElementsAre("web/1"));
}

TEST_F(LoadsTest, TheForecastIsAFloorAndNeverTakesAnyAway) {
  store::v1::LoadHistory row = History(8, [](double) { return 1000.0; });
  row.set_auto_scaling_group("web");
  Put("web/1", row);
  const auto evaluate = [&] {
    seen_.metrics.histories["web"].points.push_back({.time = At(8)});
    return EvaluateGroups(state_, seen_, At(8)).contains("web")
               ? seen_.metrics.evaluations["web"].wanted
               : std::nullopt;
  };
  EXPECT_EQ(evaluate(), 10);
  EXPECT_THAT(seen_.metrics.evaluations["web"].rows.back().outcome(), HasSubstr("ahead"));
  v1::AutoScalingGroup group = **state_.Find<v1::AutoScalingGroup>("web");
  group.mutable_capacity()->set_desired(20);
  Put("web", group);
  seen_.metrics.evaluations.clear();
  EXPECT_EQ(evaluate(), std::nullopt);
  group.mutable_capacity()->set_desired(1);
  group.mutable_policies(0)->mutable_predictive()->set_mode(
      v1::PredictivePolicy::MODE_FORECAST_ONLY);
  Put("web", group);
  seen_.metrics.evaluations.clear();
  EXPECT_EQ(evaluate(), std::nullopt);
}

}  // namespace
}  // namespace remuda::core
