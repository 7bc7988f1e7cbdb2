// When groups are measured, when queries of policies are asked, and what becomes of the answers.
#include "controller/metering/meter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "controller/core/model/launch_ref.h"
#include "tests/unit/controller/engine/engine_seams.h"

namespace remuda {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// Keeps what it is asked until the test answers.
class HeldAsker final : public Asker {
 public:
  void Ask(const core::Probe& probe, std::string body, Done done) override {
    EXPECT_EQ(body, "");
    asked.push_back(probe.url.authority() + probe.url.target);
    waiting.push_back(std::move(done));
  }
  void Answer(core::ProbeOutcome outcome) {
    const Done done = std::move(waiting.front());
    waiting.erase(waiting.begin());
    done(std::move(outcome));
  }
  std::vector<std::string> asked;
  std::vector<Done> waiting;
};

core::ProbeOutcome Number(const std::string& number) {
  return {.status = 200,
          .body = R"({"status":"success","data":{"resultType":"scalar","result":[1,")" + number +
                  "\"]}}"};
}

class MeterTest : public ::testing::Test {
 protected:
  void Put(const v1::AutoScalingGroup& row) {
    Change([=](core::Draft& draft) { draft.Put("web", row); });
  }
  void Change(const std::function<void(core::Draft&)>& edit) {
    engine_.Add({.decide = [=](core::Draft& draft, const core::Context&) -> absl::Status {
                   edit(draft);
                   return absl::OkStatus();
                 },
                 .done = [](const absl::Status&, const core::State&) {}});
    while (engine_.queued() > 0 || committer_.has_work()) {
      engine_.Turn();
      if (committer_.has_work()) committer_.Finish(++commit_);
    }
    engine_.TakeTouched();
  }
  static v1::AutoScalingGroup Group(const std::string& query) {
    v1::AutoScalingGroup row;
    row.set_name("autoScalingGroups/web");
    row.set_max(10);
    v1::ScalingPolicy& policy = *row.add_policies();
    policy.set_name("queue");
    auto& tracking = *policy.mutable_target_tracking();
    tracking.set_target(10);
    tracking.set_is_total(true);
    tracking.mutable_prometheus()->set_url("http://prometheus:9090/");
    tracking.mutable_prometheus()->set_query(query);
    return row;
  }
  void Period() {
    clock_.now += absl::Seconds(5);
    meter_.Turn();
  }
  const std::deque<core::MetricPoint>& Points() {
    return engine_.observe().metrics.histories["web"].points;
  }

  HandClock clock_;
  HeldCommitter committer_;
  Metrics metrics_;
  int64_t commit_ = 0;
  Engine engine_{
      {.state = {}, .patience = {}, .on_leadership_lost = nullptr}, clock_, committer_, metrics_};
  HeldAsker asker_;
  GroupPage page_;
  Meter meter_{engine_, &asker_, page_};
};

// Others' failure: an evaluator that silently stops.
TEST_F(MeterTest, AClockThatWasSetBackStopsNothing) {
  Put(Group("up"));
  Period();
  ASSERT_EQ(Points().size(), 1u);
  clock_.now -= absl::Hours(2);
  Period();
  Period();
  EXPECT_GE(Points().size(), 1u);
  // What is of a time to come is forgotten.
  EXPECT_LE(Points().front().time, clock_.now);
}

TEST_F(MeterTest, FoldsOnceAPeriodAndMakesUpForNone) {
  Put(v1::AutoScalingGroup());
  const absl::Time start = clock_.now;
  EXPECT_EQ(meter_.Turn(), start + absl::Seconds(5));
  EXPECT_TRUE(Points().empty());
  clock_.now += absl::Seconds(5.1);
  EXPECT_EQ(meter_.Turn(), start + absl::Seconds(10));
  EXPECT_EQ(meter_.Turn(), start + absl::Seconds(10));
  EXPECT_EQ(Points().size(), 1u);
  EXPECT_TRUE(engine_.TakeTouched().metrics);
  clock_.now = start + absl::Seconds(100);
  EXPECT_EQ(meter_.Turn(), start + absl::Seconds(102.5));
  EXPECT_EQ(Points().size(), 2u);
}

TEST_F(MeterTest, ManyGroupsAreFoldedOverSeveralTurns) {
  Change([](core::Draft& draft) {
    for (const char* id : {"a", "b", "web"}) draft.Put(id, v1::AutoScalingGroup());
  });
  Meter meter(engine_, nullptr, page_, /*instances=*/16);  // two groups a turn
  clock_.now += absl::Seconds(5);
  EXPECT_EQ(meter.Turn(), absl::InfinitePast());
  EXPECT_FALSE(engine_.touched().metrics);
  EXPECT_EQ(engine_.seen().metrics.histories.size(), 2u);
  const absl::Time due = clock_.now + absl::Seconds(5);
  EXPECT_EQ(meter.Turn(), due);
  EXPECT_TRUE(engine_.TakeTouched().metrics);
  EXPECT_EQ(meter.Turn(), due);
  for (const auto& [id, history] : engine_.seen().metrics.histories) {
    EXPECT_EQ(history.points.size(), 1u) << id;
  }
}

