// The life of instances: launched to desired, into service, drained by confirmation, stopped,
// replaced.
#include <set>

#include "controller/core/reconcile/limits.h"
#include "controller/core/reconcile/pass.h"
#include "controller/core/views/describe.h"
#include "tests/unit/controller/core/world.h"

namespace remuda::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Two hosts, one proxy, group blue 1..2 on port 8000 in target group tg, settled at `desired`.
World Shop(int desired) {
  World world;
  world.Host("h1", "a");
  world.Host("h2", "b");
  world.Proxy("p1");
  world.Balanced("tg");
  world.Template("shop", 1, 8000);
  world.Group("blue", 1, 2, desired, [](auto& row) { row.add_target_groups("tg"); });
  world.Settle();
  return world;
}

TEST(Life, LaunchesToDesiredOverZones) {
  World world = Shop(2);
  ASSERT_THAT(world.InService("blue"), SizeIs(2));
  const auto& ids = world.InService("blue");
  EXPECT_EQ(world.Get<v1::Instance>(ids[0]).zone(), "a");
  EXPECT_EQ(world.Get<v1::Instance>(ids[1]).zone(), "b");
  EXPECT_EQ(world.LastActivity("Launching").status(), v1::ACTIVITY_STATUS_SUCCESSFUL);
}

TEST(Life, ComesIntoServiceOnlyWhenRunningAndFoundHealthy) {
  World world = Shop(1);
  world.Desired("blue", 2);
  world.Step();
  ASSERT_THAT(world.Pending("blue"), SizeIs(1));
  const std::string id = world.Pending("blue")[0];
  // Not a target before its process runs: checks would only fail.
  EXPECT_EQ(TargetGroupViewOf(world.state, world.seen, "tg").targets.count(id), 0u);
  world.Runs(id);
  world.Step();
  EXPECT_EQ(TargetGroupViewOf(world.state, world.seen, "tg").targets.count(id), 1u);
  EXPECT_THAT(world.Pending("blue"), ElementsAre(id));
  world.Finds("p1", "tg", id, v1::TARGET_STATE_INITIAL);
  world.Step();
  EXPECT_THAT(world.Pending("blue"), ElementsAre(id));
  world.Finds("p1", "tg", id, v1::TARGET_STATE_HEALTHY);
  world.Step();
  EXPECT_THAT(world.InService("blue"), SizeIs(2));
}

TEST(Life, StopsOnlyAfterConfirmationAndIdleness) {
  World world = Shop(2);
  world.Desired("blue", 1);
  world.Step();
  const auto draining = world.Ids("blue", {v1::INSTANCE_STATE_DRAINING});
  ASSERT_THAT(draining, SizeIs(1));
  const std::string id = draining[0];
  const std::string host = world.Get<v1::Instance>(id).host();
  const auto state_of = [&] { return world.Get<v1::Instance>(id).state(); };
  EXPECT_EQ(TargetGroupViewOf(world.state, world.seen, "tg").targets.at(id).state(),
            proxy::v1::Target::STATE_DRAINING);
  world.Advance(absl::Seconds(60));
  EXPECT_EQ(state_of(), v1::INSTANCE_STATE_DRAINING) << "nobody has confirmed";
  world.seen.proxies["p1"].busy[{"tg", id}] = 1;
  world.Confirm();
  world.Step();
  EXPECT_EQ(state_of(), v1::INSTANCE_STATE_DRAINING) << "the delay counts from the confirmation";
  world.Confirm();
  world.Advance(absl::Seconds(9));
  EXPECT_EQ(state_of(), v1::INSTANCE_STATE_DRAINING);
  world.Advance(absl::Seconds(1));
  EXPECT_EQ(state_of(), v1::INSTANCE_STATE_STOPPING) << "the delay is over";
  EXPECT_EQ(AssignmentFor(world.state, world.seen, host).at(id).desired(),
            agent::v1::DESIRED_STATE_STOPPED);
  EXPECT_EQ(TargetGroupViewOf(world.state, world.seen, "tg").targets.count(id), 0u);
  world.Stopped(id);
  world.Step();
  EXPECT_EQ(state_of(), v1::INSTANCE_STATE_TERMINATED);
  EXPECT_EQ(AssignmentFor(world.state, world.seen, host).count(id), 0u);
  EXPECT_EQ(world.LastActivity("Draining").status(), v1::ACTIVITY_STATUS_SUCCESSFUL);
}

