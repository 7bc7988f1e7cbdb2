// When questions are asked, and what becomes of their answers.
#include "controller/probes/prober.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "controller/limits.h"
#include "tests/unit/controller/engine/engine_seams.h"

namespace remuda {
namespace {

// Keeps what it is asked until the test answers.
class HeldAsker final : public Asker {
 public:
  void Ask(const core::Probe& probe, std::string body, Done done) override {
    asked.push_back(probe.check.name());
    bodies.push_back(std::move(body));
    waiting.push_back(std::move(done));
  }
  void Answer(core::ProbeOutcome outcome) {
    const Done done = std::move(waiting.front());
    waiting.erase(waiting.begin());
    done(std::move(outcome));
  }
  std::vector<std::string> asked;
  std::vector<std::string> bodies;
  std::vector<Done> waiting;
};

void AddWebhook(const std::string& name, v1::Analysis& analysis) {
  v1::AnalysisCheck& check = *analysis.add_checks();
  check.set_name(name);
  check.mutable_webhook()->set_url("http://check/");
  *analysis.mutable_interval() = core::ToProto(absl::Seconds(10));
}

v1::Deployment Row() {
  v1::Deployment row;
  row.set_name("deployments/web-1");
  row.set_auto_scaling_group("web");
  row.set_state(v1::DEPLOYMENT_STATE_IN_PROGRESS);
  row.set_traffic_percent(5);
  AddWebhook("own", *row.mutable_analysis());
  return row;
}

class ProberTest : public ::testing::Test {
 protected:
  ProberTest() {
    engine_.set_on_commit([this](const core::Changes& changes) { prober_.OnCommit(changes); });
    engine_.Turn();
    engine_.TakeTouched();
  }

  void Put(const std::string& id, const v1::Deployment& row) {
    engine_.Add({.decide = [=](core::Draft& draft, const core::Context&) -> absl::Status {
                   draft.Put(id, row);
                   return absl::OkStatus();
                 },
                 .done = [](const absl::Status&, const core::State&) {}});
    while (engine_.queued() > 0 || committer_.has_work()) {
      engine_.Turn();
      if (committer_.has_work()) committer_.Finish(++commit_);
    }
    engine_.TakeTouched();
  }
  const core::ProbeAnswer* Answer(const std::string& check = "own", int step = 0) {
    const auto it = engine_.seen().answers.find({"web-1", step, check});
    return it == engine_.seen().answers.end() ? nullptr : &it->second;
  }

