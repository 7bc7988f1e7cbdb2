#include "cli/dev_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/dev_supervisor.h"

namespace remuda::cli {
namespace {

using std::chrono::milliseconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;

TEST(DevPlan, NumbersPortsZonesAndAddresses) {
  DevOptions options;
  options.hosts = 3;
  options.proxies = 2;
  const std::vector<DevProgram> programs = PlanDev(options);
  ASSERT_EQ(programs.size(), 6u);
  EXPECT_EQ(programs[0].role, DevRole::kController);
  EXPECT_EQ(programs[0].grpc_port, 7400);
  EXPECT_EQ(programs[3].name, "h3");
  EXPECT_EQ(programs[3].http_port, 7472);
  EXPECT_EQ(programs[5].name, "p2");
  EXPECT_EQ(programs[5].http_port, 7491);
  EXPECT_EQ(DevHostAddress(2), "127.0.1.3");
  EXPECT_EQ(DevHostZone(options, 2), "c");
  EXPECT_EQ(DevHostZone(options, 26), "a");
  EXPECT_EQ(DevProxyZone(options, 0), "");
}

TEST(DevPlan, ZonesAreGivenInTurn) {
  DevOptions options;
  options.hosts = 3;
  options.proxies = 2;
  options.zones = {"north", "south"};
  EXPECT_TRUE(CheckDevOptions(options).ok());
  std::vector<std::string> zones;
  for (const DevProgram& program : PlanDev(options)) {
    const auto arguments = DevArguments(options, program, "127.0.0.1:9");
    const auto flag = std::find(arguments.begin(), arguments.end(), "--zone");
    zones.push_back(flag == arguments.end() ? "" : *(flag + 1));
  }
  EXPECT_THAT(zones, ElementsAre("", "north", "south", "north", "north", "south"));
  options.zones.emplace_back();
  EXPECT_THAT(std::string(CheckDevOptions(options).message()), HasSubstr("write them as a,b"));
}

// What an agent kills by its user would be another's.
TEST(DevPlan, NoTwoHostsGiveTheSameUsers) {
  DevOptions options;
  options.hosts = 3;
  std::vector<std::string> ranges;
  for (const DevProgram& program : PlanDev(options)) {
    const auto arguments = DevArguments(options, program, "127.0.0.1:9");
    const auto flag = std::find(arguments.begin(), arguments.end(), "--user-range");
    if (flag != arguments.end()) ranges.push_back(*(flag + 1));
  }
  EXPECT_THAT(ranges, ElementsAre("700000-700999", "701000-701999", "702000-702999"));
}

TEST(DevPlan, ZeroMeansAnyPortForAll) {
  DevOptions options;
  options.agent_http_port = 0;
  for (const DevProgram& program : PlanDev(options)) {
    EXPECT_EQ(program.http_port == 0, program.role == DevRole::kAgent) << program.name;
  }
  EXPECT_TRUE(CheckDevOptions(options).ok());
}

TEST(DevPlan, DefaultsLeaveRoomForTenHosts) {
  DevOptions options;
  options.hosts = 10;
  EXPECT_TRUE(CheckDevOptions(options).ok());
  options.hosts = 11;
  EXPECT_FALSE(CheckDevOptions(options).ok());
}

TEST(DevPlan, ArgumentsNameTheControllerAndTheProgramsOwnPlace) {
  DevOptions options;
  options.program_dir = "/bin";
  options.data_dir = "/data";
  const auto programs = PlanDev(options);
  EXPECT_THAT(DevArguments(options, programs[1], "127.0.0.1:9"),
              IsSupersetOf({"/bin/remuda-agent", "h1", "127.0.0.1:9", "127.0.1.1",
                            "/data/agents/h1", "/data/run/h1.ready", "--stop-instances-on-exit"}));
  EXPECT_THAT(DevArguments(options, programs[0], ""), Contains("127.0.0.1:7400"));
}

TEST(DevPlan, ProxiesStopFirstAndAgentsLast) {
  EXPECT_LT(StopStage(DevRole::kProxy), StopStage(DevRole::kController));
  EXPECT_LT(StopStage(DevRole::kController), StopStage(DevRole::kAgent));
}

TEST(RestartBackoff, GrowsForTheYoungAndForgetsTheOld) {
  RestartBackoff backoff;
  EXPECT_EQ(backoff.Next(milliseconds(10)), milliseconds(250));
  EXPECT_EQ(backoff.Next(milliseconds(10)), milliseconds(500));
  EXPECT_EQ(backoff.Next(milliseconds(10)), milliseconds(1000));
  for (int i = 0; i < 100; ++i) backoff.Next(milliseconds(10));
  EXPECT_EQ(backoff.Next(milliseconds(10)), milliseconds(10'000));
  EXPECT_EQ(backoff.Next(milliseconds(60'000)), milliseconds(250));
}

}  // namespace
}  // namespace remuda::cli
