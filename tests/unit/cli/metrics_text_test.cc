#include "cli/metrics_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "cli/live_picture.h"
#include "cli/settings.h"

namespace remuda::cli {
namespace {

using ::testing::ElementsAre;

const double kMissing = std::nan("");

v1::SeriesMetrics& AddSeries(v1::GroupMetrics& metrics, const std::string& name,
                             const std::string& unit, const std::vector<double>& values) {
  auto& series = *metrics.add_series();
  series.set_metric(name);
  series.set_unit(unit);
  series.mutable_values()->Add(values.begin(), values.end());
  return series;
}

std::string SparklineOf(const std::vector<double>& values, size_t room = 100) {
  return Sparkline({values.begin(), values.end()}, room);
}

TEST(MetricsText, ValuesHaveTheirUnits) {
  EXPECT_EQ(ValueText(12.34, "%"), "12.3%");
  EXPECT_EQ(ValueText(0.5, "/s"), "0.5/s");
  EXPECT_EQ(ValueText(340.2, "/s"), "340/s");
  EXPECT_EQ(ValueText(12, "ms"), "12ms");
  EXPECT_EQ(ValueText(1536, "B/s"), "1.5 KiB/s");
  EXPECT_EQ(ValueText(3, ""), "3");
  EXPECT_EQ(ValueText(12345.6, "jobs"), "12346 jobs");
  EXPECT_EQ(ValueText(-0.001, ""), "0");
  EXPECT_EQ(ValueText(kMissing, "%"), "-");
}

TEST(MetricsText, ASparklineIsOfTheLargestAndHasGaps) {
  EXPECT_EQ(SparklineOf({0, 1, 4, 8}), "\u2581\u2581\u2584\u2588");
  EXPECT_EQ(SparklineOf({8, kMissing, 8}), "\u2588 \u2588");
  EXPECT_EQ(SparklineOf({0, 0}), "\u2581\u2581") << "nothing is something";
  EXPECT_EQ(SparklineOf({kMissing, kMissing}), "  ");
  EXPECT_EQ(SparklineOf({-1, 2}), "\u2581\u2588");
  EXPECT_EQ(SparklineOf({9, 1, 2}, 2), "\u2584\u2588") << "the newest, by the largest shown";
  EXPECT_EQ(SparklineOf({}), "");
}

TEST(MetricsText, ASeriesIsARow) {
  v1::GroupMetrics metrics;
  AddSeries(metrics, "cpu", "%", {10, kMissing, 40});
  AddSeries(metrics, "custom/queue-depth", "", {kMissing, kMissing, kMissing});
  EXPECT_EQ(RenderTable(SeriesTable(metrics, {.has_blocks = true})),
            "METRIC              LAST  LOWEST  HIGHEST  HISTORY\n"
            "cpu                 40%   10%     40%      \u2582 \u2588\n"
            "custom/queue-depth  -     -       -           \n");
  EXPECT_EQ(RenderTable(SeriesTable(metrics, {.has_blocks = false})),
            "METRIC              LAST  LOWEST  HIGHEST  NEWEST\n"
            "cpu                 40%   10%     40%      10 - 40\n"
            "custom/queue-depth  -     -       -        - - -\n");
}

TEST(MetricsText, HistoriesFitTheTerminal) {
  v1::GroupMetrics metrics;
  AddSeries(metrics, "cpu", "%", std::vector<double>(720, 50));
  for (const size_t width : {60u, 100u}) {
    const std::string table =
        RenderTable(SeriesTable(metrics, {.has_blocks = true, .width = width}));
    const std::string row = table.substr(table.find('\n') + 1);
    EXPECT_EQ(TextWidth(row) - 1, width) << row;
  }
  EXPECT_EQ(SeriesTable(metrics, {.has_blocks = false}).rows[0].back(),
            "50 50 50 50 50 50 50 50 50 50");
}

TEST(MetricsText, AnInstanceThatSaysNothingHasGaps) {
  v1::GroupMetrics metrics;
  auto& one = *metrics.add_instances();
  one.set_instance("instances/i-1");
  one.set_cpu_percent(0);
  one.set_memory_bytes(64 << 20);
  one.set_requests(12.5);
  one.set_in_flight(3);
  one.set_restarts(1);
  one.set_is_warm(true);
  metrics.add_instances()->set_instance("instances/i-2");
  EXPECT_EQ(RenderTable(InstanceMetricsTable(metrics)),
            "INSTANCE  CPU  MEMORY    REQUESTS  IN-FLIGHT  RESTARTS  WARM\n"
            "i-1       0%   64.0 MiB  12.5/s    3          1         yes\n"
            "i-2       -    -         0/s       0          0         not yet\n");
}

TEST(MetricsText, TheTitleSaysWhatTheValuesAre) {
  v1::GroupMetrics metrics;
  metrics.set_auto_scaling_group("autoScalingGroups/blue");
  EXPECT_EQ(MetricsTitle(metrics), "asg/blue: nothing is measured yet");
  AddSeries(metrics, "cpu", "%", {1, 2});
  metrics.mutable_period()->set_seconds(5);
  EXPECT_THAT(MetricsTitle(metrics),
              ::testing::StartsWith("asg/blue: 2 values, one each 5s, the "));
  EXPECT_EQ(SilentText(metrics), "");
  metrics.add_silent("hosts/h2");
  metrics.add_silent("proxies/p1");
  EXPECT_EQ(SilentText(metrics), "silent: hosts/h2, proxies/p1; what they measure is missing");
}

TEST(MetricsText, AWatchThatBeganEarlyGrowsToWhatIsWanted) {
  v1::GroupMetrics known;
  AddSeries(known, "cpu", "%", {1});
  for (const double value : {2, 3, 4}) {
    v1::GroupMetrics newer;
    AddSeries(newer, "cpu", "%", {value});
    AppendMetrics(newer, 3, known);
  }
  EXPECT_THAT(known.series(0).values(), ElementsAre(2, 3, 4));
  v1::GroupMetrics many;
  AddSeries(many, "cpu", "%", {5, 6, 7, 8});
  AppendMetrics(many, 3, known);
  EXPECT_THAT(known.series(0).values(), ElementsAre(6, 7, 8));
}

TEST(MetricsText, NewValuesTakeThePlaceOfTheOldest) {
  v1::GroupMetrics known;
  AddSeries(known, "cpu", "%", {1, 2, 3});
  AddSeries(known, "gone", "", {1, 2, 3});
  v1::GroupMetrics newer;
  newer.mutable_end_time()->set_seconds(7);
  AddSeries(newer, "cpu", "%", {4});
  AddSeries(newer, "custom/new", "", {9});
  EXPECT_EQ(NewestLine(newer), "cpu 4%  custom/new 9");
  AppendMetrics(newer, 3, known);
  ASSERT_EQ(known.series_size(), 2);
  EXPECT_THAT(known.series(0).values(), ElementsAre(2, 3, 4));
  EXPECT_THAT(known.series(1).values(), ElementsAre(::testing::IsNan(), ::testing::IsNan(), 9));
  EXPECT_EQ(known.end_time().seconds(), 7);
  v1::GroupMetrics nothing;
  AppendMetrics(newer, 3, nothing);
  EXPECT_THAT(nothing.series(0).values(), ElementsAre(4));
}

TEST(MetricsText, ALineOfNewValuesLeavesOutWhatIsMissing) {
  v1::GroupMetrics metrics;
  AddSeries(metrics, "cpu", "%", {kMissing});
  EXPECT_EQ(NewestLine(metrics), "nothing is measured");
  AddSeries(metrics, "requests", "/s", {1, 340});
  metrics.add_silent("hosts/h2");
  EXPECT_EQ(NewestLine(metrics), "requests 340/s  silent: hosts/h2; what they measure is missing");
}

TEST(LivePicture, WhatDoesNotFitIsLeftOut) {
  EXPECT_THAT(FittingLines({"abc", "d\u2588f"}, {}), ElementsAre("abc", "d\u2588f"));
  EXPECT_THAT(FittingLines({"abc", "d\u2588f"}, {.columns = 2, .rows = 10}),
              ElementsAre("ab", "d\u2588"));
  EXPECT_THAT(FittingLines({"1", "2", "3", "4", "5"}, {.columns = 80, .rows = 5}),
              ElementsAre("1", "2", "3", "... 2 more"));
}

TEST(Utf8, IsWhatTheFirstLocaleOfTheThreeSays) {
  const auto is_utf8 = [](std::map<std::string, std::string> variables) {
    return IsTextUtf8([&](const char* name) { return variables[name]; });
  };
  EXPECT_TRUE(is_utf8({{"LANG", "en_GB.UTF-8"}}));
  EXPECT_TRUE(is_utf8({{"LC_CTYPE", "C.utf8"}, {"LANG", "C"}}));
  EXPECT_FALSE(is_utf8({{"LC_ALL", "C"}, {"LANG", "en_GB.UTF-8"}}));
  EXPECT_FALSE(is_utf8({}));
}

}  // namespace
}  // namespace remuda::cli
