// Decisions on the request path: which target, whether again.
#include <gtest/gtest.h>

#include "proxy/core/health.h"
#include "proxy/core/retry_policy.h"
#include "tests/unit/proxy/core/picking.h"

namespace remuda::proxy {
namespace {

using PickerTest = testing::PickingTest;
using testing::Config;
using testing::Counts;

TEST_F(PickerTest, GoesRound) {
  Load(testing::Config({"a:1", "b:1", "c:1"}));
  SetHealthy({"a", "b", "c"});
  EXPECT_EQ(Pick(300), (Counts{{"a", 100}, {"b", 100}, {"c", 100}}));
  std::string last;
  for (int i = 0; i < 9; ++i) {  // never twice in a row
    const std::string now = Take()->id();
    EXPECT_NE(now, last);
    last = now;
  }
}

TEST_F(PickerTest, WeightsOfTargetsAreExact) {
  Load(testing::Config({"a:3", "b:1", "c:0"}));
  SetHealthy({"a", "b", "c"});
  EXPECT_EQ(Pick(400), (Counts{{"a", 300}, {"b", 100}}));
}

TEST_F(PickerTest, SubsetsShareByWeightSmoothly) {
  v1::ProxyConfig config = testing::Config({"a:1", "b:1", "c:1"});
  config.mutable_targets(0)->set_subset("v1");
  config.mutable_targets(1)->set_subset("v1");
  config.mutable_targets(2)->set_subset("v2");
  testing::AddSplit(config, {{"v1", 9}, {"v2", 1}});
  Load(config);
  SetHealthy({"a", "b", "c"});
  // Exact over every window of ten, not only on average.
  for (int window = 0; window < 5; ++window) EXPECT_EQ(Pick(10)["c"], 1);
  // A subset without a healthy target gives its share to the others.
  Find("c")->SetHealth(Health::kUnhealthy);
  state_->Changed();
  EXPECT_EQ(Pick(10), (Counts{{"a", 5}, {"b", 5}}));
}

TEST_F(PickerTest, SubsetOfWeightZeroIsNeverServedNotEvenFailingOpen) {
  v1::ProxyConfig config = testing::Config({"blue:1", "green:1", "unnamed:1"});
  config.mutable_targets(0)->set_subset("v1");
  config.mutable_targets(1)->set_subset("v2");
  config.mutable_targets(2)->set_subset("v3");
  testing::AddSplit(config, {{"v1", 1}, {"v2", 0}});
  Load(config);
  SetHealthy({"blue", "green", "unnamed"});
  EXPECT_EQ(Pick(10), (Counts{{"blue", 10}}));
  Find("blue")->SetHealth(Health::kUnhealthy);
  state_->Changed();
  EXPECT_EQ(Pick(10), (Counts{{"blue", 10}}));
}

TEST_F(PickerTest, FailsOpenInSteps) {
  v1::ProxyConfig config = testing::Config({"ill:1", "gone:1", "draining:1"});
  config.mutable_targets(1)->set_state(v1::Target::STATE_GONE);
  config.mutable_targets(2)->set_state(v1::Target::STATE_DRAINING);
  Load(config);
  SetHealthy({"gone", "draining"});
  EXPECT_EQ(Pick(10), (Counts{{"ill", 10}}));  // all active ones, whatever their health
  config.mutable_targets(0)->set_state(v1::Target::STATE_GONE);
  Load(config);
  EXPECT_EQ(Pick(1), (Counts{{"none", 1}}));  // the ACK said that nobody gets any
  config.mutable_targets(0)->set_state(v1::Target::STATE_DRAINING);
  config.mutable_targets(1)->set_state(v1::Target::STATE_DRAINING);
  Load(config);
  EXPECT_EQ(Pick(1), (Counts{{"none", 1}}));  // never a draining one
}

TEST_F(PickerTest, FailsOpenToThoseThatHavePassedACheckBeforeThoseThatMayNotListenYet) {
  Load(testing::Config({"ill:1", "new:1"}));
  EXPECT_EQ(Pick(10), (Counts{{"ill", 5}, {"new", 5}}));  // nobody has
  SetHealthy({"ill"});
  Find("ill")->SetHealth(Health::kUnhealthy);
  state_->Changed();
  EXPECT_EQ(Pick(10), (Counts{{"ill", 10}}));
}

TEST_F(PickerTest, RefusingTargetIsOutUntilItPassesButNeverTheLast) {
  Load(testing::Config({"a:1", "b:1"}));
  SetHealthy({"a", "b"});
  Find("a")->SetPassivelyOut(true);
  state_->Changed();
  EXPECT_EQ(Pick(10), (Counts{{"b", 10}}));
  Find("b")->SetPassivelyOut(true);
  state_->Changed();
  EXPECT_EQ(Pick(10), (Counts{{"a", 5}, {"b", 5}}));
  Find("a")->SetPassivelyOut(false);
  state_->Changed();
  EXPECT_EQ(Pick(10), (Counts{{"a", 10}}));
}

// All old targets leave and new ones come in one update: a worker that has not adopted it yet has
// the old ones until then.
TEST_F(PickerTest, OldTargetsServeUntilTheNewTableIsAdopted) {
  Load(Config({"a:1", "b:1"}));
  SetHealthy({"a", "b"});
  ASSERT_EQ(Pick(2).size(), 2U);
  v1::ProxyConfig config = Config({"c:1", "d:1"});
  const auto next = testing::Compile(config, table_);
  Publish(*next);
  state_->Changed();  // as a health check of any of them does
  EXPECT_EQ(Pick(4), (Counts{{"a", 2}, {"b", 2}}));
  for (const auto& group : next->changed_groups) AdoptGroup(0, *group);
  const Counts picked = Pick(4);
  EXPECT_EQ(picked, (Counts{{"c", 2}, {"d", 2}}));
}

TEST_F(PickerTest, AnotherAttemptGoesElsewhere) {
  Load(testing::Config({"a:1", "b:1"}));
  SetHealthy({"a", "b"});
  TargetState* tried[] = {Find("a")};
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Take(tried, true), Find("b"));
  TargetState* both[] = {Find("a"), Find("b")};
  EXPECT_EQ(Take(both), nullptr);
  EXPECT_NE(Take(both, true), nullptr);
}

// Who may take none of the tried ones does not wait for a place at one of them.
TEST_F(PickerTest, WhenAllAreTriedThereIsNothingToWaitFor) {
  v1::ProxyConfig config = testing::Config({"a:1", "b:1"});
  config.mutable_target_groups(0)->mutable_concurrency_limit()->set_max_requests(1);
  Load(config);
  SetHealthy({"a", "b"});
  const auto take = [&](std::span<TargetState* const> tried) {
    PickRequest request;
    request.now = now_;
    request.tried = tried;
    return PickTarget(*state_, request);
  };
  TargetState* one[] = {Find("a")};
  TargetState* both[] = {Find("a"), Find("b")};
  ASSERT_EQ(take(one).target, Find("b"));
  EXPECT_TRUE(take(one).is_full);
  EXPECT_FALSE(take(both).is_full);
  PickRequest request;
  request.now = now_;
  EXPECT_TRUE(HasUntried(*state_, request));
  request.tried = one;
  EXPECT_TRUE(HasUntried(*state_, request));
  request.tried = both;
  EXPECT_FALSE(HasUntried(*state_, request));
}

TEST(Retry, OnlyWhenItIsSafe) {
  struct Case {
    FailedAttempt attempt;
    bool may;
  };
  const Case cases[] = {
      {{.any_sent = false, .is_idempotent = false, .body_is_held = true}, true},
      {{.any_sent = true, .is_idempotent = false, .body_is_held = true}, false},
      {{.any_sent = true, .is_idempotent = true, .body_is_held = true}, true},
      {{.any_sent = true, .is_idempotent = true, .body_is_held = false}, false},
      {{.any_sent = true, .is_idempotent = true, .body_is_held = true, .response_started = true},
       false},
      {{.any_sent = false, .is_idempotent = true, .body_is_held = true, .attempts = 3}, false},
  };
  for (const Case& c : cases) EXPECT_EQ(MayRetry(c.attempt), c.may);
}

TEST(RetryBudget, IsAShareOfTheRequestsAboveABurst) {
  RetryBudget budget;
  for (int64_t i = 0; i < RetryBudget::kBurst; ++i) EXPECT_TRUE(budget.Take());
  EXPECT_FALSE(budget.Take());
  for (int i = 0; i < 10; ++i) budget.OnRequest();
  EXPECT_TRUE(budget.Take());
  EXPECT_TRUE(budget.Take());
  EXPECT_FALSE(budget.Take());
}

TEST(Health, RisesAndFallsByThresholds) {
  const HealthCheckSpec spec{.healthy_threshold = 3, .unhealthy_threshold = 2};
  const std::chrono::system_clock::time_point now{};
  HealthTracker tracker(now);
  const CheckResult pass{};
  const CheckResult wrong{CheckResult::Kind::kWrongCode, 503, "got 503, want 200"};
  const CheckResult late{CheckResult::Kind::kTimeout, 0, "no answer in time"};
  EXPECT_EQ(tracker.reason(), "Elb.RegistrationInProgress");
  EXPECT_TRUE(tracker.OnCheck(wrong, spec, now));
  EXPECT_EQ(tracker.health(), Health::kInitial);
  EXPECT_EQ(tracker.reason(), "Elb.InitialHealthChecking");
  EXPECT_TRUE(tracker.OnCheck(pass, spec, now));  // a new target needs one pass
  EXPECT_EQ(tracker.health(), Health::kHealthy);
  EXPECT_EQ(tracker.reason(), "");
  EXPECT_FALSE(tracker.OnCheck(wrong, spec, now));
  EXPECT_FALSE(tracker.OnCheck(pass, spec, now));  // in a row
  EXPECT_FALSE(tracker.OnCheck(wrong, spec, now));
  EXPECT_TRUE(tracker.OnCheck(wrong, spec, now + std::chrono::seconds(9)));
  EXPECT_EQ(tracker.health(), Health::kUnhealthy);
  EXPECT_EQ(tracker.reason(), "Target.ResponseCodeMismatch");
  EXPECT_EQ(tracker.description(), "got 503, want 200");
  EXPECT_EQ(tracker.since(), now + std::chrono::seconds(9));
  EXPECT_TRUE(tracker.OnCheck(late, spec, now));
  EXPECT_EQ(tracker.reason(), "Target.Timeout");
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(tracker.OnCheck(pass, spec, now));
  EXPECT_TRUE(tracker.OnCheck(pass, spec, now));
  EXPECT_EQ(tracker.health(), Health::kHealthy);
}

TEST(Health, OurShortageCountsNeitherWayAndIsTold) {
  const HealthCheckSpec spec{.healthy_threshold = 2, .unhealthy_threshold = 2};
  const std::chrono::system_clock::time_point now{};
  HealthTracker tracker(now);
  const CheckResult pass{};
  const CheckResult refused{CheckResult::Kind::kConnectFailed, 0, "connect: Connection refused"};
  const CheckResult shortage{CheckResult::Kind::kOurShortage, 0,
                             "connect: Cannot assign requested address"};
  tracker.OnCheck(pass, spec, now);
  EXPECT_TRUE(tracker.OnCheck(shortage, spec, now));
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(tracker.OnCheck(shortage, spec, now));
  EXPECT_EQ(tracker.health(), Health::kHealthy);
  EXPECT_EQ(tracker.reason(), "");
  EXPECT_NE(tracker.description().find("Cannot assign requested address"), std::string::npos);
  // One failure on either side of it are two in a row.
  EXPECT_TRUE(tracker.OnCheck(refused, spec, now));  // what was told of the shortage is over
  EXPECT_EQ(tracker.description(), "");
  tracker.OnCheck(shortage, spec, now);
  EXPECT_TRUE(tracker.OnCheck(refused, spec, now));
  EXPECT_EQ(tracker.health(), Health::kUnhealthy);
  EXPECT_EQ(tracker.description(), "connect: Connection refused");
  tracker.OnCheck(pass, spec, now);
  tracker.OnCheck(shortage, spec, now);
  EXPECT_TRUE(tracker.OnCheck(pass, spec, now));
  EXPECT_EQ(tracker.health(), Health::kHealthy);
}

TEST(Health, WhatATargetFailsByIsToldWhenItChanges) {
  const HealthCheckSpec spec{.unhealthy_threshold = 1};
  const std::chrono::system_clock::time_point now{};
  HealthTracker tracker(now);
  tracker.OnCheck({}, spec, now);
  EXPECT_TRUE(tracker.OnCheck({CheckResult::Kind::kConnectFailed, 0, "refused"}, spec, now));
  EXPECT_FALSE(tracker.OnCheck({CheckResult::Kind::kConnectFailed, 0, "refused"}, spec, now));
  EXPECT_TRUE(tracker.OnCheck({CheckResult::Kind::kBadAnswer, 0, "not HTTP"}, spec, now));
  EXPECT_EQ(tracker.reason(), "Target.FailedHealthChecks");
  EXPECT_EQ(tracker.description(), "not HTTP");
}

TEST(Health, ChecksAreSpreadOverATenthOnEitherSide) {
  using std::chrono::milliseconds;
  std::mt19937_64 random(1);
  std::map<int64_t, int> seen;
  constexpr int kDraws = 21'000;
  for (int i = 0; i < kDraws; ++i) ++seen[WithJitter(milliseconds(100), random()).count()];
  EXPECT_EQ(seen.begin()->first, 90);
  EXPECT_EQ(seen.rbegin()->first, 110);
  ASSERT_EQ(seen.size(), 21U);
  for (const auto& [interval, count] : seen) {
    EXPECT_GT(count, kDraws / 21 * 8 / 10) << interval;
    EXPECT_LT(count, kDraws / 21 * 12 / 10) << interval;
  }
  // The bounds of a config's intervals, and one too short to spread.
  for (const uint64_t bits : {uint64_t{0}, ~uint64_t{0}, random()}) {
    EXPECT_GE(WithJitter(milliseconds(300'000), bits), milliseconds(270'000));
    EXPECT_LE(WithJitter(milliseconds(300'000), bits), milliseconds(330'000));
    EXPECT_EQ(WithJitter(milliseconds(9), bits), milliseconds(9));
  }
}

}  // namespace
}  // namespace remuda::proxy