TEST(Life, WaitsForRequestsInFlightUntilTheDelayIsOver) {
  World world = Shop(2);
  world.Advance(absl::Seconds(20));
  world.Desired("blue", 1);
  world.Step();
  const std::string id = world.Ids("blue", {v1::INSTANCE_STATE_DRAINING})[0];
  world.seen.proxies["p1"].busy[{"tg", id}] = 3;
  world.Confirm();
  world.Step();
  world.Confirm();
  world.Step();
  EXPECT_EQ(world.Get<v1::Instance>(id).state(), v1::INSTANCE_STATE_DRAINING);
  EXPECT_EQ(world.due, world.now + absl::Seconds(10));
  world.seen.proxies["p1"].busy.clear();
  world.Step();
  EXPECT_EQ(world.Get<v1::Instance>(id).state(), v1::INSTANCE_STATE_STOPPING);
}

TEST(Life, ASilentProxyIsWaitedForUntilItsLeaseIsOver) {
  World world = Shop(2);
  world.Proxy("p2");
  world.Settle();
  world.seen.proxies["p1"].connected = false;
  world.Desired("blue", 1);
  world.Step();
  world.Confirm();
  const std::string id = world.Ids("blue", {v1::INSTANCE_STATE_DRAINING})[0];
  world.Advance(absl::Seconds(14));
  EXPECT_EQ(world.Get<v1::Instance>(id).state(), v1::INSTANCE_STATE_DRAINING);
  // Then it does not count; but who still reaches it would get errors if what it sends to were
  // gone.
  world.Advance(absl::Seconds(1));
  EXPECT_EQ(world.Get<v1::Instance>(id).state(), v1::INSTANCE_STATE_DRAINING);
  EXPECT_EQ(world.due, world.now + kCutOffPatience);
  world.Advance(kCutOffPatience);
  EXPECT_EQ(world.Get<v1::Instance>(id).state(), v1::INSTANCE_STATE_STOPPING);
}

TEST(Life, NothingIsKeptForAProxyThatIsCutOffBeyondTheGroupsRoom) {
  World world = Shop(2);
  world.Proxy("p2");
  world.Settle();
  world.seen.proxies["p1"].connected = false;
  world.Edit<v1::AutoScalingGroup>("blue", [](auto& row) {
    row.set_desired(1);
    row.set_max(1);
  });
  world.Step();
  world.Confirm();
  const std::string id = world.Ids("blue", {v1::INSTANCE_STATE_DRAINING})[0];
  world.Advance(absl::Seconds(15));
  EXPECT_EQ(world.Get<v1::Instance>(id).state(), v1::INSTANCE_STATE_STOPPING);
}

TEST(Life, ADeadProcessLeavesTheViewAtOnceAndIsReplacedInTheSameTurn) {
  World world = Shop(1);
  const std::string id = world.InService("blue")[0];
  world.Advance(absl::Seconds(20));
  world.Killed(id);
  EXPECT_EQ(TargetGroupViewOf(world.state, world.seen, "tg").targets.at(id).state(),
            proxy::v1::Target::STATE_GONE)
      << "before any commit";
  world.Step();
  EXPECT_EQ(world.Get<v1::Instance>(id).state(), v1::INSTANCE_STATE_TERMINATED);
  ASSERT_THAT(world.Pending("blue"), SizeIs(1));
  EXPECT_THAT(world.LastActivity("Launching").cause(), HasSubstr("ended by signal 9"));
  EXPECT_EQ(world.Get<v1::AutoScalingGroup>("blue").status().launch_failures(), 0);
}

TEST(Life, AnEndThatNobodySawIsToldAsTheAgentSaysIt) {
  World world = Shop(1);
  const std::string id = world.InService("blue")[0];
  world.Killed(id, 0);
  world.Status(id).set_message("the host was restarted");
  world.Step();
  EXPECT_EQ(world.Get<v1::Instance>(id).state_reason(),
            "its process is gone: the host was restarted");
}

TEST(Life, WhatItPrintedLastIsInTheActivitiesOfItsEnd) {
  World world = Shop(1);
  world.Desired("blue", 2);
  world.Step();
  const std::string id = world.Pending("blue")[0];
  const std::string launch = world.Get<v1::Instance>(id).activity();
  world.Killed(id, 0);
  world.Status(id).set_log_tail("starting\nFATAL: no database\n");
  world.Step();
  EXPECT_EQ(world.Get<v1::Activity>(launch).status(), v1::ACTIVITY_STATUS_FAILED);
  EXPECT_EQ(world.Get<v1::Activity>(launch).log_tail(), "starting\nFATAL: no database\n");
  EXPECT_EQ(world.LastActivity("out of service").log_tail(), "starting\nFATAL: no database\n");

  // An agent that sends more is not trusted with the store: whole lines, as many as may be.
  const std::string other = world.InService("blue")[0];
  world.Killed(other);
  std::string more(5000, 'x');
  more += "\ncaf\xc3\xa9\n";
  world.Status(other).set_log_tail(more);
  world.Step();
  EXPECT_EQ(world.LastActivity("out of service").log_tail(), "caf\xc3\xa9\n");
}

