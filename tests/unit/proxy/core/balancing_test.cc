// How requests are spread: each algorithm by weight, slow start, when a group fails open.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "proxy/core/slow_start.h"
#include "proxy/core/smooth_turns.h"
#include "tests/unit/proxy/core/picking.h"

namespace remuda::proxy {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Counts;

constexpr char kRandom[] = "{algorithm: BALANCING_ALGORITHM_WEIGHTED_RANDOM}";
constexpr char kLeast[] = "{algorithm: BALANCING_ALGORITHM_LEAST_OUTSTANDING_REQUESTS}";

class BalancingTest : public testing::PickingTest {
 protected:
  // Picks and leaves the request in flight.
  TargetState* Begin() {
    TargetState* target = Take();
    if (target != nullptr) target->Begin(0, InLoad::kNotYet);
    return target;
  }
};

// Over each sum(weights) turns everyone gets its weight, whatever the weights and the phase.
TEST(SmoothTurns, AreExactOverEachRound) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    std::vector<uint64_t> weights(2 + random() % 9);
    for (auto& weight : weights) weight = 1 + random() % 30;
    SmoothTurns turns;
    for (size_t i = 0; i < weights.size(); ++i)
      turns.Add(static_cast<uint32_t>(i), weights[i], random());
    turns.Build();
    const auto total = std::accumulate(weights.begin(), weights.end(), uint64_t{0});
    for (int round = 0; round < 50; ++round) {
      std::vector<uint64_t> taken(weights.size());
      for (uint64_t i = 0; i < total; ++i) {
        ++taken[turns.Take([](uint32_t) { return true; }, [&](uint32_t e) { return weights[e]; })];
      }
      ASSERT_EQ(taken, weights);
    }
  }
}

TEST(SmoothTurns, ThoseThatWerePassedAreNext) {
  SmoothTurns turns;
  for (uint32_t i = 0; i < 3; ++i) turns.Add(i, 1, 0);
  turns.Build();
  const auto one = [](uint32_t) -> uint64_t { return 1; };
  EXPECT_EQ(turns.Take([](uint32_t e) { return e == 2; }, one), 2U);
  EXPECT_EQ(turns.Take([](uint32_t) { return true; }, one), 0U);
  EXPECT_EQ(turns.Take([](uint32_t) { return true; }, one), 1U);
  EXPECT_EQ(turns.Take([](uint32_t) { return false; }, one), SmoothTurns::kNone);
}

