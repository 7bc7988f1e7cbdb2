// Shares of subsets: exact over all workers together and over short windows, whatever else goes on.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "proxy/core/mix.h"
#include "proxy/core/picker.h"
#include "proxy/core/smooth_shares.h"
#include "tests/unit/proxy/core/picking.h"

namespace remuda::proxy {
namespace {

using testing::Counts;

SmoothShares SharesOf(const std::vector<uint32_t>& weights) {
  SmoothShares shares;
  for (size_t i = 0; i < weights.size(); ++i) shares.Add(static_cast<uint32_t>(i), weights[i]);
  shares.Build();
  return shares;
}

TEST(SmoothShares, EachHasItsWeightOverEachSum) {
  for (const std::vector<uint32_t>& weights :
       std::vector<std::vector<uint32_t>>{{1},
                                          {1, 1},
                                          {95, 5},
                                          {5, 95},
                                          {9999, 1},
                                          {3, 5, 7},
                                          {1, 1, 1, 1, 1},
                                          {10000, 10000, 1}}) {
    const SmoothShares shares = SharesOf(weights);
    const uint32_t sum = std::accumulate(weights.begin(), weights.end(), 0U);
    for (const uint64_t first : {uint64_t{0}, uint64_t{77}, ~uint64_t{0} - 3 * sum}) {
      std::vector<uint32_t> taken(weights.size());
      for (uint64_t n = 0; n < sum; ++n) ++taken[shares.At(first + n)];
      EXPECT_EQ(taken, weights);
    }
  }
}

TEST(SmoothShares, OfTwoEachIsWithinOneOfItsShareOverAnyWindow) {
  for (uint32_t weight = 1; weight < 100; ++weight) {
    const SmoothShares shares = SharesOf({100 - weight, weight});
    std::vector<int> upto{0};
    for (uint64_t n = 0; n < 400; ++n) upto.push_back(upto.back() + (shares.At(n) == 1 ? 1 : 0));
    for (size_t begin = 0; begin < 100; ++begin) {
      for (size_t size = 1; size <= 300; ++size) {
        const double share = static_cast<double>(size * weight) / 100;
        ASSERT_LE(std::abs(upto[begin + size] - upto[begin] - share), 1.0) << weight;
      }
    }
  }
}

TEST(SmoothShares, OfManyEachIsNearItsShareOverAnyWindow) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 50; ++round) {
    std::vector<uint32_t> weights(2 + random() % 15);
    for (uint32_t& weight : weights) weight = 1 + static_cast<uint32_t>(random() % 1000);
    const double sum = std::accumulate(weights.begin(), weights.end(), 0);
    const SmoothShares shares = SharesOf(weights);
    const uint64_t first = random();
    std::vector<int> taken(weights.size());
    for (int n = 1; n <= 3000; ++n) {
      ++taken[shares.At(first + static_cast<uint64_t>(n))];
      for (size_t i = 0; i < weights.size(); ++i)
        ASSERT_LE(std::abs(taken[i] - n * weights[i] / sum), 3.0);
    }
  }
}

TEST(SmoothShares, DrawsInProportionFromWhatIsLeft) {
  const SmoothShares shares = SharesOf({60, 30, 10});
  std::map<uint32_t, int> drawn;
  const auto first = [](uint32_t entry) { return entry == 0; };
  for (uint64_t n = 0; n < 4000; ++n) ++drawn[shares.Draw(NthRandom(1, n), first)];
  EXPECT_EQ(drawn.size(), 2U);
  EXPECT_NEAR(drawn[1], 3000, 150);
  EXPECT_EQ(shares.Draw(1, [](uint32_t) { return true; }), SmoothShares::kNone);
}

constexpr size_t kWorkers = 4;

