// Targets that stand out: passive ejection and anomaly mitigation, time moved by hand.
#include <gtest/gtest.h>

#include "proxy/core/anomaly.h"
#include "proxy/core/ejection.h"
#include "tests/unit/proxy/core/picking.h"

namespace remuda::proxy {
namespace {

using std::chrono::seconds;
using testing::Counts;

class EjectionTest : public testing::PickingTest {
 protected:
  void LoadTargets(int count, const std::string& more = "") {
    Load(ConfigWith(Many(count),
                    "{passiveEjection: {consecutiveFailures: 5, baseTime: 10s, "
                    "maxTime: 60s" +
                        more + "}}"));
    SetAllHealthy();
  }
  bool Eject(int target) {
    const bool is_out =
        ejections_.Eject(group(), group().Find("t" + std::to_string(target))->target, now_);
    if (is_out) state_->Changed();
    return is_out;
  }
  size_t Return() {
    const size_t count = ejections_.Return(now_).size();
    state_->Changed();
    return count;
  }
  Ejections ejections_;
};

TEST_F(EjectionTest, EndsByTimeAndDoublesWhenItComesSoon) {
  LoadTargets(5);
  for (const int expected_s : {10, 20, 40, 60, 60}) {
    ASSERT_TRUE(Eject(0));
    EXPECT_FALSE(Eject(0)) << "it is out already";
    EXPECT_EQ(Pick(8).count("t0"), 0U);
    EXPECT_EQ(ejections_.next_return(), now_ + seconds(expected_s));
    now_ += seconds(expected_s) - std::chrono::milliseconds(1);
    EXPECT_EQ(Return(), 0U);
    now_ += std::chrono::milliseconds(1);
    EXPECT_EQ(Return(), 1U);
    EXPECT_EQ(Pick(10)["t0"], 2);
  }
  now_ += seconds(60);  // it served for max_time: as if nothing had been
  ASSERT_TRUE(Eject(0));
  EXPECT_EQ(ejections_.next_return(), now_ + seconds(10));
}

TEST_F(EjectionTest, IsBoundedByTheShare) {
  LoadTargets(10);  // 20 %
  EXPECT_TRUE(Eject(0));
  EXPECT_TRUE(Eject(1));
  EXPECT_FALSE(Eject(2));
  now_ += seconds(10);
  EXPECT_EQ(Return(), 2U);
  EXPECT_TRUE(Eject(2));
  EXPECT_EQ(ejections_.next_return(), now_ + seconds(10));
}

TEST_F(EjectionTest, OneMayGoWhateverTheShareButNeverTheLastHealthyOne) {
  LoadTargets(2, ", maxPercent: 0");
  EXPECT_TRUE(Eject(0));
  EXPECT_FALSE(Eject(1));
  LoadTargets(3, ", maxPercent: 100");
  SetUnhealthy("t2");
  now_ += seconds(10);
  Return();
  EXPECT_TRUE(Eject(1));
  EXPECT_FALSE(Eject(0)) << "the last";
}

TEST_F(EjectionTest, OnlyWhereItIsOn) {
  Load(ConfigWith(Many(3), "{}"));
  SetAllHealthy();
  EXPECT_FALSE(Eject(0));
}

class AnomalyTest : public testing::PickingTest {
 protected:
  void LoadTargets(int count) {
    Load(ConfigWith(Many(count),
                    "{algorithm: BALANCING_ALGORITHM_WEIGHTED_RANDOM, anomalyMitigation: true}"));
    SetAllHealthy();
    detector_.Look(group());
  }
  // So many requests to each target in one look, of which those of `odd` fail so often.
  void Serve(int requests, const std::map<std::string, int>& failures) {
    for (const Member& member : group().members) {
      TargetSlot& slot = member.target->slot(random_() % 2);
      slot.requests.Add(static_cast<uint64_t>(requests));
      const auto it = failures.find(member.target->id());
      if (it != failures.end()) slot.server_errors.Add(static_cast<uint64_t>(it->second));
    }
    detector_.Look(group());
  }
  AnomalyDetector detector_;
};

TEST_F(AnomalyTest, TheOddOneGetsLessUntilItIsNotOddAnyMore) {
  LoadTargets(4);
  for (int i = 0; i < 5; ++i) Serve(100, {{"t1", 50}});
  EXPECT_EQ(Find("t1")->share(), AnomalyDetector::kLeastShare);
  for (const char* id : {"t0", "t2", "t3"}) EXPECT_EQ(Find(id)->share(), kFullShare) << id;
  Counts picked = Pick(9800);
  EXPECT_NEAR(picked["t1"], 200, 60);  // a 16th of a share
  for (int i = 0; i < 40; ++i) Serve(100, {});
  EXPECT_EQ(Find("t1")->share(), kFullShare);
}

struct AnomalyCase {
  const char* name;
  int targets;
  int requests;
  std::map<std::string, int> failures;  // of so many requests
  bool is_odd;                          // t1
};

class AnomalyRuleTest : public AnomalyTest, public ::testing::WithParamInterface<AnomalyCase> {};

TEST_P(AnomalyRuleTest, WhatStandsOut) {
  LoadTargets(GetParam().targets);
  for (int i = 0; i < 3; ++i) Serve(GetParam().requests, GetParam().failures);
  EXPECT_EQ(Find("t1")->share() < kFullShare, GetParam().is_odd);
}

INSTANTIATE_TEST_SUITE_P(
    Rules, AnomalyRuleTest,
    ::testing::Values(
        AnomalyCase{"One", 3, 100, {{"t1", 10}}, true},
        AnomalyCase{"TooFewTargets", 2, 100, {{"t1", 100}}, false},
        AnomalyCase{"TooFewRequests", 3, 2, {{"t1", 2}}, false},
        AnomalyCase{"TooSeldom", 3, 100, {{"t1", 4}}, false},
        AnomalyCase{"AllAlike", 3, 100, {{"t0", 50}, {"t1", 50}, {"t2", 50}}, false},
        AnomalyCase{"ThriceTheMedian", 3, 100, {{"t0", 10}, {"t1", 30}, {"t2", 10}}, true},
        AnomalyCase{"TwiceTheMedian", 3, 100, {{"t0", 10}, {"t1", 20}, {"t2", 10}}, false}),
    [](const auto& param) { return param.param.name; });

TEST_F(AnomalyTest, SharesAreGivenBack) {
  LoadTargets(3);
  for (int i = 0; i < 3; ++i) Serve(100, {{"t1", 50}});
  ASSERT_LT(Find("t1")->share(), kFullShare);
  detector_.GiveBack(group());
  EXPECT_EQ(Find("t1")->share(), kFullShare);
}

}  // namespace
}  // namespace remuda::proxy
