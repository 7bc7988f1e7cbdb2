// Which evaluations a deployment's row gets, and keeps.
#include "controller/core/deployment/analyses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <variant>

#include "controller/core/model/launch_ref.h"

namespace remuda::core {
namespace {

class AnalysesTest : public ::testing::Test {
 protected:
  AnalysesTest() {
    v1::AutoScalingGroup group;
    group.add_target_groups("tg");
    Put("web", group);
    row_.set_name("deployments/web-1");
    row_.set_auto_scaling_group("web");
    *row_.mutable_from() = Numbered("shop", 1);
    *row_.mutable_to() = Numbered("shop", 2);
    row_.set_state(v1::DEPLOYMENT_STATE_IN_PROGRESS);
    row_.add_steps()->set_traffic(50);
    AddChecks(1, absl::Seconds(60), *row_.add_steps()->mutable_analysis());
    *row_.mutable_steps(1)->mutable_analysis()->mutable_duration() = ToProto(absl::Hours(1));
    row_.set_current_step(2);
    row_.set_traffic_percent(50);
    *row_.mutable_shift_confirmed_time() = *row_.mutable_step_time() = ToProto(now_);
    Serve(1000, 0);
  }

  static void AddChecks(int count, Duration interval, v1::Analysis& analysis) {
    *analysis.mutable_interval() = ToProto(interval);
    for (int i = 0; i < count; ++i) {
      v1::AnalysisCheck& check = *analysis.add_checks();
      check.set_name("errors-" + std::to_string(i));
      check.mutable_error_rate()->set_max_percent(1);
      check.mutable_error_rate()->set_min_requests(1);
    }
  }
  template <class T>
  void Put(const std::string& key, const T& row) {
    Draft draft(state_);
    draft.Put(key, row);
    state_.Apply(draft.Take(), state_.commit() + 1);
  }
  // What the new version got since its share was confirmed.
  void Serve(int64_t requests, int64_t errors) {
    v1::SideCounts& counts = seen_.traffic.totals[{"tg", "web/shop:2"}];
    counts.set_requests(requests);
    counts.set_errors(errors);
  }
  void Advance(Duration time) {
    now_ += time;
    Put("web-1", row_);
    Draft draft(state_);
    Pass pass(draft, seen_, now_);
    EvaluateDue(pass, "web-1");
    row_ = *draft.Find<v1::Deployment>("web-1");
  }
  std::set<int64_t> TimesOfStep() const {
    std::set<int64_t> times;
    for (const v1::AnalysisEvaluation& evaluation : row_.evaluations()) {
      if (!evaluation.background()) times.insert(evaluation.time().seconds());
    }
    return times;
  }

  Time now_ = absl::FromUnixSeconds(1'000'000);
  State state_;
  Observations seen_;
  v1::Deployment row_;
};

TEST_F(AnalysesTest, OneThatIsLookedAtOftenPushesNoNewestOneOut) {
  AddChecks(10, absl::Seconds(1), *row_.mutable_analysis());
  std::set<int64_t> times;
  for (int i = 1; i <= 300; ++i) {
    Advance(absl::Seconds(1));
    times.merge(TimesOfStep());
    ASSERT_LE(row_.evaluations_size(), kEvaluationsKept);
    ASSERT_EQ(TimesOfStep().empty(), i < 60) << i;
  }
  EXPECT_EQ(times.size(), 5u) << "one a minute";
}

TEST_F(AnalysesTest, FailsWhenMoreInARowHaveThanMay) {
  row_.mutable_steps(1)->mutable_analysis()->set_failure_limit(1);
  const auto has_failed = [&] {
    return std::holds_alternative<StepFail>(AnalysisAnswer(row_, now_));
  };
  Serve(1000, 500);
  Advance(absl::Seconds(60));
  EXPECT_EQ(row_.failed_evaluations(), 1);
  EXPECT_FALSE(has_failed());
  // One that passes begins anew.
  Serve(1000, 0);
  Advance(absl::Seconds(60));
  EXPECT_EQ(row_.failed_evaluations(), 0);
  Serve(1000, 500);
  Advance(absl::Seconds(60));
  Advance(absl::Seconds(59));
  EXPECT_FALSE(has_failed());
  Advance(absl::Seconds(1));
  EXPECT_TRUE(has_failed());
}

TEST_F(AnalysesTest, ALookBeforeItIsDueEvaluatesNothing) {
  Advance(absl::Seconds(59));
  EXPECT_TRUE(row_.evaluations().empty());
  Advance(absl::Seconds(1));
  EXPECT_EQ(row_.evaluations_size(), 1);
  Advance(absl::ZeroDuration());
  EXPECT_EQ(row_.evaluations_size(), 1);
  row_.set_paused(true);
  Advance(absl::Seconds(600));
  EXPECT_EQ(row_.evaluations_size(), 1);
}

}  // namespace
}  // namespace remuda::core