TEST(Life, CrashLoopsWaitLongerEachTime) {
  World world = Shop(1);
  world.Advance(absl::Seconds(20));
  world.Killed(world.InService("blue")[0]);
  world.Step();
  // The first launch that fails is replaced at once.
  const std::string first = world.Pending("blue")[0];
  world.Runs(first);
  world.Step();
  world.Killed(first, 11);
  world.Step();
  EXPECT_EQ(world.Get<v1::AutoScalingGroup>("blue").status().waiting(),
            "1 launch of shop:1 failed, that of " + first + ": its process was ended by signal 11");
  for (const int seconds : {1, 2, 4, 8, 16, 32, 60, 60}) {
    ASSERT_THAT(world.Pending("blue"), SizeIs(1));
    const std::string id = world.Pending("blue")[0];
    world.Runs(id);
    world.Step();
    world.Killed(id, 11);
    world.Step();
    EXPECT_THAT(world.Pending("blue"), IsEmpty());
    EXPECT_EQ(world.due, world.now + absl::Seconds(seconds));
    EXPECT_THAT(world.Get<v1::AutoScalingGroup>("blue").status().waiting(),
                HasSubstr(" launches of shop:1 failed in a row; the last, " + id +
                          ": its process was ended by signal 11; the next waits until "));
    world.Advance(absl::Seconds(seconds));
  }
  world.Settle();
  world.Advance(absl::Seconds(11));
  EXPECT_EQ(world.Get<v1::AutoScalingGroup>("blue").status().launch_failures(), 0);
}

// Long before the grace period of those that are not healthy is over.
TEST(Life, AGroupSaysWhyItsInstancesDoNotBecomeHealthy) {
  World world;
  for (const char* host : {"h1", "h2", "h3"}) world.Host(host);
  world.Proxy("p1");
  world.Balanced("tg");
  world.Template("shop", 1, 8000);
  world.Group("blue", 0, 3, 3, [](auto& row) { row.add_target_groups("tg"); });
  world.Step();
  const auto waiting = [&] {
    return Describe(Draft(world.state), world.seen, world.now,
                    world.Get<v1::AutoScalingGroup>("blue"))
        .status()
        .waiting();
  };
  const std::vector<std::string> ids = world.Pending("blue");
  ASSERT_THAT(ids, SizeIs(3));
  for (const std::string& id : ids) world.Runs(id);
  world.Step();
  EXPECT_EQ(waiting(), "") << "nothing is known against them";
  const auto fails = [&](const std::string& id, const char* reason, const char* description) {
    world.Finds("p1", "tg", id, v1::TARGET_STATE_UNHEALTHY);
    auto& health = world.seen.proxies["p1"].health[{"tg", id}];
    health.set_reason(reason);
    health.set_description(description);
  };
  fails(ids[0], "Target.Timeout", "");
  world.Step();
  EXPECT_EQ(waiting(), "instance " + ids[0] +
                           " is not healthy: its health check in target group tg failed: "
                           "Target.Timeout");
  fails(ids[1], "Target.FailedHealthChecks", "Connection refused");
  fails(ids[2], "Target.FailedHealthChecks", "Connection refused");
  world.Step();
  EXPECT_EQ(waiting(), "3 instances are not healthy, for example " + ids[1] +
                           ": its health check in target group tg failed: "
                           "Target.FailedHealthChecks, Connection refused");
  world.FindsAll(v1::TARGET_STATE_HEALTHY);
  world.Step();
  EXPECT_EQ(waiting(), "");
}

