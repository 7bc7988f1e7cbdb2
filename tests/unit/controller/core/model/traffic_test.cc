// Totals of what proxies count: a table of processes and reports.
#include "controller/core/model/traffic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "controller/core/model/draft.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/subset_name.h"

namespace remuda::core {
namespace {

using Report = google::protobuf::RepeatedPtrField<proxy::v1::SubsetStats>;

struct Said {
  std::string subset;
  int64_t requests = 0;
  int64_t errors = 0;
  std::vector<std::pair<int, int64_t>> latency = {};  // (gap, count)
};

Report ReportOf(const std::vector<Said>& all) {
  Report report;
  for (const Said& said : all) {
    proxy::v1::SubsetStats& stats = *report.Add();
    stats.set_target_group("tg");
    stats.set_subset(said.subset);
    stats.set_requests(said.requests);
    stats.set_errors(said.errors);
    for (const auto& [gap, count] : said.latency) {
      stats.mutable_latency()->add_gaps(gap);
      stats.mutable_latency()->add_counts(count);
    }
  }
  return report;
}

proxy::v1::Hello HelloOf(const std::string& incarnation, bool holds_config) {
  proxy::v1::Hello hello;
  hello.set_proxy("p1");
  hello.set_incarnation(incarnation);
  if (holds_config) hello.mutable_held()->set_epoch(1);
  return hello;
}

class TrafficTest : public ::testing::Test {
 protected:
  TrafficTest() { Put<v1::TargetGroup>("tg", {}); }

  template <class T>
  void Put(const std::string& key, const T& row) {
    Draft draft(state_);
    draft.Put(key, row);
    state_.Apply(draft.Take(), state_.commit() + 1);
  }
  void Instance(const std::string& id, int version, v1::InstanceState is) {
    v1::Instance row;
    row.set_auto_scaling_group("web");
    row.set_state(is);
    *row.mutable_launch_template() = Numbered("shop", version);
    Put(id, row);
  }
  void Deployment(v1::DeploymentState is) {
    v1::Deployment row;
    row.set_auto_scaling_group("web");
    row.set_state(is);
    Put("web-1", row);
  }

  void Begin(const std::string& incarnation, bool holds_config) {
    BeginProcess(HelloOf(incarnation, holds_config), process_);
  }
  void Say(const std::vector<Said>& all) { AddReport(state_, ReportOf(all), process_, traffic_); }
  const v1::SideCounts& Total(const std::string& subset) { return traffic_.totals[{"tg", subset}]; }
  int64_t Requests(const std::string& subset) { return Total(subset).requests(); }

