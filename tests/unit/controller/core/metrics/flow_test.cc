// Rates of what agents and proxies count: reports that come late, twice, from the beginning, or
// with numbers that are none.
#include "controller/core/model/flow.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "controller/core/model/draft.h"
#include "controller/core/model/rate_window.h"
#include "controller/core/model/traffic.h"
#include "controller/core/model/usage.h"

namespace remuda::core {
namespace {

constexpr Duration kPeriod = absl::Seconds(5);
const Time kStart = absl::FromUnixSeconds(1'000'000);
Time At(double seconds) { return kStart + absl::Seconds(seconds); }

// --- RateWindow ---------------------------------------------------------------------------------

struct Told {
  double at;
  int64_t count;
};

double RateAfter(const std::vector<Told>& all) {
  RateWindow<1> window;
  for (const Told& told : all) window.Add(At(told.at), kPeriod, {told.count});
  return window.rates() ? (*window.rates())[0] : -1;
}

TEST(RateWindowTest, IsOverTheTimeBetweenReports) {
  EXPECT_EQ(RateAfter({}), -1);
  EXPECT_EQ(RateAfter({{0, 1000}}), -1) << "the first says where it stands";
  EXPECT_EQ(RateAfter({{0, 0}, {5, 50}}), 10);
  EXPECT_EQ(RateAfter({{0, 0}, {5, 50}, {10, 50}}), 0);
  EXPECT_EQ(RateAfter({{0, 0}, {5, 50}, {10, 200}}), 30);
  EXPECT_EQ(RateAfter({{0, 0}, {5, 50}, {65, 650}}), 10) << "after a minute of silence";
}

TEST(RateWindowTest, AReportThatCameLateMakesNoPeak) {
  EXPECT_EQ(RateAfter({{0, 0}, {9.9, 50}, {10, 100}}), 10) << "two at once after a stall";
  EXPECT_EQ(RateAfter({{0, 0}, {9.9, 50}, {10, 100}, {15, 150}}), 10);
  EXPECT_EQ(RateAfter({{0, 0}, {5, 50}, {12, 100}, {15, 150}}), 10);
  EXPECT_EQ(RateAfter({{0, 0}, {5, 50}, {5, 50}, {10, 100}}), 10) << "repeated";
  EXPECT_EQ(RateAfter({{0, 0}, {0, 50}}), -1) << "no time has passed";
}

TEST(RateWindowTest, OneThatTellsOftenIsStillOverAPeriod) {
  RateWindow<1> window;
  for (int i = 0; i <= 1000; ++i) {
    // 10 a second, and 20 a second for the newest 6 s.
    window.Add(At(i * 0.05), kPeriod, {i <= 880 ? i : 880 + 2 * (i - 880)});
  }
  ASSERT_TRUE(window.rates());
  EXPECT_DOUBLE_EQ((*window.rates())[0] * 0.05, 2);
}

// --- Agents -------------------------------------------------------------------------------------

class UsageTest : public ::testing::Test {
 protected:
  void Tell(double at, int64_t micros, double since = 0, int restarts = 0) {
    agent::v1::UsageReport report;
    agent::v1::InstanceUsage& usage = *report.add_instances();
    usage.set_instance("i-1");
    usage.set_cpu_time_micros(micros);
    usage.set_restarts(restarts);
    *usage.mutable_counted_since() = ToProto(At(since));
    TakeUsage(report, At(at), kPeriod, usage_);
  }
  // Cores; -1: nothing.
  double Cpu() const {
    const auto it = usage_.instances.find("i-1");
    if (it == usage_.instances.end() || !it->second.cpu.rates()) return -1;
    return (*it->second.cpu.rates())[0] / 1e6;
  }
  HostUsage usage_;
};

TEST_F(UsageTest, TheFirstReportOnlySaysWhereItStands) {
  Tell(0, 3'600'000'000);
  EXPECT_EQ(Cpu(), -1);
  Tell(5, 3'602'500'000);
  EXPECT_EQ(Cpu(), 0.5);
}

TEST_F(UsageTest, AProcessThatBeganAnewIsCountedFromZero) {
  Tell(0, 50'000'000);
  Tell(5, 55'000'000);
  EXPECT_EQ(Cpu(), 1);
  Tell(10, 2'000'000, /*since=*/8);
  EXPECT_EQ(Cpu(), 0.4);
  Tell(15, 7'000'000, /*since=*/8);
  EXPECT_EQ(Cpu(), 1);
}

TEST_F(UsageTest, NumbersThatAreNoCountsAreNoRate) {
  Tell(0, 0);
  Tell(5, 5'000'000);
  Tell(10, 1'000'000);  // back, and of the same process
  EXPECT_EQ(Cpu(), -1);
  Tell(15, 6'000'000);
  EXPECT_EQ(Cpu(), 1);
  Tell(20, -5);
  EXPECT_EQ(Cpu(), -1);
  Tell(25, 7'000'000);
  EXPECT_EQ(Cpu(), -1);
  Tell(30, 12'000'000);
  EXPECT_EQ(Cpu(), 1);
  Tell(35, std::numeric_limits<int64_t>::max());
  EXPECT_EQ(Cpu(), -1);
  Tell(40, 12'000'000, /*since=*/-100);  // an older process than before
  EXPECT_EQ(Cpu(), -1);
}

TEST_F(UsageTest, WhatAReportDoesNotNameIsForgotten) {
  Tell(0, 0);
  Tell(5, 5'000'000);
  TakeUsage({}, At(10), kPeriod, usage_);
  EXPECT_TRUE(usage_.instances.empty());
  EXPECT_EQ(usage_.time, At(10));
}

// --- Proxies ------------------------------------------------------------------------------------

struct Said {
  std::string subset;
  int64_t requests = 0;
  int64_t errors = 0;
  int64_t bytes_in = 0;
  int64_t bytes_out = 0;
  int64_t in_flight = 0;
};

class FlowTest : public ::testing::Test {
 protected:
  FlowTest() {
    Draft draft(state_);
    draft.Put("tg", v1::TargetGroup());
    state_.Apply(draft.Take(), 1);
  }
  proxy::v1::StatsReport ReportOf(const std::vector<Said>& all,
                                  const std::string& target_group = "tg") {
    proxy::v1::StatsReport report;
    for (const Said& said : all) {
      proxy::v1::SubsetStats& stats = *report.add_subsets();
      stats.set_target_group(target_group);
      stats.set_subset(said.subset);
      stats.set_requests(said.requests);
      stats.set_errors(said.errors);
      stats.set_bytes_in(said.bytes_in);
      stats.set_bytes_out(said.bytes_out);
      stats.set_in_flight(said.in_flight);
    }
    return report;
  }
  void Tell(double at, const std::vector<Said>& all, ProxyFlows& of) {
    TakeFlows(state_, ReportOf(all), At(at), kPeriod, of, all_);
  }
  void Tell(double at, const std::vector<Said>& all) { Tell(at, all, p1_); }
  Flow Of(const std::string& subset) {
    const auto it = all_.subsets.find({"tg", subset});
    return it == all_.subsets.end() ? Flow() : it->second;
  }
  // Requests a second; -1: some are missing.
  double Requests(const std::string& subset) {
    return Of(subset).missing > 0 ? -1 : static_cast<double>(Of(subset).requests) / 1000;
  }

  State state_;
  ProxyFlows p1_, p2_;
  Flows all_;
};

TEST_F(FlowTest, SumsOfProxiesEachOverItsOwnTime) {
  Tell(0, {{.subset = "v1", .requests = 100}}, p1_);
  EXPECT_EQ(Requests("v1"), -1) << "only where it stands";
  Tell(5, {{"v1", 150, 5, 5000, 50'000, 7}}, p1_);
  EXPECT_EQ(Requests("v1"), 10);
  EXPECT_EQ(Of("v1").errors, 1000);
  EXPECT_EQ(Of("v1").bytes_in, 1'000'000);
  EXPECT_EQ(Of("v1").bytes_out, 10'000'000);
  EXPECT_EQ(Of("v1").in_flight, 7);
  Tell(6, {}, p2_);
  Tell(16, {{.subset = "v1", .requests = 400, .in_flight = 2}}, p2_);
  EXPECT_EQ(Requests("v1"), 50) << "40 of them over the ten seconds between its reports";
  EXPECT_EQ(Of("v1").in_flight, 9);
}

TEST_F(FlowTest, WhatIsThereAnewHasBegunFromZero) {
  Tell(0, {});
  Tell(5, {{.subset = "v1", .requests = 50}});
  EXPECT_EQ(Requests("v1"), 10) << "a subset that had no requests before";
  Tell(10, {{.subset = "v1", .requests = 20}});
  EXPECT_EQ(Requests("v1"), 4) << "its numbers went back";
  Tell(15, {});
  EXPECT_TRUE(all_.subsets.empty());
  Tell(20, {{.subset = "v1", .requests = 15}});
  EXPECT_EQ(Requests("v1"), 3);
}

TEST_F(FlowTest, AVersionThatComesBackCountsOnFromWhereItStood) {
  Tell(0, {});
  Tell(5, {{.subset = "v1", .requests = 3000}});
  Tell(10, {{.subset = "v2", .requests = 50}});
  EXPECT_EQ(Requests("v1"), 0);
  Tell(15, {{.subset = "v2", .requests = 100}});
  Tell(20, {{.subset = "v1", .requests = 3035}});
  EXPECT_EQ(Requests("v1"), 7) << "no peak of all that it ever served";
}

TEST_F(FlowTest, OfManyThatAreNotToldOfSomeAreKept) {
  Tell(0, {});
  for (int i = 0; i < 2000; ++i) {
    Tell(5 * (i + 1), {{.subset = absl::StrCat("v", i), .requests = 5}});
  }
  EXPECT_LE(p1_.subsets.size(), 300u);
  EXPECT_EQ(all_.subsets.size(), 1u);
}

TEST_F(FlowTest, AnotherProcessOnlySaysWhereItStands) {
  Tell(0, {});
  Tell(5, {{.subset = "v1", .requests = 50}});
  proxy::v1::StatsReport report = ReportOf({{.subset = "v1", .requests = 5000}});
  *report.mutable_start_time() = ToProto(At(-3600));
  TakeFlows(state_, report, At(10), kPeriod, p1_, all_);
  EXPECT_EQ(Requests("v1"), -1);
  report.mutable_subsets(0)->set_requests(5010);
  TakeFlows(state_, report, At(15), kPeriod, p1_, all_);
  EXPECT_EQ(Requests("v1"), 2);
}

TEST_F(FlowTest, AYoungProcessAddsNothingUntilItsRatesAreKnown) {
  CountedProcess process;
  proxy::v1::Hello hello;
  hello.set_incarnation("a");
  BeginProcess(hello, process);
  Tell(0, {{.subset = "v1", .requests = 5, .in_flight = 3}}, process.flows);
  EXPECT_EQ(Requests("v1"), 0);
  EXPECT_EQ(Of("v1").in_flight, 3);
  Tell(5, {{.subset = "v1", .requests = 105}}, process.flows);
  EXPECT_EQ(Requests("v1"), 20);
  hello.set_incarnation("b");
  BeginProcess(hello, process);
  EXPECT_EQ(Requests("v1"), 20) << "until the next report, or silence";
  Tell(10, {{.subset = "v1", .requests = 1}}, process.flows);
  EXPECT_EQ(Requests("v1"), 0);
}

TEST_F(FlowTest, ASessionAnewOfTheSameProcessGoesOn) {
  CountedProcess process;
  proxy::v1::Hello hello;
  hello.set_incarnation("a");
  hello.mutable_held()->set_epoch(1);
  BeginProcess(hello, process);
  Tell(0, {{.subset = "v1", .requests = 1000}}, process.flows);
  process.from = CountedProcess::From::kSaid;
  BeginProcess(hello, process);
  Tell(10, {{.subset = "v1", .requests = 1100}}, process.flows);
  EXPECT_EQ(Requests("v1"), 10);
}

TEST_F(FlowTest, NumbersThatAreNoCountsAreMissing) {
  const int64_t most = std::numeric_limits<int64_t>::max();
  const Said wrong[] = {{"v1", -1},
                        {"v1", most},
                        {"v1", 60, -1},
                        {"v1", 60, 0, -1},
                        {"v1", 60, 0, 0, most},
                        {"v1", 60, 0, 0, 0, -1},
                        {"v1", 60, 0, 0, 0, most},
                        {"v1", int64_t{1} << 45}};
  for (const Said& said : wrong) {
    Tell(0, {}, p2_);
    Tell(5, {{"v1", 50, 0, 0, 0, 1}}, p2_);
    EXPECT_EQ(Requests("v1"), 10);
    Tell(10, {said}, p2_);
    EXPECT_EQ(Requests("v1"), -1);
    EXPECT_EQ(Of("v1").requests, 0);
    EXPECT_EQ(Of("v1").in_flight, 0);
    ForgetFlows(p2_, all_);
    EXPECT_TRUE(all_.subsets.empty());
  }
}

TEST_F(FlowTest, WhatIsOfNoTargetGroupOfOursOrToldTwiceIsNotKept) {
  TakeFlows(state_, ReportOf({{.subset = "v1"}}, "other"), At(0), kPeriod, p1_, all_);
  TakeFlows(state_, ReportOf({{.subset = "v1", .requests = 9}}, "other"), At(5), kPeriod, p1_,
            all_);
  EXPECT_TRUE(all_.subsets.empty());
  EXPECT_TRUE(p1_.subsets.empty());
  Tell(10, {{.subset = "v1", .requests = 50}, {.subset = "v1", .requests = 70}});
  EXPECT_EQ(Requests("v1"), 10);
}

TEST_F(FlowTest, OneThatIsForgottenTakesItsPartAway) {
  for (ProxyFlows* of : {&p1_, &p2_}) {
    Tell(0, {}, *of);
    Tell(5, {{"v1", 33, 1, 2, 3, 4}}, *of);
  }
  proxy::v1::StatsReport report = ReportOf({{"v1", 66, 2, 4, 6, 8}});
  proxy::v1::TargetGroupStats& group = *report.add_groups();
  group.set_target_group("tg");
  group.set_queued(3);
  group.set_held(4);
  TakeFlows(state_, report, At(10), kPeriod, p1_, all_);
  EXPECT_EQ(all_.target_groups["tg"].queued, 3);
  EXPECT_EQ(all_.target_groups["tg"].held, 4);
  ForgetFlows(p1_, all_);
  EXPECT_EQ(Requests("v1"), 6.6);
  ForgetFlows(p2_, all_);
  EXPECT_TRUE(all_.subsets.empty());
  EXPECT_TRUE(all_.target_groups.empty());
}

TEST_F(FlowTest, TargetsAreToldOfNowAndThen) {
  Draft draft(state_);
  draft.Put("i-1", v1::Instance());
  state_.Apply(draft.Take(), 2);
  proxy::v1::StatsReport report;
  proxy::v1::TargetStats& target = *report.add_targets();
  target.set_target_group("tg");
  target.set_target("i-1");
  const auto tell = [&](int64_t requests, int64_t in_flight, ProxyFlows& of) {
    target.set_requests(requests);
    target.set_in_flight(in_flight);
    TakeFlows(state_, report, At(0), kPeriod, of, all_);
    return std::pair(all_.targets["i-1"].requests, all_.targets["i-1"].in_flight);
  };
  Tell(0, {}, p1_);
  EXPECT_EQ(tell(1000, 3, p1_), std::pair(int64_t{0}, int64_t{3})) << "where it stands";
  EXPECT_EQ(tell(1010, 2, p1_), std::pair(int64_t{10}, int64_t{2}));
  Tell(0, {}, p1_);  // not named: as it was
  EXPECT_EQ(tell(1010, 2, p1_), std::pair(int64_t{10}, int64_t{2}));
  p2_.is_young = true;
  EXPECT_EQ(tell(7, 5, p2_), std::pair(int64_t{17}, int64_t{7}));
  EXPECT_EQ(tell(4, 0, p2_), std::pair(int64_t{21}, int64_t{2})) << "begun from zero";
  EXPECT_EQ(tell(-1, 9, p2_), std::pair(int64_t{21}, int64_t{2}));
  EXPECT_EQ(tell(5, -9, p2_), std::pair(int64_t{21}, int64_t{2}));
  ForgetFlows(p1_, all_);
  EXPECT_EQ(all_.targets["i-1"].in_flight, 0);
  target.set_target("10.0.0.1:80");  // no instance
  TakeFlows(state_, report, At(0), kPeriod, p2_, all_);
  EXPECT_EQ(all_.targets.size(), 1u);
}

TEST_F(FlowTest, TargetsOfInstancesThatAreGoneAreDropped) {
  proxy::v1::StatsReport report;
  Draft draft(state_);
  for (int i = 0; i < 200; ++i) {
    draft.Put(absl::StrCat("i-", i), v1::Instance());
    proxy::v1::TargetStats& target = *report.add_targets();
    target.set_target_group("tg");
    target.set_target(absl::StrCat("i-", i));
  }
  state_.Apply(draft.Take(), 2);
  TakeFlows(state_, report, At(0), kPeriod, p1_, all_);
  EXPECT_EQ(all_.targets.size(), 200u);
  Draft gone(state_);
  for (int i = 0; i < 200; ++i) gone.Delete<v1::Instance>(absl::StrCat("i-", i));
  gone.Put("i-1000", v1::Instance());
  state_.Apply(gone.Take(), 3);
  ForgetGoneTargets(state_, all_);
  EXPECT_TRUE(all_.targets.empty());
  p1_.most_targets = 100;
  TakeFlows(state_, {}, At(5), kPeriod, p1_, all_);
  EXPECT_TRUE(p1_.targets.empty());
}

TEST_F(FlowTest, WaitingRequestsThatAreNoNumberAreMissing) {
  proxy::v1::StatsReport report;
  proxy::v1::TargetGroupStats& group = *report.add_groups();
  group.set_target_group("tg");
  group.set_held(-1);
  TakeFlows(state_, report, At(0), kPeriod, p1_, all_);
  EXPECT_EQ(all_.target_groups["tg"].missing, 1);
  TakeFlows(state_, {}, At(5), kPeriod, p1_, all_);
  EXPECT_TRUE(all_.target_groups.empty());
}

}  // namespace
}  // namespace remuda::core
