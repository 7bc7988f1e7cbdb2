// The simulated host itself: what it does where an instance is changed in place.
#include "tests/sim/host.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace remuda::sim {
namespace {

using absl::Milliseconds;
using absl::Seconds;
namespace agent_v1 = agent::v1;

core::Assignment Wants(int generation, agent_v1::DesiredState desired) {
  agent_v1::InstanceAssignment one;
  one.set_instance("i-1");
  one.set_desired(desired);
  one.set_generation(generation);
  one.mutable_launch_template()->set_version(generation);
  return {{"i-1", one}};
}

// Whatever comes in between, the newest generation runs in the end, alone and with the port that
// the first one had.
TEST(SimHost, TheNewestGenerationRunsWhateverComesInBetween) {
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE(seed);
    Scheduler scheduler;
    Random random(seed);
    std::vector<std::string> complaints;
    Host host(
        "h1", scheduler, random,
        [](const v1::LaunchTemplateVersion& launch) {
          return launch.version() % 3 == 1 ? Behaviour::kDiesSoon : Behaviour::kGood;
        },
        [&](const std::string& what) { complaints.push_back(what); });
    int told = 0;
    bool lost = false;  // it may have forgotten
    host.report = [&](const agent_v1::InstanceStatus& status) {
      if (!lost) {
        EXPECT_GE(status.generation(), told);
      }
      told = status.generation();
    };
    host.forgot = [](const std::string&) {};
    host.has_session = true;
    host.Take(Wants(0, agent_v1::DESIRED_STATE_RUNNING));
    const int port = host.Find("i-1")->status.port();
    int generation = 0;
    for (int step = 0; step < 20; ++step) {
      scheduler.RunUntil(scheduler.now() + random.Between(Milliseconds(1), Seconds(4)));
      switch (random.Below(4)) {
        case 0:
          host.CrashAgent();
          lost = true;
          break;
        case 1:
          host.Kill("i-1", 9);
          break;
        default:
          generation = std::max(0, generation + random.Below(3) - 1);
          host.Take(Wants(generation, agent_v1::DESIRED_STATE_RUNNING));
      }
    }
    generation += 99 - generation % 3;  // a good one
    host.Take(Wants(generation, agent_v1::DESIRED_STATE_RUNNING));
    lost = false;
    // Overtaken at any step of the change.
    scheduler.RunUntil(scheduler.now() + random.Between(Milliseconds(1), Seconds(4)));
    generation += 3;
    host.Take(Wants(generation, agent_v1::DESIRED_STATE_RUNNING));
    scheduler.RunUntil(scheduler.now() + Seconds(20));
    const Process& process = *host.Find("i-1");
    EXPECT_TRUE(process.Serves());
    EXPECT_EQ(process.generation, generation);
    EXPECT_EQ(process.status.generation(), generation);
    EXPECT_EQ(process.status.state(), agent_v1::PROCESS_STATE_RUNNING);
    EXPECT_EQ(process.status.port(), port);

    host.Take(Wants(generation + 1, agent_v1::DESIRED_STATE_RUNNING));
    scheduler.RunUntil(scheduler.now() + random.Between(Milliseconds(1), Seconds(4)));
    host.Take(Wants(generation + 1, agent_v1::DESIRED_STATE_STOPPED));
    scheduler.RunUntil(scheduler.now() + Seconds(20));
    EXPECT_FALSE(host.Find("i-1")->Alive());
    EXPECT_EQ(host.Find("i-1")->status.state(), agent_v1::PROCESS_STATE_EXITED);
    EXPECT_EQ(host.Find("i-1")->status.generation(), generation + 1);
    EXPECT_TRUE(complaints.empty()) << complaints.front();
  }
}

TEST(SimHost, AChangeIsOvertakenWhileTheOldProcessEnds) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    Scheduler scheduler;
    Random random(seed);
    Host host(
        "h1", scheduler, random, [](const v1::LaunchTemplateVersion&) { return Behaviour::kGood; },
        [](const std::string& what) { ADD_FAILURE() << what; });
    std::vector<agent_v1::ProcessState> states;  // of generation 2
    host.report = [&](const agent_v1::InstanceStatus& status) {
      if (status.generation() == 2) states.push_back(status.state());
    };
    host.forgot = [](const std::string&) {};
    host.has_session = true;
    host.Take(Wants(0, agent_v1::DESIRED_STATE_RUNNING));
    scheduler.RunUntil(scheduler.now() + Seconds(10));
    host.Take(Wants(1, agent_v1::DESIRED_STATE_RUNNING));
    const Process& process = *host.Find("i-1");
    while (process.status.state() == agent_v1::PROCESS_STATE_FETCHING)
      scheduler.RunUntil(scheduler.now() + Milliseconds(1));
    if (!process.Alive()) continue;  // it has ended within that millisecond
    host.Take(Wants(2, agent_v1::DESIRED_STATE_RUNNING));
    scheduler.RunUntil(scheduler.now() + Seconds(20));
    const std::vector<agent_v1::ProcessState> expected = {agent_v1::PROCESS_STATE_STOPPING,
                                                          agent_v1::PROCESS_STATE_STARTING,
                                                          agent_v1::PROCESS_STATE_RUNNING};
    EXPECT_EQ(states, expected);
    EXPECT_TRUE(process.Serves());
    EXPECT_EQ(process.generation, 2);
  }
}