// Group `blue` of one proxy with several workers: subset `old` has three targets, `new` one.
class Proxy {
 public:
  explicit Proxy(uint64_t seed, const std::string& group_yaml = "{}") : seed_(seed) {
    config_ = testing::Config({"a:1", "b:1", "c:1", "x:1"});
    for (auto& target : *config_.mutable_targets())
      target.set_subset(target.id() == "x" ? "new" : "old");
    remuda::v1::TargetGroup more;
    const absl::Status status = ParseMessageYaml(group_yaml, "test", &more);
    EXPECT_TRUE(status.ok()) << status;
    config_.mutable_target_groups(0)->MergeFrom(more);
  }
  v1::ProxyConfig& config() { return config_; }
  void Split(int old_weight, int new_weight) { Split({{"old", old_weight}, {"new", new_weight}}); }
  void Split(const std::vector<std::pair<std::string, int>>& weights) {
    config_.clear_traffic_splits();
    testing::AddSplit(config_, weights);
    v1::ConfigUpdate update;
    *update.mutable_upserts() = config_;
    const RoutingTable empty;
    const auto before = table_;
    table_ = std::get<std::shared_ptr<const RoutingTable>>(CompileUpdate(
        before == nullptr ? empty : *before, update, {.workers = kWorkers, .seed = seed_}));
    Publish(*table_);
    for (const auto& changed : table_->changed_groups) {
      for (size_t i = 0; i < kWorkers; ++i) AdoptGroup(i, *changed);
    }
    for (const Member& member : group().members) member.target->SetHealth(Health::kHealthy);
    state().Changed();
  }
  const TargetGroup& group() const { return *table_->groups.at("blue"); }
  GroupState& state() const { return *group().state; }
  TargetState* Find(const std::string& id) const { return group().Find(id)->target.get(); }
  void SetHealth(const std::string& id, Health health) {
    Find(id)->SetHealth(health);
    state().Changed();
  }
  // Whether it went to `new`.
  bool Take(PickRequest request) {
    request.now = SteadyTime(std::chrono::hours(1));
    request.random = random_();
    const Picked picked = PickTarget(state(), request);
    return picked.target != nullptr && picked.target->id() == "x";
  }
  // As many picks, each of any worker.
  Counts Pick(int picks) {
    Counts counts;
    for (int i = 0; i < picks; ++i) {
      PickRequest request{.worker = random_() % kWorkers};
      request.now = SteadyTime(std::chrono::hours(1));
      request.random = random_();
      ++counts[PickTarget(state(), request).target->id()];
    }
    return counts;
  }
  int CountNew(int picks) { return Pick(picks)["x"]; }

 private:
  const uint64_t seed_;
  v1::ProxyConfig config_;
  std::shared_ptr<const RoutingTable> table_;
  std::mt19937_64 random_{1};
};

// Of `size` picks from `begin` on, those that went to the new side.
int CountNew(const std::vector<bool>& taken, size_t begin, size_t size) {
  int count = 0;
  for (size_t i = begin; i < begin + size; ++i) count += taken[i] ? 1 : 0;
  return count;
}

TEST(SubsetShares, AreExactOverAllWorkersInAnyInterleaving) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Proxy proxy(seed);
    proxy.Split(95, 5);
    std::vector<bool> taken;
    std::mt19937_64 random(seed);
    for (int i = 0; i < 5000; ++i) taken.push_back(proxy.Take({.worker = random() % kWorkers}));
    EXPECT_NEAR(CountNew(taken, 0, taken.size()), 250, 1);
    for (size_t begin = 0; begin + 100 <= taken.size(); begin += 7) {
      EXPECT_NEAR(CountNew(taken, begin, 100), 5, 1);
    }
  }
}

