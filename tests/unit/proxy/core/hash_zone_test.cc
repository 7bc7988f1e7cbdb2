// Consistent hashing and zones: where keys belong, how few of them move, what stays in the zone.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "proxy/core/mix.h"
#include "tests/unit/proxy/core/picking.h"

namespace remuda::proxy {
namespace {

using testing::Counts;

constexpr char kHash[] = "{algorithm: BALANCING_ALGORITHM_CONSISTENT_HASH}";

class HashTest : public testing::PickingTest {
 protected:
  std::string OwnerOf(int key) {
    request_.hash = HashOf("key-" + std::to_string(key));
    request_.has_hash = true;
    TargetState* target = Take();
    return target == nullptr ? "none" : target->id();
  }
  std::vector<std::string> Owners(int keys) {
    std::vector<std::string> owners;
    for (int key = 0; key < keys; ++key) owners.push_back(OwnerOf(key));
    return owners;
  }
};

TEST_F(HashTest, AKeyStaysWhereItIs) {
  Load(ConfigWith(Many(10), kHash));
  SetAllHealthy();
  const auto before = Owners(500);
  EXPECT_EQ(Owners(500), before);
  // Another proxy, with another history, agrees.
  table_ = nullptr;
  Load(ConfigWith(Many(10), kHash));
  SetAllHealthy();
  EXPECT_EQ(Owners(500), before);
}

// Property: what one target's coming or going moves is only what it had or gets.
TEST_F(HashTest, AChangeMovesOnlyTheKeysOfTheChanged) {
  constexpr int kKeys = 4000;
  for (const int count : {2, 3, 10, 40, 200}) {
    SCOPED_TRACE(count);
    table_ = nullptr;
    Load(ConfigWith(Many(count), kHash));
    SetAllHealthy();
    const auto before = Owners(kKeys);
    for (int round = 0; round < 3; ++round) {
      const std::string out = "t" + std::to_string(random_() % static_cast<uint64_t>(count));
      SetUnhealthy(out);
      const auto without = Owners(kKeys);
      int moved = 0;
      for (int key = 0; key < kKeys; ++key) {
        const auto k = static_cast<size_t>(key);
        moved += before[k] != without[k];
        ASSERT_EQ(before[k] != without[k], before[k] == out) << key;
        ASSERT_NE(without[k], out);
      }
      EXPECT_LT(moved, 2 * kKeys / count + 40);
      SetHealthy({out.c_str()});
      EXPECT_EQ(Owners(kKeys), before);
    }
  }
}

// Also where few are left: they get a ring of their own, with the same places.
TEST_F(HashTest, KeysOfThoseThatStayDoNotMoveHoweverFewTheyAre) {
  Load(ConfigWith(Many(40), kHash));
  SetAllHealthy();
  auto before = Owners(2000);
  for (int left = 39; left >= 1; --left) {
    const std::string out = "t" + std::to_string(left);
    SetUnhealthy(out);
    const auto after = Owners(2000);
    for (size_t key = 0; key < 2000; ++key)
      ASSERT_EQ(before[key] != after[key], before[key] == out) << left << " " << key;
    before = after;
  }
}

TEST_F(HashTest, ANewTargetTakesItsShareFromAll) {
  constexpr int kKeys = 20000;
  Load(ConfigWith(Many(20), kHash));
  SetAllHealthy();
  const auto before = Owners(kKeys);
  Load(ConfigWith(Many(21), kHash));
  SetAllHealthy();
  const auto after = Owners(kKeys);
  int moved = 0;
  for (size_t key = 0; key < kKeys; ++key) {
    if (before[key] == after[key]) continue;
    ++moved;
    ASSERT_EQ(after[key], "t20");
  }
  EXPECT_NEAR(moved, kKeys / 21, kKeys / 21 * 0.35);
}

TEST_F(HashTest, SharesAreEvenAndFollowWeights) {
  Load(ConfigWith(Many(20), kHash));
  SetAllHealthy();
  Counts owned;
  for (const std::string& owner : Owners(20000)) ++owned[owner];
  for (const auto& [id, keys] : owned) EXPECT_NEAR(keys, 1000, 350) << id;
  table_ = nullptr;
  Load(ConfigWith({"a:1", "b:2", "c:5", "d:0"}, kHash));
  SetAllHealthy();
  owned.clear();
  for (const std::string& owner : Owners(8000)) ++owned[owner];
  EXPECT_NEAR(owned["a"], 1000, 350);
  EXPECT_NEAR(owned["b"], 2000, 500);
  EXPECT_NEAR(owned["c"], 5000, 700);
  EXPECT_EQ(owned["d"], 0);
}

// One key that everybody asks for: its target gets 5/4 of the mean and no more.
TEST_F(HashTest, LoadIsBounded) {
  Load(ConfigWith(Many(10), kHash));
  SetAllHealthy();
  request_.hash = HashOf("hot");
  request_.has_hash = true;
  for (int i = 0; i < 400; ++i) Take()->Begin(0, InLoad::kNotYet);
  uint64_t most = 0;
  for (const Member& member : group().members) most = std::max(most, member.target->InFlight());
  EXPECT_LE(most, 51U);  // 400 / 10 * 1.25, rounded up
  EXPECT_GE(most, 49U);
}

TEST_F(HashTest, FewInFlightStayWithTheirTarget) {
  Load(ConfigWith(Many(10), kHash));
  SetAllHealthy();
  request_.hash = HashOf("hot");
  request_.has_hash = true;
  TargetState* const owner = Take();
  for (uint64_t i = 0; i < TargetPool::kUnboundedLoad; ++i) {
    EXPECT_EQ(Take(), owner);
    owner->Begin(0, InLoad::kNotYet);
  }
  EXPECT_NE(Take(), owner);
}

TEST_F(HashTest, WithoutAKeyRequestsGoRound) {
  Load(ConfigWith({"a:1", "b:1"}, kHash));
  SetAllHealthy();
  EXPECT_EQ(Pick(10), (Counts{{"a", 5}, {"b", 5}}));
}

TEST_F(HashTest, ATriedTargetsKeyGoesOn) {
  Load(ConfigWith(Many(5), kHash));
  SetAllHealthy();
  OwnerOf(1);
  TargetState* tried[] = {Take()};
  EXPECT_NE(Take(tried), tried[0]);
}

TEST_F(HashTest, AWarmingTargetGetsItsKeysBitByBit) {
  Load(ConfigWith(Many(10), "{slowStart: 10s, algorithm: BALANCING_ALGORITHM_CONSISTENT_HASH}"));
  Find("t3")->SetWarmBegin(now_);
  SetAllHealthy();
  std::set<int> had;
  for (const int second : {0, 3, 6, 10}) {
    now_ = Find("t3")->warm_begin() + std::chrono::seconds(second);
    std::set<int> has;
    for (int key = 0; key < 5000; ++key) {
      if (OwnerOf(key) == "t3") has.insert(key);
    }
    EXPECT_GT(has.size(), had.size()) << second;
    EXPECT_TRUE(std::includes(has.begin(), has.end(), had.begin(), had.end())) << second;
    had = std::move(has);
  }
}

class ZoneTest : public HashTest {
 protected:
  // The first `own` targets are in the proxy's zone, the others in another one.
  void LoadZones(int count, int own, const std::string& more = "") {
    v1::ProxyConfig config =
        ConfigWith(Many(count), "{crossZone: CROSS_ZONE_PREFER_OWN" + more + "}");
    for (int i = 0; i < count; ++i) config.mutable_targets(i)->set_zone(i < own ? "z1" : "z2");
    Load(config);
    SetAllHealthy();
  }
  int OwnShare(int own, int picks) {
    int sum = 0;
    for (const auto& [id, count] : Pick(picks)) sum += std::stoi(id.substr(1)) < own ? count : 0;
    return sum;
  }
};

// All stays while 5/7 of the own zone are healthy; then what the rest can carry.
TEST_F(ZoneTest, SpillsOverWhatTheOwnZoneCannotCarry) {
  LoadZones(10, 5);
  struct Case {
    int unhealthy;
    int own_of_1000;
  };
  for (const Case& c :
       {Case{0, 1000}, Case{1, 1000}, Case{2, 840}, Case{3, 560}, Case{4, 280}, Case{5, 0}}) {
    for (int i = 0; i < c.unhealthy; ++i) SetUnhealthy("t" + std::to_string(i));
    EXPECT_EQ(OwnShare(5, 1000), c.own_of_1000) << c.unhealthy;
  }
  for (int i = 5; i < 10; ++i) SetUnhealthy("t" + std::to_string(i));
  EXPECT_EQ(Pick(100).size(), 10U) << "failing open, the zone does not count";
}

// Whatever the zone's share is, it is even within each zone.
TEST_F(ZoneTest, IsEvenWithinEachZone) {
  LoadZones(12, 2);
  SetUnhealthy("t0");
  const Counts picked = Pick(10'000);
  const int others = (10'000 - picked.at("t1")) / 10;
  for (int i = 2; i < 12; ++i)
    EXPECT_NEAR(picked.count("t" + std::to_string(i)) ? picked.at("t" + std::to_string(i)) : 0,
                others, 1)
        << i;
}

TEST_F(ZoneTest, ServesFromItsOwnAloneIfTheOthersHaveNone) {
  LoadZones(4, 2);
  for (const char* id : {"t0", "t2", "t3"}) SetUnhealthy(id);
  EXPECT_EQ(Pick(10), (Counts{{"t1", 10}}));
}

TEST_F(ZoneTest, IsOffByDefault) {
  v1::ProxyConfig config = ConfigWith(Many(4), "{}");
  config.mutable_targets(0)->set_zone("z1");
  Load(config);
  SetAllHealthy();
  EXPECT_EQ(Pick(40)["t0"], 10);
}

TEST_F(ZoneTest, AKeySpillsOverAlwaysOrNever) {
  LoadZones(10, 5, ", algorithm: BALANCING_ALGORITHM_CONSISTENT_HASH");
  for (const char* id : {"t0", "t1", "t2"}) SetUnhealthy(id);
  EXPECT_EQ(Owners(2000), Owners(2000));
}

TEST_F(ZoneTest, ARepeatMayLeaveTheZone) {
  LoadZones(2, 1);
  TargetState* tried[] = {Find("t0")};
  EXPECT_EQ(Take(tried), Find("t1"));
}

}  // namespace
}  // namespace remuda::proxy