TEST(SimHost, WhatCannotBePreparedLeavesTheOldOneRunning) {
  Scheduler scheduler;
  Random random(1);
  Host host(
      "h1", scheduler, random, [](const v1::LaunchTemplateVersion&) { return Behaviour::kGood; },
      [](const std::string& what) { ADD_FAILURE() << what; });
  host.report = [](const agent_v1::InstanceStatus&) {};
  host.forgot = [](const std::string&) {};
  host.has_session = true;
  host.Take(Wants(0, agent_v1::DESIRED_STATE_RUNNING));
  scheduler.RunUntil(scheduler.now() + Seconds(10));
  host.fault = Host::Fault::kFails;
  host.Take(Wants(1, agent_v1::DESIRED_STATE_RUNNING));
  scheduler.RunUntil(scheduler.now() + Seconds(10));
  const Process& process = *host.Find("i-1");
  EXPECT_TRUE(process.Serves());
  EXPECT_EQ(process.status.state(), agent_v1::PROCESS_STATE_FETCHING);
  EXPECT_NE(process.status.message(), "");
  host.Kill("i-1", 9);
  EXPECT_EQ(process.status.state(), agent_v1::PROCESS_STATE_FAILED);
  EXPECT_EQ(process.status.generation(), 1);
}

// Whatever comes in between: prepared in the end, and no end of it was told that was its own.
TEST(SimHost, IsPreparedAndRunsAgainWhateverComesInBetween) {
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE(seed);
    Scheduler scheduler;
    Random random(seed);
    Host host(
        "h1", scheduler, random, [](const v1::LaunchTemplateVersion&) { return Behaviour::kGood; },
        [](const std::string& what) { ADD_FAILURE() << what; });
    bool may_end = false;  // killed, or as a generation that the agent has forgotten
    host.report = [&](const agent_v1::InstanceStatus& status) {
      if (!may_end) {
        EXPECT_NE(status.state(), agent_v1::PROCESS_STATE_EXITED);
      }
      if (status.state() == agent_v1::PROCESS_STATE_PREPARED) {
        EXPECT_FALSE(status.has_exit());
      }
    };
    int forgotten = 0;
    host.forgot = [&](const std::string&) { ++forgotten; };
    host.has_session = true;
    int generation = 0;
    for (int step = 0; step < 20; ++step) {
      const bool is_harmed = random.OneIn(8);
      may_end = may_end || is_harmed;
      if (is_harmed && random.OneIn(2)) {
        host.CrashAgent();
      } else if (is_harmed) {
        host.Kill("i-1", 9);
      }
      if (random.OneIn(4)) ++generation;
      host.Take(Wants(generation, random.OneIn(2) ? agent_v1::DESIRED_STATE_PREPARED
                                                  : agent_v1::DESIRED_STATE_RUNNING));
      scheduler.RunUntil(scheduler.now() + random.Between(Milliseconds(1), Seconds(4)));
    }
    host.Take(Wants(generation, agent_v1::DESIRED_STATE_PREPARED));
    scheduler.RunUntil(scheduler.now() + Seconds(20));
    const Process& process = *host.Find("i-1");
    EXPECT_FALSE(process.Alive());
    EXPECT_EQ(process.status.state(), agent_v1::PROCESS_STATE_PREPARED);
    EXPECT_EQ(process.status.generation(), generation);
    host.Take(Wants(generation, agent_v1::DESIRED_STATE_RUNNING));
    scheduler.RunUntil(scheduler.now() + Seconds(20));
    EXPECT_TRUE(process.Serves());
    EXPECT_EQ(process.generation, generation);
    EXPECT_GT(process.status.port(), 0);
    host.Take(Wants(generation, agent_v1::DESIRED_STATE_PREPARED));
    scheduler.RunUntil(scheduler.now() + Seconds(20));
    host.Take({});
    EXPECT_EQ(forgotten, 1);
  }
}

}  // namespace
}  // namespace remuda::sim
