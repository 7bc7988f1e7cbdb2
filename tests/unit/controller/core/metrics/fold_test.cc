// What agents and proxies report becomes values of groups: averages, sums, and what is missing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/controller/core/metrics/fold_fixture.h"

namespace remuda::core {
namespace {

TEST_F(FoldTest, AveragesOverInstancesInService) {
  Instance("i-1");
  Instance("i-2");
  Instance("i-3", 1, [](auto& row) { row.set_state(v1::INSTANCE_STATE_DRAINING); });
  agents_["i-1"] = {.cores = 0.5, .memory = 100'000};
  agents_["i-2"] = {.cores = 1.5, .memory = 300'000};
  agents_["i-3"] = {.cores = 8, .memory = 999'999};
  EXPECT_EQ(Period().cpu_percent, std::nullopt) << "the first report only says where it stands";
  const MetricPoint& point = Period();
  EXPECT_DOUBLE_EQ(*point.cpu_percent, 100);
  EXPECT_DOUBLE_EQ(*point.memory_percent, 20);
  EXPECT_EQ(point.in_service, 2);
  EXPECT_EQ(point.warming, 0);
  EXPECT_EQ(point.desired, 3);
  EXPECT_EQ(point.bearing, 2);
  EXPECT_EQ(point.time, now_);
}

TEST_F(FoldTest, PerCentOfTheLimitsOfItsVersion) {
  Template(1, "2", "200k");
  Template(2, "500m");
  Instance("i-1", 1);
  Instance("i-2", 2);
  agents_["i-1"] = {.cores = 1, .memory = 100'000};     // 50 % of two cores, 50 % of 200k
  agents_["i-2"] = {.cores = 0.25, .memory = 100'000};  // 50 % of half a core, 10 % of its host
  const MetricPoint& point = Period(2);
  EXPECT_DOUBLE_EQ(*point.cpu_percent, 50);
  EXPECT_DOUBLE_EQ(*point.memory_percent, 30);
}

TEST_F(FoldTest, WarmingOnesAreCountedAndNotAveraged) {
  Edit<v1::AutoScalingGroup>(
      "web", [](auto& row) { *row.mutable_instance_warmup() = ToProto(absl::Seconds(60)); });
  Instance("i-1");
  Instance("i-2", 1, [&](auto& row) {
    *row.mutable_start_time() = *row.mutable_create_time() = *row.mutable_in_service_time() =
        ToProto(now_);
  });
  Instance("i-3", 1, [&](auto& row) {
    row.set_state(v1::INSTANCE_STATE_PENDING);
    row.clear_start_time();
  });
  agents_["i-1"].cores = 1;
  agents_["i-2"].cores = 3;
  MetricPoint point = Period(2);
  EXPECT_DOUBLE_EQ(*point.cpu_percent, 100);
  EXPECT_EQ(point.in_service, 2);
  EXPECT_EQ(point.warming, 2);
  EXPECT_EQ(point.bearing, 2);
  point = Period(10);
  EXPECT_DOUBLE_EQ(*point.cpu_percent, 200) << "past its warm-up";
  EXPECT_EQ(point.warming, 1);
}

TEST_F(FoldTest, AClockOfAnAgentThatIsWrongWarmsNothing) {
  const auto placed_now = [&](auto& row) {
    *row.mutable_start_time() = ToProto(now_ - absl::Hours(5));
    *row.mutable_create_time() = *row.mutable_in_service_time() = ToProto(now_);
  };
  Instance("i-1", 1, placed_now);
  Instance("i-2", 1,
           [&](auto& row) { *row.mutable_start_time() = ToProto(now_ + absl::Hours(5)); });
  const MetricPoint& point = Period();
  EXPECT_EQ(point.warming, 1) << "i-1 is young; i-2 has been in service for an hour";
}

TEST_F(FoldTest, ASilentAgentsInstancesAreMissingNotZero) {
  Instance("i-1");
  Instance("i-2");
  agents_["i-1"] = {.cores = 1};
  agents_["i-2"] = {.cores = 3};
  EXPECT_DOUBLE_EQ(*Period(2).cpu_percent, 200);
  agents_["i-2"].is_silent = true;
  EXPECT_DOUBLE_EQ(*Period(3).cpu_percent, 200) << "what it said last";
  EXPECT_DOUBLE_EQ(*Period().cpu_percent, 100);
  EXPECT_EQ(Period().bearing, 2);
  agents_["i-1"].is_silent = true;
  EXPECT_EQ(Period(4).cpu_percent, std::nullopt);
  agents_["i-2"].is_silent = false;
  EXPECT_DOUBLE_EQ(*Period().cpu_percent, 300) << "over the time between its reports";
}

TEST_F(FoldTest, NumbersOfAgentsThatCannotBeAreMissing) {
  Instance("i-1");
  agents_["i-1"] = {.cores = 13, .memory = 5'000'000};  // of 8 cores and 1 MB
  MetricPoint point = Period(2);
  EXPECT_EQ(point.cpu_percent, std::nullopt);
  EXPECT_EQ(point.memory_percent, std::nullopt);
  agents_["i-1"] = {.cores = 4, .memory = -1};
  point = Period(2);
  EXPECT_DOUBLE_EQ(*point.cpu_percent, 400);
  EXPECT_EQ(point.memory_percent, std::nullopt);
}

TEST_F(FoldTest, RestartsOfThePeriod) {
  Instance("i-1");
  agents_["i-1"].restarts = 5;
  EXPECT_EQ(Period().restarts, 0) << "before this controller knew it";
  agents_["i-1"].restarts = 7;
  EXPECT_EQ(Period().restarts, 2);
  EXPECT_EQ(Period().restarts, 0);
}

TEST_F(FoldTest, StandbyAndTheWarmPoolAreNoCapacity) {
  Instance("i-1");
  Instance("i-2", 1, [](auto& row) { row.set_state(v1::INSTANCE_STATE_STANDBY); });
  Instance("i-3", 1, [](auto& row) { row.set_in_warm_pool(true); });
  agents_["i-1"].cores = 1;
  agents_["i-2"].cores = agents_["i-3"].cores = 5;
  const MetricPoint& point = Period(2);
  EXPECT_DOUBLE_EQ(*point.cpu_percent, 100);
  EXPECT_EQ(point.in_service, 1);
  EXPECT_EQ(point.bearing, 1);
}

// --- Proxies ------------------------------------------------------------------------------------

TEST_F(FoldTest, SumsOverProxies) {
  Instance("i-1");
  Proxy("p1");
  Proxy("p2");
  proxies_["p1"] = {.requests = {{"web/shop:1", 10}, {"other/shop:1", 1000}}, .in_flight = 3};
  proxies_["p2"] = {.requests = {{"web/shop:1", 20}, {"web/shop:2", 5}}, .held = 4};
  EXPECT_EQ(Period().requests, std::nullopt) << "the first reports only say where they stand";
  const MetricPoint& point = Period();
  EXPECT_DOUBLE_EQ(*point.requests, 35);
  EXPECT_DOUBLE_EQ(*point.errors, 0);
  EXPECT_DOUBLE_EQ(*point.in_flight, 3);
  EXPECT_DOUBLE_EQ(*point.queued, 4);
  EXPECT_NEAR(*point.latency_p50_ms, 17, 1);
  EXPECT_NEAR(*point.latency_p99_ms, 17.5, 1);
  for (auto& [id, proxy] : proxies_) proxy.requests = {{"web/shop:1", 0}};
  EXPECT_EQ(Period().latency_p50_ms, std::nullopt) << "nobody asked";
}

TEST_F(FoldTest, NoRequestsAreNoneAndNotMissing) {
  Proxy("p1");
  EXPECT_EQ(*Period().requests, 0);
  EXPECT_EQ(*Period().queued, 0);
}

TEST_F(FoldTest, WithoutTargetGroupsOrProxiesRequestsAreMissing) {
  EXPECT_EQ(Period().requests, std::nullopt) << "no proxy";
  Proxy("p1");
  Edit<v1::AutoScalingGroup>("web", [](auto& row) { row.clear_target_groups(); });
  EXPECT_EQ(Period().requests, std::nullopt);
}

TEST_F(FoldTest, ASilentProxysRequestsAreMissingUntilItIsGone) {
  for (const char* id : {"p1", "p2", "p3"}) {
    Proxy(id);
    proxies_[id].requests["web/shop:1"] = 10;
  }
  EXPECT_DOUBLE_EQ(*Period(2).requests, 30);
  proxies_["p3"].is_silent = true;
  EXPECT_DOUBLE_EQ(*Period(3).requests, 30) << "what it said last";
  EXPECT_EQ(Period().requests, std::nullopt) << "it has a session, and says nothing";
  seen_.proxies["p3"].connected = false;
  EXPECT_DOUBLE_EQ(*Period().requests, 20) << "its lease is over: the others have its requests";
  proxies_["p2"].is_silent = true;
  seen_.proxies["p2"].connected = false;
  EXPECT_EQ(Period(4).requests, std::nullopt) << "most fell silent together";
}

TEST_F(FoldTest, OneOfManyProxiesThatIsSilentIsLeftOut) {
  for (int i = 0; i < 10; ++i) {
    const std::string id = absl::StrCat("p", i);
    Proxy(id);
    proxies_[id].requests["web/shop:1"] = 10;
  }
  proxies_["p0"].is_silent = true;
  EXPECT_DOUBLE_EQ(*Period(2).requests, 90);
  proxies_["p1"].is_silent = true;
  EXPECT_EQ(Period(4).requests, std::nullopt);
}

TEST_F(FoldTest, OneThatHasDrainedCountsNoMore) {
  for (const char* id : {"p1", "p2"}) {
    Proxy(id);
    proxies_[id].requests["web/shop:1"] = 10;
  }
  EXPECT_DOUBLE_EQ(*Period(2).requests, 20);
  proxies_["p2"].is_silent = true;
  seen_.proxies["p2"].connected = false;
  seen_.proxies["p2"].has_left = true;
  EXPECT_DOUBLE_EQ(*Period().requests, 10);
}

TEST_F(FoldTest, AControllerThatBeginsMakesNoSpike) {
  Instance("i-1");
  Proxy("p1");
  agents_["i-1"].cores = 1;
  proxies_["p1"].requests["web/shop:1"] = 10;
  Period(20);
  const auto hosts = std::move(seen_.hosts);
  seen_ = Observations();
  seen_.start = now_;
  seen_.metrics.period = kPeriod;
  seen_.proxies["p1"].connected = true;
  proxy::v1::Hello hello;
  hello.set_incarnation("a");
  hello.mutable_held()->set_epoch(1);
  BeginProcess(hello, seen_.proxies["p1"].counted);
  MetricPoint point = Period();
  EXPECT_EQ(point.requests, std::nullopt);
  EXPECT_EQ(point.cpu_percent, std::nullopt);
  EXPECT_EQ(point.latency_p50_ms, std::nullopt);
  point = Period();
  EXPECT_DOUBLE_EQ(*point.requests, 10);
  EXPECT_DOUBLE_EQ(*point.cpu_percent, 100);
}

TEST_F(FoldTest, WhenARequestLastCame) {
  const Time start = now_;
  Proxy("p1");
  proxies_["p1"].requests["web/shop:1"] = 0;
  Period(3);
  // Until the second report nothing is known: somebody may well have asked.
  EXPECT_EQ(seen_.metrics.histories["web"].last_request, start + absl::Seconds(5));
  proxies_["p1"].held = 1;
  Period();
  EXPECT_EQ(seen_.metrics.histories["web"].last_request, now_);
  proxies_["p1"].held = 0;
  proxies_["p1"].requests["web/shop:1"] = 10;
  Period(2);
  const Time last = now_;
  EXPECT_EQ(seen_.metrics.histories["web"].last_request, last);
  proxies_["p1"].requests["web/shop:1"] = 0;
  Period(3);
  EXPECT_EQ(seen_.metrics.histories["web"].last_request, last);
}

// --- Named values, and what is kept -------------------------------------------------------------

TEST_F(FoldTest, NamedValuesHoldForTheirTime) {
  seen_.metrics.custom[{"web", "orders"}] = {.value = 12, .time = now_};
  seen_.metrics.queried[{"web", "p"}] = {.value = 3, .error = "", .time = now_};
  seen_.metrics.queried[{"web", "q"}] = {
      .value = std::nullopt, .error = "it is down", .time = now_};
  MetricPoint point = Period();
  EXPECT_EQ(point.custom.at("orders"), 12);
  EXPECT_EQ(point.queried.at("p"), 3);
  EXPECT_EQ(point.query_errors.at("q"), "it is down");
  point = Period(3);
  EXPECT_FALSE(point.queried.contains("p"));
  EXPECT_EQ(point.query_errors.at("p"), "no answer has come");
  EXPECT_TRUE(Period(56).custom.contains("orders"));
  EXPECT_FALSE(Period().custom.contains("orders"));
  EXPECT_TRUE(seen_.metrics.custom.empty());
}

TEST_F(FoldTest, HistoriesAreBoundedAndGoWithTheirGroups) {
  Proxy("p1");
  Period(MetricHistory::kPoints + 10);
  EXPECT_EQ(seen_.metrics.histories["web"].points.size(), MetricHistory::kPoints);
  seen_.metrics.custom[{"web", "orders"}] = {.value = 12, .time = now_};
  seen_.metrics.evaluations["web"];
  Draft draft(state_);
  draft.Delete<v1::AutoScalingGroup>("web");
  state_.Apply(draft.Take(), state_.commit() + 1);
  FoldMetrics(state_, seen_, now_);
  EXPECT_TRUE(seen_.metrics.histories.empty());
  EXPECT_TRUE(seen_.metrics.custom.empty());
  EXPECT_TRUE(seen_.metrics.evaluations.empty());
  EXPECT_TRUE(seen_.metrics.counted.empty());
}

}  // namespace
}  // namespace remuda::core
