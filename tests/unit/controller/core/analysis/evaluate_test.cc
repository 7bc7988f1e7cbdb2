// Rules of checks, as tables.
#include "controller/core/analysis/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/latency_histogram.h"
#include "controller/core/analysis/wilson.h"
#include "controller/core/model/traffic.h"

namespace remuda::core {
namespace {

constexpr auto kPassed = v1::AnalysisEvaluation::VERDICT_PASSED;
constexpr auto kFailed = v1::AnalysisEvaluation::VERDICT_FAILED;
constexpr auto kInconclusive = v1::AnalysisEvaluation::VERDICT_INCONCLUSIVE;
const Time kNow = absl::FromUnixSeconds(1'000'000);

v1::SideCounts Counts(int64_t requests, int64_t errors) {
  v1::SideCounts counts;
  counts.set_requests(requests);
  counts.set_errors(errors);
  return counts;
}

// `answers` that took so long each.
v1::SideCounts Took(int64_t answers, std::chrono::nanoseconds latency) {
  v1::SideCounts counts = Counts(answers, 0);
  const size_t bucket = BucketOf(latency);
  for (size_t i = 0; i < bucket; ++i) counts.add_latency(0);
  counts.add_latency(answers);
  return counts;
}

v1::AnalysisEvaluation EvaluateOne(const v1::AnalysisCheck& check, const v1::SideCounts& old_side,
                                   const v1::SideCounts& new_side,
                                   const std::map<std::string, ProbeAnswer>& answers = {}) {
  v1::Analysis analysis;
  *analysis.add_checks() = check;
  return Evaluate(analysis, old_side, new_side, answers, kNow).at(0);
}

TEST(WilsonTest, Table) {
  const Interval nothing = Wilson95(0, 0);
  EXPECT_EQ(nothing.low, 0);
  EXPECT_EQ(nothing.high, 1);
  const Interval none = Wilson95(0, 100);
  EXPECT_EQ(none.low, 0);
  EXPECT_NEAR(none.high, 0.03699, 1e-5);
  const Interval all = Wilson95(100, 100);
  EXPECT_NEAR(all.low, 0.96301, 1e-5);
  EXPECT_EQ(all.high, 1);
  const Interval half = Wilson95(50, 100);
  EXPECT_NEAR(half.low, 0.40383, 1e-5);
  EXPECT_NEAR(half.high, 0.59617, 1e-5);
  const Interval one = Wilson95(1, 1);
  EXPECT_NEAR(one.low, 0.20655, 1e-5);
}

struct ErrorCase {
  const char* what;
  std::optional<double> max;
  std::optional<double> increase;
  std::pair<int64_t, int64_t> old_side;  // requests, errors
  std::pair<int64_t, int64_t> new_side;
  AnalysisVerdict verdict;
  int64_t min_requests = 100;
};

TEST(EvaluateTest, ErrorRates) {
  const std::vector<ErrorCase> cases = {
      {"no requests", 1, {}, {0, 0}, {0, 0}, kInconclusive},
      {"one below the least", 1, {}, {0, 0}, {99, 99}, kInconclusive},
      {"the least, no errors", 1, {}, {0, 0}, {100, 0}, kPassed},
      {"no errors and none allowed", 0, {}, {0, 0}, {1000, 0}, kPassed},
      {"one error and none allowed", 0, {}, {0, 0}, {1000, 1}, kFailed},
      {"all errors", 1, {}, {0, 0}, {100, 100}, kFailed},
      {"all errors and all allowed", 100, {}, {0, 0}, {100, 100}, kPassed},
      {"above the limit by chance", 1, {}, {0, 0}, {100, 2}, kPassed},
      {"above the limit surely", 1, {}, {0, 0}, {100, 3}, kFailed},
      {"exactly at the limit", 1, {}, {0, 0}, {10'000, 100}, kPassed},
      {"a tiny sample that is allowed", 1, {}, {0, 0}, {1, 1}, kFailed, 1},
      {"a tiny sample of a high limit", 21, {}, {0, 0}, {1, 1}, kPassed, 1},
      {"as bad as the old one", {}, 1, {1000, 100}, {1000, 100}, kPassed},
      {"much worse than the old one", {}, 1, {1000, 10}, {1000, 100}, kFailed},
      {"worse, within the points", {}, 10, {1000, 10}, {1000, 100}, kPassed},
      {"the old one has no requests", {}, 1, {0, 0}, {1000, 1000}, kPassed},
      {"both limits, one broken", 1, 50, {1000, 100}, {1000, 100}, kFailed},
      {"errors above requests", 1, {}, {0, 0}, {100, 200}, kFailed},
  };
  for (const ErrorCase& one : cases) {
    v1::AnalysisCheck check;
    check.set_name("errors");
    auto& rate = *check.mutable_error_rate();
    if (one.max) rate.set_max_percent(*one.max);
    if (one.increase) rate.set_max_increase_percent(*one.increase);
    rate.set_min_requests(one.min_requests);
    const auto out = EvaluateOne(check, Counts(one.old_side.first, one.old_side.second),
                                 Counts(one.new_side.first, one.new_side.second));
    EXPECT_EQ(out.verdict(), one.verdict) << one.what << ": " << out.description();
    EXPECT_EQ(out.new_requests(), one.new_side.first) << one.what;
    EXPECT_EQ(out.old_requests(), one.increase ? one.old_side.first : 0) << one.what;
  }
}

TEST(EvaluateTest, SaysNumbersRuleAndLimit) {
  v1::AnalysisCheck check;
  check.set_name("errors");
  check.mutable_error_rate()->set_max_percent(1);
  check.mutable_error_rate()->set_min_requests(100);
  const auto failed = EvaluateOne(check, {}, Counts(500, 100));
  EXPECT_EQ(failed.description(),
            "errors are 20 % of 500 requests (16.7-23.7 %), surely above 1 %");
  EXPECT_DOUBLE_EQ(failed.new_value(), 20);
  EXPECT_EQ(failed.check(), "errors");
  EXPECT_EQ(failed.time().seconds(), absl::ToUnixSeconds(kNow));
  EXPECT_EQ(EvaluateOne(check, {}, Counts(42, 0)).description(),
            "42 requests of the new version so far: 100 are needed");
  check.mutable_error_rate()->set_max_increase_percent(0.5);
  EXPECT_EQ(EvaluateOne(check, Counts(3000, 3), Counts(1200, 3)).description(),
            "errors are 0.25 % of 1200 requests (0.0851-0.732 %), not surely above 1 %, not surely "
            "more than 0.5 points above the old version's 0.1 % of 3000 requests (0.034-0.294 %)");
}

struct LatencyCase {
  const char* what;
  std::optional<Duration> max;
  std::optional<double> ratio;
  v1::SideCounts old_side;
  v1::SideCounts new_side;
  AnalysisVerdict verdict;
};

TEST(EvaluateTest, Latencies) {
  using std::chrono::milliseconds;
  const v1::SideCounts slow = Took(100, milliseconds(100));
  const Duration at_limit = *LatencyOf(slow, 0.99);
  v1::SideCounts unanswered = Counts(1000, 1000);
  const std::vector<LatencyCase> cases = {
      {"no requests", absl::Milliseconds(500), {}, {}, {}, kInconclusive},
      {"one below the least",
       absl::Milliseconds(500),
       {},
       {},
       Took(99, milliseconds(1)),
       kInconclusive},
      {"no answers", absl::Milliseconds(500), {}, {}, unanswered, kInconclusive},
      {"fast", absl::Milliseconds(500), {}, {}, Took(100, milliseconds(1)), kPassed},
      {"slow", absl::Milliseconds(500), {}, {}, Took(100, milliseconds(600)), kFailed},
      {"exactly at the limit", at_limit, {}, {}, slow, kPassed},
      {"a little above", at_limit - absl::Nanoseconds(1), {}, {}, slow, kFailed},
      {"as slow as the old one", {}, 1, slow, slow, kPassed},
      {"twice as slow", {}, 1.5, slow, Took(100, milliseconds(200)), kFailed},
      {"twice as slow, allowed", {}, 2.5, slow, Took(100, milliseconds(200)), kPassed},
      {"the old one has too few", {}, 2, Took(99, milliseconds(1)), slow, kInconclusive},
      {"both limits, one broken", absl::Milliseconds(500), 1.5, slow, Took(100, milliseconds(200)),
       kFailed},
  };
  for (const LatencyCase& one : cases) {
    v1::AnalysisCheck check;
    check.set_name("latency");
    auto& latency = *check.mutable_latency();
    latency.set_percentile(99);
    latency.set_min_requests(100);
    if (one.max) *latency.mutable_max() = ToProto(*one.max);
    if (one.ratio) latency.set_max_ratio(*one.ratio);
    const auto out = EvaluateOne(check, one.old_side, one.new_side);
    EXPECT_EQ(out.verdict(), one.verdict) << one.what << ": " << out.description();
  }
}

TEST(EvaluateTest, ARareSlowAnswerIsAboveThePercentile) {
  v1::SideCounts counts = Took(1000, std::chrono::milliseconds(10));
  const v1::SideCounts slow = Took(9, std::chrono::seconds(9));
  for (int i = counts.latency_size(); i < slow.latency_size(); ++i) counts.add_latency(0);
  counts.set_latency(slow.latency_size() - 1, 9);
  v1::AnalysisCheck check;
  auto& latency = *check.mutable_latency();
  latency.set_percentile(99);
  latency.set_min_requests(1);
  *latency.mutable_max() = ToProto(absl::Milliseconds(20));
  EXPECT_EQ(EvaluateOne(check, {}, counts).verdict(), kPassed);
  latency.set_percentile(99.5);
  const auto out = EvaluateOne(check, {}, counts);
  EXPECT_EQ(out.verdict(), kFailed);
  EXPECT_THAT(out.description(), ::testing::StartsWith("p99.5 of 1009 answers is 8."));
}

TEST(EvaluateTest, TakesAnswersFromOutside) {
  v1::AnalysisCheck check;
  check.set_name("smoke");
  check.mutable_webhook()->set_url("http://127.0.0.1/");
  const auto waiting = EvaluateOne(check, {}, {});
  EXPECT_EQ(waiting.verdict(), kInconclusive);
  EXPECT_EQ(waiting.description(), "it has not been answered yet");
  const auto out = EvaluateOne(
      check, {}, {}, {{"smoke", {.verdict = kFailed, .value = 7, .description = "no luck"}}});
  EXPECT_EQ(out.verdict(), kFailed);
  EXPECT_EQ(out.new_value(), 7);
  EXPECT_EQ(out.description(), "no luck");
}

TEST(EvaluateTest, Worst) {
  const auto worst = [](const std::vector<AnalysisVerdict>& verdicts) {
    std::vector<v1::AnalysisEvaluation> evaluations;
    for (const AnalysisVerdict verdict : verdicts) evaluations.emplace_back().set_verdict(verdict);
    return Worst(evaluations);
  };
  EXPECT_EQ(worst({}), kPassed);
  EXPECT_EQ(worst({kPassed, kPassed}), kPassed);
  EXPECT_EQ(worst({kPassed, kInconclusive}), kInconclusive);
  EXPECT_EQ(worst({kInconclusive, kFailed, kPassed}), kFailed);
}

TEST(EvaluateTest, AnAnswerCountsOnce) {
  v1::Analysis analysis;
  *analysis.mutable_interval() = ToProto(absl::Seconds(10));
  analysis.add_checks()->mutable_error_rate();
  EXPECT_EQ(EvaluationDue(analysis, {}, kNow), kNow + absl::Seconds(10));
  v1::AnalysisCheck& outside = *analysis.add_checks();
  outside.set_name("smoke");
  outside.mutable_command();
  EXPECT_EQ(EvaluationDue(analysis, {}, kNow), absl::InfiniteFuture());
  EXPECT_EQ(EvaluationDue(analysis, {{"smoke", {.finished = kNow}}}, kNow), absl::InfiniteFuture());
  EXPECT_EQ(EvaluationDue(analysis, {{"smoke", {.finished = kNow + absl::Seconds(1)}}}, kNow),
            kNow + absl::Seconds(10));
}

}  // namespace
}  // namespace remuda::core