  HandClock clock_;
  HeldCommitter committer_;
  Metrics metrics_;
  int64_t commit_ = 0;
  Engine engine_{
      {.state = {}, .patience = {}, .on_leadership_lost = nullptr}, clock_, committer_, metrics_};
  HeldAsker asker_;
  Prober prober_{engine_, &asker_};
};

TEST_F(ProberTest, AsksOnceAnIntervalAndOneAtATime) {
  EXPECT_EQ(prober_.Turn(), absl::InfiniteFuture());
  Put("web-1", Row());
  prober_.Turn();
  EXPECT_THAT(asker_.asked, ::testing::ElementsAre("own"));
  EXPECT_THAT(asker_.bodies[0], ::testing::HasSubstr(R"("deployment":"deployments/web-1")"));
  clock_.now += absl::Seconds(25);
  prober_.Turn();
  EXPECT_EQ(asker_.asked.size(), 1u);
  asker_.Answer({.status = 500});
  ASSERT_NE(Answer(), nullptr);
  EXPECT_EQ(Answer()->verdict, v1::AnalysisEvaluation::VERDICT_FAILED);
  EXPECT_EQ(Answer()->finished, clock_.now);
  EXPECT_EQ(Answer()->asked, clock_.now - absl::Seconds(25));
  EXPECT_THAT(engine_.touched().groups, ::testing::ElementsAre("web"));
  // It is late: asked anew at once, and from there an interval later.
  EXPECT_EQ(prober_.Turn(), absl::InfiniteFuture());
  EXPECT_EQ(asker_.asked.size(), 2u);
  asker_.Answer({.status = 200});
  EXPECT_EQ(prober_.Turn(), clock_.now + absl::Seconds(10));
  EXPECT_EQ(asker_.asked.size(), 2u);
  EXPECT_EQ(Answer()->verdict, v1::AnalysisEvaluation::VERDICT_PASSED);
}

TEST_F(ProberTest, WhatIsWantedNoMoreIsForgotten) {
  Put("web-1", Row());
  prober_.Turn();
  asker_.Answer({.status = 200});
  ASSERT_NE(Answer(), nullptr);
  v1::Deployment row = Row();
  row.set_state(v1::DEPLOYMENT_STATE_ROLLED_BACK);
  Put("web-1", row);
  EXPECT_EQ(prober_.Turn(), absl::InfiniteFuture());
  EXPECT_EQ(Answer(), nullptr);
}

TEST_F(ProberTest, AnAnswerThatComesTooLateIsDropped) {
  Put("web-1", Row());
  prober_.Turn();
  v1::Deployment row = Row();
  row.set_traffic_percent(0);
  Put("web-1", row);
  prober_.Turn();
  // Wanted anew while the one before is under way: still one at a time.
  Put("web-1", Row());
  prober_.Turn();
  EXPECT_EQ(asker_.asked.size(), 1u);
  row.set_traffic_percent(0);
  Put("web-1", row);
  prober_.Turn();
  asker_.Answer({.status = 200});
  EXPECT_EQ(Answer(), nullptr);
  EXPECT_EQ(prober_.Turn(), absl::InfiniteFuture());
}

TEST_F(ProberTest, AStepHasAnswersOfItsOwn) {
  v1::Deployment row = Row();
  row.add_steps()->set_traffic(5);
  AddWebhook("own", *row.add_steps()->mutable_analysis());
  row.set_current_step(2);
  Put("web-1", row);
  prober_.Turn();
  asker_.Answer({.status = 200});
  asker_.Answer({.status = 500});
  EXPECT_EQ(Answer("own", 0)->verdict, v1::AnalysisEvaluation::VERDICT_PASSED);
  EXPECT_EQ(Answer("own", 2)->verdict, v1::AnalysisEvaluation::VERDICT_FAILED);
  row.set_paused(true);
  Put("web-1", row);
  prober_.Turn();
  EXPECT_NE(Answer("own", 0), nullptr);
  EXPECT_EQ(Answer("own", 2), nullptr);
}

TEST_F(ProberTest, SoManyAtOnceAndEachHasItsTurn) {
  v1::Deployment row = Row();
  row.mutable_analysis()->clear_checks();
  for (int i = 0; i < 10; ++i) AddWebhook(std::to_string(i), *row.mutable_analysis());
  for (int i = 0; i < 10; ++i) {
    row.set_auto_scaling_group("g" + std::to_string(i));
    Put("g" + std::to_string(i) + "-1", row);
  }
  prober_.Turn();
  EXPECT_EQ(asker_.waiting.size(), limits::kMaxProbes);
  size_t most = 0;
  while (engine_.seen().answers.size() < 100 && !asker_.waiting.empty()) {
    most = std::max(most, asker_.waiting.size());
    asker_.Answer({.status = 200});
    prober_.Turn();
  }
  EXPECT_EQ(engine_.seen().answers.size(), 100u);
  EXPECT_EQ(most, limits::kMaxProbes);
}

TEST_F(ProberTest, AfterARestartAllIsAskedAgain) {
  Put("web-1", Row());
  Engine next({.state = engine_.state(), .patience = {}, .on_leadership_lost = nullptr}, clock_,
              committer_, metrics_);
  Prober prober(next, &asker_);
  prober.Turn();
  EXPECT_THAT(asker_.asked, ::testing::ElementsAre("own"));
}

}  // namespace
}  // namespace remuda