  State state_;
  CountedProcess process_;
  Traffic traffic_;
};

TEST_F(TrafficTest, AProxyWithoutAConfigIsCountedFromZero) {
  Begin("a", /*holds_config=*/false);
  Say({{"v1", 10, 2}});
  EXPECT_EQ(Requests("v1"), 10);
  EXPECT_EQ(Total("v1").errors(), 2);
  Say({{"v1", 10, 2}});
  Say({{"v1", 15, 2}, {"v2", 1, 1}});
  EXPECT_EQ(Requests("v1"), 15);
  EXPECT_EQ(Requests("v2"), 1);
}

TEST_F(TrafficTest, ThePastOfAProxyThatServedBeforeThisControllerIsNotNew) {
  Begin("a", /*holds_config=*/true);
  Say({{"v1", 1000, 100}});
  EXPECT_EQ(Requests("v1"), 0);
  Say({{"v1", 1007, 101}, {"v2", 5, 0}});
  EXPECT_EQ(Requests("v1"), 7);
  EXPECT_EQ(Total("v1").errors(), 1);
  EXPECT_EQ(Requests("v2"), 5);
}

TEST_F(TrafficTest, ASessionAnewOfTheSameProcessGoesOn) {
  Begin("a", true);
  Say({{"v1", 1000, 0}});
  Begin("a", true);
  Say({{"v1", 1020, 0}});
  EXPECT_EQ(Requests("v1"), 20);
}

TEST_F(TrafficTest, ANewProcessIsCountedFromZeroAndTakesNothingAway) {
  Begin("a", true);
  Say({{"v1", 1000, 0}});
  Say({{"v1", 1020, 0}});
  Begin("b", true);
  Say({{"v1", 3, 0}});
  EXPECT_EQ(Requests("v1"), 23);
  Say({{"v1", 2000, 0}});
  EXPECT_EQ(Requests("v1"), 2020);
}

TEST_F(TrafficTest, ASessionThatEndsBeforeItsFirstReportLeavesTheProcessUnknown) {
  Begin("a", true);
  Begin("b", true);
  Say({{"v1", 500, 0}});
  EXPECT_EQ(Requests("v1"), 0);
}

TEST_F(TrafficTest, AnOlderProxyThatNamesNoProcessIsCountedFromItsFirstReport) {
  Begin("", true);
  Say({{"v1", 500, 0}});
  Say({{"v1", 510, 0}});
  Begin("", true);
  Say({{"v1", 700, 0}});
  Say({{"v1", 701, 0}});
  EXPECT_EQ(Requests("v1"), 11);
}

TEST_F(TrafficTest, ASubsetThatGoesBackHasBegunAnewAndOneThatWasAwayHasNot) {
  Begin("a", false);
  Say({{"v1", 100, 0}});
  Say({{"v1", 4, 1}});
  EXPECT_EQ(Requests("v1"), 104);
  Say({});
  Say({{"v1", 6, 1}});
  EXPECT_EQ(Requests("v1"), 106);
}

TEST_F(TrafficTest, LatenciesAreAddedByBucket) {
  Begin("a", false);
  Say({{"v1", 3, 0, {{2, 1}, {3, 2}}}});
  Say({{"v1", 5, 0, {{2, 2}, {3, 3}}}});
  EXPECT_THAT(Total("v1").latency(), ::testing::ElementsAre(0, 0, 2, 0, 0, 3));
}

TEST_F(TrafficTest, WhatIsNoCountIsNotAdded) {
  Begin("a", false);
  Say({{"v1", -5, -1, {{-3, 1}}}, {"v2", 4, 9, {{0, 1}, {0, 1}}}, {"v3", 2, 0, {{500, 1}}}});
  EXPECT_EQ(Requests("v1"), 0);
  EXPECT_EQ(Requests("v2"), 4);
  EXPECT_EQ(Total("v3").latency_size(), 0);
  Say({{"v4", std::numeric_limits<int64_t>::max(), 0}});
  EXPECT_EQ(Requests("v4"), int64_t{1} << 50);
}

TEST_F(TrafficTest, ATargetGroupThatIsNotThereIsNotKept) {
  Begin("a", false);
  Report report = ReportOf({{"v1", 5}});
  report[0].set_target_group("gone");
  EXPECT_FALSE(AddReport(state_, std::move(report), process_, traffic_));
  EXPECT_TRUE(traffic_.totals.empty());
  EXPECT_TRUE(process_.said.empty());
}

TEST_F(TrafficTest, WhatNothingNeedsIsDropped) {
  Instance("i1", 1, v1::INSTANCE_STATE_IN_SERVICE);
  Instance("i2", 2, v1::INSTANCE_STATE_TERMINATED);
  Begin("a", false);
  Say({{"web/shop:1", 1}, {"web/shop:2", 1}, {"other/shop:1", 1}, {"", 1}});
  const auto kept = [&] {
    DropUnneeded(state_, traffic_);
    std::vector<std::string> names;
    for (const auto& [id, counts] : traffic_.totals) names.push_back(id.second);
    return names;
  };
  // A deployment of the group compares with all that ran.
  Deployment(v1::DEPLOYMENT_STATE_IN_PROGRESS);
  EXPECT_THAT(kept(), ::testing::ElementsAre("web/shop:1", "web/shop:2"));
  Deployment(v1::DEPLOYMENT_STATE_SUCCEEDED);
  EXPECT_THAT(kept(), ::testing::ElementsAre("web/shop:1"));
}

TEST_F(TrafficTest, AShiftNeedsAllOfItsTargetGroups) {
  v1::Deployment row;
  row.set_state(v1::DEPLOYMENT_STATE_ROLLING_BACK);
  row.mutable_shift()->set_from_target_group("blue");
  row.mutable_shift()->set_to_target_group("tg");
  Put("lb-1", row);
  Begin("a", false);
  Say({{"", 1}, {"web/shop:1", 1}});
  DropUnneeded(state_, traffic_);
  EXPECT_EQ(traffic_.totals.size(), 2u);
}

TEST_F(TrafficTest, TotalsAreBoundedByWhatIsNeeded) {
  Instance("i1", 1, v1::INSTANCE_STATE_IN_SERVICE);
  Begin("a", false);
  int64_t served = 0;
  for (int version = 1; version < 1000; ++version) {
    Say({{"web/shop:1", ++served}, {"web/shop:" + std::to_string(version + 1), 1}});
    ASSERT_LE(traffic_.totals.size(), Traffic::kFewest + 2);
  }
  EXPECT_EQ(Requests("web/shop:1"), served);
}

TEST_F(TrafficTest, CountsAreOfTheSubsetsThatAreAskedFor) {
  Begin("a", false);
  Say({{"web/shop:1", 1, 1, {{0, 1}}}, {"web/shop:2", 10, 2, {{3, 4}}}, {"web2/shop:1", 100}});
  google::protobuf::RepeatedPtrField<std::string> groups;
  *groups.Add() = "tg";
  *groups.Add() = "none";
  const v1::SideCounts sum =
      CountsOf(traffic_, groups, [](std::string_view subset) { return IsSubsetOf(subset, "web"); });
  EXPECT_EQ(sum.requests(), 11);
  EXPECT_EQ(sum.errors(), 3);
  EXPECT_THAT(sum.latency(), ::testing::ElementsAre(1, 0, 0, 4));
}

TEST(SinceTest, IsNeverBelowZero) {
  v1::SideCounts base;
  base.set_requests(10);
  base.set_errors(5);
  for (const int64_t count : {1, 4, 2}) base.add_latency(count);
  v1::SideCounts now;
  now.set_requests(12);
  now.set_errors(4);
  for (const int64_t count : {3, 3}) now.add_latency(count);
  const v1::SideCounts since = Since(now, base);
  EXPECT_EQ(since.requests(), 2);
  EXPECT_EQ(since.errors(), 0);
  EXPECT_THAT(since.latency(), ::testing::ElementsAre(2));
  EXPECT_EQ(Since(now, now).latency_size(), 0);
}

}  // namespace
}  // namespace remuda::core