TEST_F(MeterTest, QueriesAreAskedOnceAPeriodAndOneAtATime) {
  Put(Group("queue{app=\"{{group}}\"}"));
  Period();
  EXPECT_THAT(asker_.asked,
              ElementsAre("prometheus:9090/api/v1/query?query=queue%7Bapp%3D%22web%22%7D"));
  Period();
  EXPECT_EQ(asker_.asked.size(), 1u) << "the answer has not come";
  EXPECT_THAT(Points().back().query_errors.at("queue"), HasSubstr("no answer"));
  asker_.Answer(Number("42"));
  Period();
  EXPECT_EQ(asker_.asked.size(), 2u);
  EXPECT_EQ(Points().back().queried.at("queue"), 42);
  EXPECT_TRUE(Points().back().query_errors.empty());
}

TEST_F(MeterTest, ABadAnswerIsSaidAndTheLastOneHoldsForThreePeriods) {
  Put(Group("queue"));
  Period();
  asker_.Answer(Number("42"));
  Period();
  asker_.Answer({.status = 400, .body = R"({"status":"error","error":"parse error"})"});
  Period();
  EXPECT_EQ(Points().back().queried.at("queue"), 42);
  EXPECT_THAT(Points().back().query_errors.at("queue"), HasSubstr("parse error"));
  asker_.Answer(Number("+Inf"));
  Period();
  EXPECT_THAT(Points().back().query_errors.at("queue"), HasSubstr("not finite"));
  asker_.Answer({.trouble = "connection refused"});
  Period();
  EXPECT_FALSE(Points().back().queried.contains("queue"));
  EXPECT_THAT(Points().back().query_errors.at("queue"), HasSubstr("connection refused"));
}

TEST_F(MeterTest, AnotherQueryForgetsWhatTheOneBeforeSaid) {
  Put(Group("queue"));
  Period();
  asker_.Answer(Number("42"));
  Put(Group("other"));
  Period();
  EXPECT_TRUE(engine_.seen().metrics.queried.at({"web", "queue"}).value == std::nullopt);
  Put(Group("third"));
  Period();  // while the answer to the second is awaited
  asker_.Answer(Number("7"));
  EXPECT_TRUE(engine_.seen().metrics.queried.at({"web", "queue"}).value == std::nullopt);
  Period();
  EXPECT_THAT(asker_.asked.back(), HasSubstr("third"));
  asker_.Answer(Number("8"));
  EXPECT_EQ(engine_.seen().metrics.queried.at({"web", "queue"}).value, 8);
  v1::AutoScalingGroup row = Group("third");
  row.clear_policies();
  Put(row);
  Period();
  EXPECT_TRUE(engine_.seen().metrics.queried.empty());
}

TEST_F(MeterTest, AnAnswerForAPolicyThatIsGoneIsThrownAway) {
  Put(Group("queue"));
  Period();
  Change([](core::Draft& draft) { draft.Delete<v1::AutoScalingGroup>("web"); });
  Period();
  asker_.Answer(Number("42"));
  EXPECT_TRUE(engine_.seen().metrics.queried.empty());
}

TEST_F(MeterTest, ADecisionTouchesItsGroup) {
  v1::AutoScalingGroup row = Group("queue");
  row.set_min(1);
  row.set_desired(1);
  row.mutable_capacity()->set_desired(1);
  Put(row);
  Period();
  asker_.Answer(Number("45"));
  Period();
  EXPECT_THAT(engine_.touched().groups, ElementsAre("web"));
}

TEST_F(MeterTest, ThePageShowsTheNewestValues) {
  EXPECT_THAT(page_.Print(), Not(HasSubstr("web")));
  v1::AutoScalingGroup row;
  row.set_max(10);
  row.mutable_capacity()->set_desired(3);
  Put(row);
  Period();
  EXPECT_THAT(page_.Print(), HasSubstr("remuda_group_desired{auto_scaling_group=\"web\"} 3\n"));
  EXPECT_THAT(page_.Print(), Not(HasSubstr("remuda_group_cpu_percent{"))) << "it is missing";
  core::MetricPoint point;
  point.latency_p99_ms = 250;
  engine_.observe().metrics.histories["web"].points.push_back(point);
  page_.Publish(engine_.seen().metrics);
  EXPECT_THAT(
      page_.Print(),
      HasSubstr(
          "remuda_group_latency_seconds{auto_scaling_group=\"web\",quantile=\"0.99\"} 0.25\n"));
}

}  // namespace
}  // namespace remuda