TEST(Life, OneThatAPersonEndsServesUntilAnotherDoes) {
  World world = Shop(1);
  const std::string asked = world.InService("blue")[0];
  world.Edit<v1::Instance>(asked, [](auto& row) { row.set_terminate_requested(true); });
  world.Step();
  ASSERT_THAT(world.Pending("blue"), SizeIs(1));
  const std::string fresh = world.Pending("blue")[0];
  EXPECT_EQ(world.Get<v1::Instance>(fresh).launched_for(), asked);
  EXPECT_EQ(world.LastActivity("Launching").cause(),
            "instance " + asked + " is to be replaced: a person asked to terminate it");
  world.Runs(fresh);
  world.Step();
  EXPECT_THAT(world.InService("blue"), ElementsAre(asked)) << "until the other is found healthy";
  world.Finds("p1", "tg", fresh, v1::TARGET_STATE_HEALTHY);
  world.Step();
  EXPECT_THAT(world.InService("blue"), ElementsAre(fresh));
  EXPECT_EQ(world.Get<v1::Instance>(asked).state(), v1::INSTANCE_STATE_DRAINING);
}

TEST(Life, OneThatAPersonEndsGoesFirstWhereNothingHasRoomBesideIt) {
  World world = Shop(2);  // as many as max
  const std::string asked = world.InService("blue")[0];
  world.Edit<v1::Instance>(asked, [](auto& row) { row.set_terminate_requested(true); });
  world.Step();
  EXPECT_EQ(world.Get<v1::Instance>(asked).state(), v1::INSTANCE_STATE_DRAINING);
  EXPECT_THAT(world.LastActivity("Draining").cause(),
              HasSubstr("there is no room to launch its replacement first"));
}

// Several at once: each goes when another serves in its place, as far as max allows.
TEST(Life, ThoseThatAPersonEndsAreReplacedBeforeTheyGo) {
  World world;
  for (const char* host : {"h1", "h2", "h3"}) world.Host(host);
  world.Proxy("p1");
  world.Balanced("tg");
  world.Template("shop", 1, 0);
  world.Group("blue", 1, 3, 2, [](auto& row) { row.add_target_groups("tg"); });
  world.Settle();
  const auto asked = world.InService("blue");
  for (const std::string& id : asked) {
    world.Edit<v1::Instance>(id, [](auto& row) { row.set_terminate_requested(true); });
    world.Step();
  }
  EXPECT_EQ(world.InService("blue"), asked) << "max has room for one, which is on its way up";
  ASSERT_THAT(world.Pending("blue"), SizeIs(1));
  for (int replaced = 1; replaced <= 2; ++replaced) {
    SCOPED_TRACE(replaced);
    const std::string fresh = world.Pending("blue")[0];
    world.Runs(fresh);
    world.Step();
    world.Finds("p1", "tg", fresh, v1::TARGET_STATE_HEALTHY);
    world.Step();
    EXPECT_THAT(world.InService("blue"), SizeIs(2));
    EXPECT_THAT(world.Ids("blue", {v1::INSTANCE_STATE_DRAINING}), SizeIs(replaced));
  }
  world.Settle();
  EXPECT_THAT(world.InService("blue"), SizeIs(2));
}

// There is room for one of two: that is what it waits for.
TEST(Life, OneThatAPersonEndsServesUntilWhatIsLaunchedWithItDoes) {
  World world = Shop(1);
  const std::string asked = world.InService("blue")[0];
  world.Edit<v1::Instance>(asked, [](auto& row) { row.set_terminate_requested(true); });
  world.Edit<v1::AutoScalingGroup>("blue", [](auto& row) {
    row.set_max(4);
    row.set_desired(4);
  });
  world.Step();
  ASSERT_THAT(world.Pending("blue"), ::testing::Not(IsEmpty()));
  EXPECT_THAT(world.InService("blue"), ElementsAre(asked));
}

TEST(Life, EachThatAPersonEndsHasALaunchOfItsOwn) {
  World world = Shop(2);
  world.Template("shop", 1, 0);
  world.Edit<v1::AutoScalingGroup>("blue", [](auto& row) { row.set_max(4); });
  const auto asked = world.InService("blue");
  std::vector<std::string> served;
  for (const std::string& id : asked) {
    world.Edit<v1::Instance>(id, [](auto& row) { row.set_terminate_requested(true); });
    world.Step();
    served.push_back(world.Get<v1::Instance>(world.Pending("blue").back()).launched_for());
  }
  EXPECT_EQ(world.InService("blue"), asked);
  EXPECT_EQ(served, asked);
}

TEST(Life, ThoseThatAPersonEndsGoOneByOneWhereNothingHasRoom) {
  World world = Shop(2);  // as many as max
  const auto asked = world.InService("blue");
  for (const std::string& id : asked) {
    world.Edit<v1::Instance>(id, [](auto& row) { row.set_terminate_requested(true); });
    world.Step();
  }
  EXPECT_THAT(world.Ids("blue", {v1::INSTANCE_STATE_DRAINING}), ElementsAre(asked[0]));
  EXPECT_THAT(world.InService("blue"), ElementsAre(asked[1])) << "the other is being replaced";
  world.Settle();
  const auto fresh = world.InService("blue");
  EXPECT_THAT(fresh, SizeIs(2));
  EXPECT_THAT(fresh, ::testing::Not(::testing::Contains(asked[1])));
}