TEST(SubsetShares, AreExactOverThreads) {
  Proxy proxy(1);
  proxy.Split(95, 5);
  std::atomic<int> taken{0};
  std::vector<std::thread> threads;
  for (size_t worker = 0; worker < kWorkers; ++worker) {
    threads.emplace_back([&, worker] {
      int mine = 0;
      for (uint64_t i = 0; i < 1250; ++i) {
        PickRequest request{.worker = worker};
        request.now = SteadyTime(std::chrono::hours(1));
        request.random = NthRandom(worker, i);
        mine += PickTarget(proxy.state(), request).target->id() == "x" ? 1 : 0;
      }
      taken += mine;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_NEAR(taken, 250, 1);
}

TEST(SubsetShares, OfSeveralProxiesBeginAtDifferentTurns) {
  // Of the first pick of each of many proxies one in twenty is the new side's.
  int first_picks = 0;
  std::set<int> phases;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    Proxy proxy(Mix(seed));
    proxy.Split(95, 5);
    int phase = 0;
    while (!proxy.Take({})) ++phase;
    phases.insert(phase);
    first_picks += phase == 0 ? 1 : 0;
  }
  EXPECT_NEAR(first_picks, 20, 15);
  EXPECT_EQ(phases.size(), 20U);
  // Two together: 100 requests in turn.
  Proxy one(1), other(2);
  one.Split(95, 5);
  other.Split(95, 5);
  for (int window = 0; window < 20; ++window)
    EXPECT_NEAR(one.CountNew(50) + other.CountNew(50), 5, 2);
}

TEST(SubsetShares, DoNotDependOnRepeatsOrOnThoseWhoStay) {
  Proxy proxy(3, "{stickiness: {type: TYPE_DURATION_COOKIE}}");
  proxy.Split(95, 5);
  std::mt19937_64 random(3);
  TargetState* const tried[] = {proxy.Find("a")};
  std::vector<bool> taken;
  int repeats = 0, repeats_new = 0;
  while (taken.size() < 5000) {
    const size_t worker = random() % kWorkers;
    switch (random() % 3) {
      case 0:
        taken.push_back(proxy.Take({.worker = worker}));
        break;
      case 1:
        ++repeats;
        repeats_new += proxy.Take({.worker = worker, .tried = tried}) ? 1 : 0;
        break;
      default:
        EXPECT_FALSE(proxy.Take({.worker = worker, .sticky_target = proxy.Find("b")->id_hash()}));
    }
  }
  EXPECT_NEAR(CountNew(taken, 0, taken.size()), 250, 1);
  for (size_t begin = 0; begin + 100 <= taken.size(); ++begin) {
    ASSERT_NEAR(CountNew(taken, begin, 100), 5, 1);
  }
  // Nor do repeats go to the other side more often than its share.
  EXPECT_NEAR(repeats_new, repeats * 0.05, repeats * 0.015);
}

TEST(SubsetShares, WhatHasNoTargetHasNoTurnsAndGetsNoBurstAfterwards) {
  Proxy proxy(4);
  proxy.Split(80, 20);
  EXPECT_NEAR(proxy.CountNew(100), 20, 1);
  proxy.SetHealth("x", Health::kUnhealthy);
  EXPECT_EQ(proxy.CountNew(1000), 0);
  proxy.SetHealth("x", Health::kHealthy);
  for (int window = 0; window < 10; ++window) EXPECT_NEAR(proxy.CountNew(10), 2, 1);
}

TEST(SubsetShares, OfOneWithoutATargetGoToTheOthersInProportion) {
  Proxy proxy(5);
  proxy.config().mutable_targets(1)->set_subset("other");  // b
  proxy.Split({{"old", 60}, {"other", 20}, {"new", 20}});
  Counts counts = proxy.Pick(100);
  EXPECT_EQ(counts["a"] + counts["c"], 60);
  EXPECT_EQ(counts["b"], 20);
  EXPECT_EQ(counts["x"], 20);
  proxy.SetHealth("x", Health::kUnhealthy);
  for (int window = 0; window < 20; ++window) {
    counts = proxy.Pick(8);
    EXPECT_EQ(counts["a"] + counts["c"], 6);
    EXPECT_EQ(counts["b"], 2);
  }
}

// Counts of a subset go on when its targets and the subset itself come and go; of those that went
// long ago they are forgotten.
TEST(SubsetCounts, GoOnWhenASubsetComesBack) {
  Proxy proxy(7);
  const auto counts = [&](const std::string& name) -> SubsetState* {
    for (const SubsetSpec& subset : proxy.group().subsets) {
      if (subset.name == name) return subset.state.get();
    }
    return nullptr;
  };
  proxy.Split({{"old", 1}, {"new", 1}});
  SubsetState* const old = counts("old");
  SubsetState* const fresh = counts("new");
  EXPECT_NE(old, fresh);
  for (auto& target : *proxy.config().mutable_targets()) target.set_subset("new");
  proxy.Split({{"old", 0}, {"new", 1}});  // no target is left
  EXPECT_EQ(counts("old"), old);
  for (const char* name : {"v3", "v4", "v5"}) {
    proxy.Split({{"new", 1}, {name, 0}});
    EXPECT_EQ(counts("old"), nullptr);
    EXPECT_EQ(counts("new"), fresh);
  }
  proxy.Split({{"old", 0}, {"new", 1}});
  EXPECT_EQ(counts("old"), old);
  for (size_t i = 0; i <= kMaxPastSubsets; ++i)
    proxy.Split({{"new", 1}, {"more" + std::to_string(i), 0}});
  EXPECT_EQ(proxy.group().past_subsets.size(), kMaxPastSubsets);
}

// The old side's clients stay while it has a weight, however little, and move when it has none.
TEST(SubsetShares, ClientsStayOnTheirSideUntilItsWeightIsZero) {
  Proxy proxy(6, "{stickiness: {type: TYPE_DURATION_COOKIE}}");
  const auto stays = [&](const char* id) {
    PickRequest request{.worker = 1, .sticky_target = proxy.Find(id)->id_hash()};
    request.now = SteadyTime(std::chrono::hours(1));
    request.random = 7;
    return PickTarget(proxy.state(), request).target->id();
  };
  for (const int share : {1, 5, 50, 99}) {
    proxy.Split(100 - share, share);
    for (int i = 0; i < 50; ++i) {
      EXPECT_EQ(stays("b"), "b");
      EXPECT_EQ(stays("x"), "x");
    }
  }
  // Its target fell: to another of its side, however small that side's share is.
  proxy.SetHealth("b", Health::kUnhealthy);
  for (int i = 0; i < 50; ++i) EXPECT_NE(stays("b"), "x");
  proxy.Split(0, 100);
  EXPECT_EQ(stays("a"), "x");
}

}  // namespace
}  // namespace remuda::proxy