// However long some were full: what they missed is not made up for, and nothing is owed.
TEST(SmoothTurns, AreByWeightAgainAfterAnyTimeOfRefusal) {
  for (const int refused : {1, 3000, 9000, 100'000}) {
    SCOPED_TRACE(refused);
    const uint64_t weights[] = {2, 1};
    SmoothTurns turns;
    for (uint32_t i = 0; i < 2; ++i) turns.Add(i, weights[i], 0);
    turns.Build();
    const auto weigh = [&](uint32_t e) { return weights[e]; };
    for (int i = 0; i < refused; ++i)
      ASSERT_EQ(turns.Take([](uint32_t e) { return e == 1; }, weigh), 1U);
    int taken[2] = {0, 0};
    for (int i = 0; i < 6000; ++i) ++taken[turns.Take([](uint32_t) { return true; }, weigh)];
    EXPECT_NEAR(taken[0], 4000, 2);
  }
}

// More of them full than one turn looks at: the others are found by the next.
TEST(SmoothTurns, ManyThatAreFullDoNotHideTheRest) {
  SmoothTurns turns;
  for (uint32_t i = 0; i < 20; ++i) turns.Add(i, i < 10 ? 10 : 1, i);
  turns.Build();
  const auto weigh = [](uint32_t e) -> uint64_t { return e < 10 ? 10 : 1; };
  int taken = 0;
  int heavy = 0;
  for (int i = 0; i < 20'000; ++i) {
    const uint32_t at = turns.Take([](uint32_t e) { return e >= 9; }, weigh);
    taken += at != SmoothTurns::kNone;
    heavy += at == 9;
  }
  EXPECT_GT(taken, 10'000);
  EXPECT_NEAR(heavy, taken / 2, taken / 10);  // 10 of 20
}

TEST_F(BalancingTest, RandomFollowsTheWeights) {
  Load(ConfigWith({"a:1", "b:3", "c:6", "d:0"}, kRandom));
  SetAllHealthy();
  Counts picked = Pick(20000);
  EXPECT_NEAR(picked["a"], 2000, 200);
  EXPECT_NEAR(picked["b"], 6000, 300);
  EXPECT_NEAR(picked["c"], 12000, 400);
  EXPECT_EQ(picked["d"], 0);
}

TEST_F(BalancingTest, FewAreScannedForTheLeastOutstanding) {
  Load(ConfigWith({"a:1", "b:1", "c:1"}, kLeast));
  SetAllHealthy();
  for (int i = 0; i < 5; ++i) Find("a")->Begin(0, InLoad::kNotYet);
  for (int i = 0; i < 3; ++i) Find("b")->Begin(1, InLoad::kNotYet);  // of another worker
  Counts begun;
  for (int i = 0; i < 7; ++i) ++begun[Begin()->id()];
  EXPECT_EQ(begun["c"] + 0, 5) << "up to the others first";
  EXPECT_EQ(begun["a"] + begun["b"], 2);
  EXPECT_EQ(Find("a")->InFlight() + Find("b")->InFlight() + Find("c")->InFlight(), 15U);
  for (const char* id : {"a", "b", "c"}) EXPECT_EQ(Find(id)->InFlight(), 5U) << id;
}

TEST_F(BalancingTest, LeastOutstandingRespectsWeightsIdleAndLoaded) {
  Load(ConfigWith({"a:3", "b:1"}, kLeast));
  SetAllHealthy();
  EXPECT_EQ(Pick(400), (Counts{{"a", 300}, {"b", 100}}));  // idle
  for (int i = 0; i < 40; ++i) Begin();                    // nothing ends
  EXPECT_EQ(Find("a")->InFlight(), 30U);
  EXPECT_EQ(Find("b")->InFlight(), 10U);
}

// Power of two choices: with nothing ending, the fullest is only a few above the mean, where one
// random choice would be far above it.
TEST_F(BalancingTest, TwoChoicesKeepManyLevel) {
  Load(ConfigWith(Many(200), kLeast));
  SetAllHealthy();
  for (int i = 0; i < 200 * 50; ++i) Begin();
  uint64_t most = 0;
  uint64_t least = ~uint64_t{0};
  for (const Member& member : group().members) {
    most = std::max(most, member.target->InFlight());
    least = std::min(least, member.target->InFlight());
  }
  EXPECT_LE(most, 53U);
  EXPECT_GE(least, 44U);
}

TEST_F(BalancingTest, TwoChoicesRespectWeights) {
  std::vector<std::string> targets = Many(30);
  targets.push_back("heavy:30");
  Load(ConfigWith(targets, kLeast));
  SetAllHealthy();
  for (int i = 0; i < 6000; ++i) Begin();
  EXPECT_NEAR(static_cast<double>(Find("heavy")->InFlight()), 3000, 300);
}

TEST(SlowStart, GrowsLinearlyFromATenth) {
  const SteadyTime begin{seconds(100)};
  struct Case {
    milliseconds elapsed;
    uint32_t share;
  };
  for (const Case& c :
       {Case{milliseconds(-5), kFullShare / 10}, Case{milliseconds(0), 102},
        Case{milliseconds(1000), 102}, Case{milliseconds(5000), 512}, Case{milliseconds(9000), 921},
        Case{milliseconds(10000), kFullShare}, Case{milliseconds(99000), kFullShare}}) {
    EXPECT_EQ(WarmShare(begin, seconds(10), begin + c.elapsed), c.share) << c.elapsed.count();
  }
}

TEST_F(BalancingTest, OnlyATargetThatJoinsServingOnesWarmsUp) {
  Load(ConfigWith({"a:1", "b:1"}, "{slowStart: 10s}"));
  EXPECT_FALSE(WarmsUp(group(), now_)) << "none is healthy";
  SetHealthy({"a"});
  EXPECT_TRUE(WarmsUp(group(), now_));
  Find("a")->SetPassivelyOut(true);
  EXPECT_FALSE(WarmsUp(group(), now_)) << "the only one refuses connections";
  Find("a")->SetPassivelyOut(false);
  Find("a")->SetWarmBegin(now_);
  EXPECT_FALSE(WarmsUp(group(), now_ + seconds(9))) << "the only one warms up itself";
  EXPECT_TRUE(WarmsUp(group(), now_ + seconds(10)));
  Load(ConfigWith({"a:1", "b:1"}, "{}"));
  EXPECT_FALSE(WarmsUp(group(), now_)) << "not wanted";
}

struct WarmCase {
  const char* name;
  const char* algorithm;
  int others;
};

class WarmUpTest : public BalancingTest, public ::testing::WithParamInterface<WarmCase> {};

// At half of its slow start a target gets half a share, with every algorithm; then a whole one.
TEST_P(WarmUpTest, ShareGrows) {
  std::vector<std::string> targets = Many(GetParam().others);
  targets.push_back("new:1");
  Load(ConfigWith(targets, std::string("{slowStart: 10s, algorithm: BALANCING_ALGORITHM_") +
                               GetParam().algorithm + "}"));
  Find("new")->SetWarmBegin(now_);
  SetAllHealthy();
  const int others = GetParam().others;
  const auto expect_share = [&](double share) {
    const int count = 1000 * (others + 1);
    const double expected = count * share / (others + share);
    EXPECT_NEAR(Pick(count)["new"], expected, 0.12 * expected) << share;
  };
  expect_share(0.1);
  now_ += seconds(5);
  expect_share(0.5);
  now_ += seconds(5);
  expect_share(1);
}

INSTANTIATE_TEST_SUITE_P(Algorithms, WarmUpTest,
                         ::testing::Values(WarmCase{"RoundRobin", "ROUND_ROBIN", 3},
                                           WarmCase{"LeastOfFew", "LEAST_OUTSTANDING_REQUESTS", 3},
                                           WarmCase{"LeastOfMany", "LEAST_OUTSTANDING_REQUESTS",
                                                    30},
                                           WarmCase{"Random", "WEIGHTED_RANDOM", 3}),
                         [](const auto& param) { return param.param.name; });

TEST_F(BalancingTest, WarmedUpTargetsGoRoundAgainWithoutAnyChange) {
  Load(ConfigWith({"a:1", "b:1"}, "{slowStart: 10s}"));
  Find("b")->SetWarmBegin(now_);
  SetAllHealthy();
  Pick(10);
  now_ += seconds(10);
  EXPECT_EQ(Pick(10), (Counts{{"a", 5}, {"b", 5}}));
  EXPECT_EQ(state_->picker(0).recheck_at, SteadyTime::max());
}

struct FailOpenCase {
  const char* name;
  const char* health;  // of the group, YAML
  int targets;
  int healthy;
  bool is_fail_open;
};

class FailOpenTest : public BalancingTest, public ::testing::WithParamInterface<FailOpenCase> {};

TEST_P(FailOpenTest, ByCountAndShare) {
  const FailOpenCase& c = GetParam();
  Load(ConfigWith(Many(c.targets), std::string("{targetGroupHealth: ") + c.health + "}"));
  for (int i = 0; i < c.targets; ++i) {
    TargetState* const target = Find("t" + std::to_string(i));
    target->SetHealth(Health::kHealthy);  // once
    if (i >= c.healthy) target->SetHealth(Health::kUnhealthy);
  }
  state_->Changed();
  EXPECT_EQ(Pick(100).size(), static_cast<size_t>(c.is_fail_open ? c.targets : c.healthy));
  EXPECT_EQ(PickTarget(*state_, request_).is_fail_open, c.is_fail_open);
}

INSTANTIATE_TEST_SUITE_P(
    Groups, FailOpenTest,
    ::testing::Values(FailOpenCase{"DefaultNone", "{}", 4, 0, true},
                      FailOpenCase{"DefaultOne", "{}", 4, 1, false},
                      FailOpenCase{"BelowCount", "{minimumHealthyCount: 3}", 4, 2, true},
                      FailOpenCase{"AtCount", "{minimumHealthyCount: 3}", 4, 3, false},
                      FailOpenCase{"BelowPercent", "{minimumHealthyPercent: 50}", 5, 2, true},
                      FailOpenCase{"AtPercent", "{minimumHealthyPercent: 50}", 4, 2, false},
                      FailOpenCase{"Either", "{minimumHealthyCount: 1, minimumHealthyPercent: 100}",
                                   4, 3, true}),
    [](const auto& param) { return param.param.name; });

struct PolicyCase {
  const char* name;
  const char* yaml;
  const char* fault;  // begins so
};

class PolicyTest : public ::testing::TestWithParam<PolicyCase> {};

TEST_P(PolicyTest, RefusesNamingFieldAndRule) {
  remuda::v1::TargetGroup config;
  ASSERT_TRUE(ParseMessageYaml(GetParam().yaml, "test", &config).ok());
  GroupPolicy policy;
  const auto fault = CompileGroupPolicy(config, policy);
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->rfind(GetParam().fault, 0), 0U) << *fault;
}

INSTANTIATE_TEST_SUITE_P(
    Fields, PolicyTest,
    ::testing::Values(
        PolicyCase{"SlowStart", "{slowStart: 0.5s}", "slow_start: 0.5"},
        PolicyCase{"Anomalies", "{anomalyMitigation: true}", "anomaly_mitigation: only with"},
        PolicyCase{"Hash", "{consistentHash: {sourceIp: true}}", "consistent_hash: only with"},
        PolicyCase{"HashHeader",
                   "{algorithm: BALANCING_ALGORITHM_CONSISTENT_HASH, consistentHash: {header: "
                   "'a b'}}",
                   "consistent_hash.header: 'a b' is not a token"},
        PolicyCase{"StickyDuration",
                   "{stickiness: {type: TYPE_DURATION_COOKIE, duration: 700000s}}",
                   "stickiness.duration: 700000"},
        PolicyCase{"AppCookie", "{stickiness: {type: TYPE_APP_COOKIE}}",
                   "stickiness.cookie_name: '' is not a token"},
        PolicyCase{"OurCookie", "{stickiness: {type: TYPE_APP_COOKIE, cookieName: REMUDAX}}",
                   "stickiness.cookie_name: 'REMUDAX' begins with REMUDA"},
        PolicyCase{"Failures", "{passiveEjection: {consecutiveFailures: 1001}}",
                   "passive_ejection.consecutive_failures: 1001"},
        PolicyCase{"MaxTime", "{passiveEjection: {baseTime: 20s, maxTime: 10s}}",
                   "passive_ejection.max_time: 10"},
        PolicyCase{"Limit", "{concurrencyLimit: {maxRequests: 1001}}",
                   "concurrency_limit.max_requests: 1001"},
        PolicyCase{"QueueTimeout", "{concurrencyLimit: {queueTimeout: 0.001s}}",
                   "concurrency_limit.queue_timeout: 0.1000000"},
        PolicyCase{"HealthyCount", "{targetGroupHealth: {minimumHealthyCount: 10001}}",
                   "target_group_health.minimum_healthy_count: 10001"},
        PolicyCase{"HealthyPercent", "{targetGroupHealth: {minimumHealthyPercent: 101}}",
                   "target_group_health.minimum_healthy_percent: 101"}),
    [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace remuda::proxy