// What each launch is for, from the first crash on: none is named twice, nor an earlier one again.
TEST(Life, EachLaunchNamesTheCrashThatItAnswers) {
  World world;
  world.Host("h1");
  world.Template("shop", 1, 0);
  world.Group("blue", 3, 3, 3);
  world.Settle();
  for (int i = 0; i < 5; ++i) {
    SCOPED_TRACE(i);
    world.Advance(absl::Seconds(20));
    const std::string crashed = world.InService("blue")[static_cast<size_t>(i) % 3];
    world.Killed(crashed, 6 + i);
    world.Step();
    ASSERT_THAT(world.Pending("blue"), SizeIs(1));
    const v1::Instance fresh = world.Get<v1::Instance>(world.Pending("blue")[0]);
    EXPECT_EQ(fresh.launched_for(), crashed);
    EXPECT_THAT(fresh.state_reason(),
                HasSubstr(absl::StrCat(crashed,
                                       " was taken out of service because its process was "
                                       "ended by signal ",
                                       6 + i)));
    world.Settle();
  }
  world.Advance(absl::Seconds(20));
  const auto both = world.InService("blue");
  world.Killed(both[0]);
  world.Killed(both[1]);
  world.Step();
  std::set<std::string> named;
  for (const std::string& id : world.Pending("blue")) {
    named.insert(world.Get<v1::Instance>(id).launched_for());
  }
  EXPECT_EQ(named, (std::set<std::string>{both[0], both[1]}));
}

TEST(Life, ALaunchNamesNoCrashThatNothingWasWantedFor) {
  World world;
  world.Host("h1");
  world.Template("shop", 1, 0);
  world.Group("blue", 1, 3, 3);
  world.Settle();
  world.Advance(absl::Seconds(20));
  const auto all = world.InService("blue");
  world.Killed(all[0]);
  world.Killed(all[1]);
  world.Desired("blue", 1);
  world.Step();
  ASSERT_THAT(world.Pending("blue"), IsEmpty());
  world.Advance(absl::Seconds(1));
  world.Desired("blue", 2);
  world.Settle();
  world.Advance(absl::Seconds(1));
  world.Desired("blue", 3);
  world.Step();
  EXPECT_EQ(world.LastActivity("Launching").cause(),
            "3 instances of shop:1 are desired and 2 are up");
}

TEST(Life, AProcessThatTheStateDoesNotKnowIsStopped) {
  World world = Shop(1);
  auto& status = world.seen.hosts["h1"].instances["i-stray"];
  status.set_state(agent::v1::PROCESS_STATE_RUNNING);
  EXPECT_EQ(AssignmentFor(world.state, world.seen, "h1").at("i-stray").desired(),
            agent::v1::DESIRED_STATE_STOPPED);
}

TEST(Life, SaysOnceThatAPortIsTakenOnEveryHost) {
  World world;
  world.Host("h1");
  world.Template("shop", 1, 8000);
  world.Group("blue", 1, 2, 2);
  world.Settle();
  world.Advance(absl::Seconds(1));
  EXPECT_THAT(world.InService("blue"), SizeIs(1));
  EXPECT_EQ(world.Get<v1::AutoScalingGroup>("blue").status().waiting(),
            "port 8000 is taken on every eligible host: h1");
  EXPECT_EQ(world.CountActivities("is taken"), 1);
  world.Host("h2");
  world.Settle();
  EXPECT_THAT(world.InService("blue"), SizeIs(2));
  EXPECT_EQ(world.Get<v1::AutoScalingGroup>("blue").status().waiting(), "");
}

TEST(Life, ADeletedGroupGoesWithItsLastInstance) {
  World world = Shop(2);
  world.Edit<v1::AutoScalingGroup>("blue", [](auto& row) { row.set_deleting(true); });
  world.Step();
  EXPECT_THAT(world.Ids("blue", {v1::INSTANCE_STATE_DRAINING}), SizeIs(2));
  world.Settle();
  EXPECT_EQ(world.state.Find<v1::AutoScalingGroup>("blue"), nullptr);
  EXPECT_TRUE(world.state.All<v1::Instance>().empty());
}

}  // namespace
}  // namespace remuda::core
