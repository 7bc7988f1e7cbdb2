// Hosts that cannot start what they are given, that are lost, that come back, and zones out of
// balance.
#include "controller/core/reconcile/host_failures.h"
#include "controller/core/reconcile/launch_failures.h"
#include "controller/core/reconcile/limits.h"
#include "tests/unit/controller/core/world.h"

namespace remuda::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Spread = std::map<std::string, int>;

class HostsTest : public ::testing::Test, public World {
 protected:
  HostsTest() {
    Template("shop", 1, 0);
    Template("tool", 1, 0);
  }
  // Instances of the group that are up, by host.
  Spread ByHost(const std::string& group = "blue") const {
    Spread out;
    for (const std::string& id :
         Ids(group, {v1::INSTANCE_STATE_PENDING, v1::INSTANCE_STATE_IN_SERVICE})) {
      ++out[Get<v1::Instance>(id).host()];
    }
    return out;
  }
  void Says(const std::string& id, agent::v1::ProcessState process,
            const std::string& message = "") {
    agent::v1::InstanceStatus status;
    status.set_instance(id);
    status.set_state(process);
    status.set_message(message);
    Report(seen.hosts[Get<v1::Instance>(id).host()], status, now);
  }
  void FailsOn(const std::string& host, const std::string& group = "blue") {
    for (const std::string& id : Pending(group)) {
      if (Get<v1::Instance>(id).host() == host) {
        Says(id, agent::v1::PROCESS_STATE_FAILED, "no program shopd");
      }
    }
    Step();
  }
  std::string Waiting(const std::string& group = "blue") const {
    return Get<v1::AutoScalingGroup>(group).status().waiting();
  }
  // A controller that has just begun: it knows the state, and hears from nobody yet.
  void Restart() {
    Observations fresh;
    fresh.start = now;
    fresh.patience = seen.patience;
    seen = std::move(fresh);
  }
  // The host goes; its instances are given up in time if they are to be.
  void Lose(const std::string& host) {
    Silence(host);
    Advance(absl::Seconds(10));
    Advance(absl::Seconds(5));
    Settle();
  }
};

TEST_F(HostsTest, OneWhereALaunchFailedIsAvoidedForAWhile) {
  for (const char* host : {"h1", "h2", "h3"}) Host(host);
  Group("blue", 0, 9, 2);
  Step();
  ASSERT_EQ(ByHost(), (Spread{{"h1", 1}, {"h2", 1}}));
  FailsOn("h2");
  EXPECT_EQ(ByHost(), (Spread{{"h1", 1}, {"h3", 1}}));
  Settle();
  Desired("blue", 4);
  Settle();
  EXPECT_EQ(ByHost(), (Spread{{"h1", 2}, {"h3", 2}}));
  const HostRecord record = WorstHostRecordOf(Draft(state).InstancesOnHost("h2"), now);
  EXPECT_EQ(record.failures, 1);
  EXPECT_EQ(record.avoided_until, now + kFirstHostBackoff);
  EXPECT_THAT(record.last, HasSubstr("of shop:1: it could not be started: no program shopd"));
  // Then it gets another chance; a second failure costs more patience.
  Advance(kFirstHostBackoff);
  Desired("blue", 5);
  Step();
  ASSERT_EQ(ByHost()["h2"], 1);
  FailsOn("h2");
  EXPECT_EQ(WorstHostRecordOf(Draft(state).InstancesOnHost("h2"), now).avoided_until,
            now + 2 * kFirstHostBackoff);
  // A launch that holds there ends it.
  Advance(2 * kFirstHostBackoff);
  Desired("blue", 6);
  Settle();
  ASSERT_GE(ByHost()["h2"], 1);
  Advance(kStableAfter);
  EXPECT_EQ(WorstHostRecordOf(Draft(state).InstancesOnHost("h2"), now).failures, 0);
}

TEST_F(HostsTest, OneWhereSeveralVersionsFailIsAvoidedForAll) {
  for (const char* host : {"h1", "h2"}) Host(host);
  Template("third", 1, 0);
  Group("blue", 0, 9, 2);
  Group("green", 0, 9, 2,
        [](auto& row) { row.mutable_launch_template()->set_launch_template("tool"); });
  Step();
  FailsOn("h2", "blue");
  Group("early", 0, 9, 1,
        [](auto& row) { row.mutable_launch_template()->set_launch_template("third"); });
  Step();
  EXPECT_EQ(ByHost("early"), (Spread{{"h2", 1}})) << "one version's failure is no other's";
  FailsOn("h2", "green");
  Desired("early", 4);
  Step();
  EXPECT_EQ(ByHost("early"), (Spread{{"h1", 3}, {"h2", 1}}));
}

TEST_F(HostsTest, TheOnlyOneIsUsedThoughLaunchesFailedThere) {
  Host("h1");
  Group("blue", 0, 9, 1);
  Step();
  FailsOn("h1");
  EXPECT_EQ(ByHost(), (Spread{{"h1", 1}}));
}

TEST_F(HostsTest, LaunchesThatFailTogetherOnOneHostCountOnce) {
  Host("h1");
  Group("blue", 0, 9, 4);
  Step();
  ASSERT_THAT(Pending("blue"), SizeIs(4));
  Advance(absl::Seconds(1));
  FailsOn("h1");
  const auto record = [&] {
    return LaunchRecordOf(Draft(state).InstancesOfGroup("blue").list(),
                          Get<v1::AutoScalingGroup>("blue").launch_template(), "", now);
  };
  EXPECT_EQ(record().failures, 1) << "it may be the host's fault";
  ASSERT_THAT(Pending("blue"), SizeIs(4));
  Advance(absl::Seconds(1));
  FailsOn("h1");
  EXPECT_EQ(record().failures, 2);
}

TEST_F(HostsTest, EveryStateOfALaunchHasADeadline) {
  struct Case {
    agent::v1::ProcessState state;
    const char* message;
    Duration limit;
    const char* why;
  };
  const Case cases[] = {
      {agent::v1::PROCESS_STATE_UNSPECIFIED, "", kUnansweredLimit, "did not take it up within 1m"},
      {agent::v1::PROCESS_STATE_FETCHING, "", kFetchLimit, "could not get its image within 30m"},
      {agent::v1::PROCESS_STATE_FETCHING, "no space left", kHinderedLimit,
       "could not get its image within 30s: no space left"},
      {agent::v1::PROCESS_STATE_STARTING, "", kStartLimit, "could not start it within 30s"},
      {agent::v1::PROCESS_STATE_STARTING, "port 8000 is in use", kHinderedLimit,
       "could not start it within 30s: port 8000 is in use"},
  };
  Host("h1", "a");
  Host("h2", "b");
  Group("blue", 0, 2, 2);
  Settle();
  for (const Case& c : cases) {
    SCOPED_TRACE(c.why);
    Advance(absl::Hours(2));
    Killed(InService("blue")[0]);
    Step();
    ASSERT_THAT(Pending("blue"), SizeIs(1));
    const std::string id = Pending("blue")[0];
    if (c.state != agent::v1::PROCESS_STATE_UNSPECIFIED) Says(id, c.state, c.message);
    if (c.message[0] != '\0') {
      Step();
      EXPECT_EQ(Waiting(), absl::StrCat("instance ", id, " cannot start on host ",
                                        Get<v1::Instance>(id).host(), " yet: ", c.message));
      // The same said in other words is no news.
      Advance(absl::Seconds(20));
      Says(id, c.state, c.message);
      Advance(c.limit - absl::Seconds(21));
    } else {
      Advance(c.limit - absl::Seconds(1));
    }
    EXPECT_EQ(Get<v1::Instance>(id).state(), v1::INSTANCE_STATE_PENDING);
    Advance(absl::Seconds(1));
    EXPECT_TRUE(Get<v1::Instance>(id).unhealthy());
    EXPECT_THAT(Get<v1::Instance>(id).state_reason(), HasSubstr(c.why));
    Stopped(id);
    Step();
    for (int i = 0; i < 5 && !Pending("blue").empty(); ++i) Settle();
    ASSERT_THAT(InService("blue"), SizeIs(2));
  }
}

TEST_F(HostsTest, AFetchThatGoesOnAfterABreakHasAllItsTime) {
  Host("h1");
  Group("blue", 0, 2, 1);
  Step();
  const std::string id = Pending("blue")[0];
  const auto fetching = agent::v1::PROCESS_STATE_FETCHING;
  Says(id, fetching, "");
  Advance(absl::Minutes(5));
  // Broken off and taken up again, over and over.
  const Duration rest = kFetchLimit - absl::Minutes(5) - absl::Seconds(1);
  for (Duration gone; gone < rest; gone += absl::Minutes(1)) {
    Says(id, fetching, "broken off");
    Step();
    EXPECT_FALSE(Get<v1::Instance>(id).unhealthy());
    Advance(absl::Seconds(1));
    Says(id, fetching, "");
    Advance(std::min(rest - gone, absl::Minutes(1)) - absl::Seconds(1));
    ASSERT_FALSE(Get<v1::Instance>(id).unhealthy()) << Get<v1::Instance>(id).state_reason();
  }
  // But no more than that: its breaks do not begin it anew.
  Advance(absl::Seconds(1));
  EXPECT_TRUE(Get<v1::Instance>(id).unhealthy());
  EXPECT_THAT(Get<v1::Instance>(id).state_reason(),
              HasSubstr("could not get its image within 30m"));
}

TEST_F(HostsTest, AProcessThatNoMajorityJudgesIsGivenUp) {
  Host("h1");
  Proxy("p1");
  Proxy("p2");
  Balanced("tg");
  Group("blue", 0, 2, 1, [](auto& row) { row.add_target_groups("tg"); });
  Step();
  const std::string id = Pending("blue")[0];
  Runs(id);
  Step();
  Finds("p1", "tg", id, v1::TARGET_STATE_HEALTHY);
  Finds("p2", "tg", id, v1::TARGET_STATE_UNHEALTHY);
  Advance(absl::Seconds(30) + kJudgementLimit - absl::Seconds(1));
  EXPECT_EQ(Get<v1::Instance>(id).state(), v1::INSTANCE_STATE_PENDING);
  Advance(absl::Seconds(1));
  EXPECT_TRUE(Get<v1::Instance>(id).unhealthy());
  EXPECT_THAT(Get<v1::Instance>(id).state_reason(), HasSubstr("proxy p2 does not find"));
}

TEST_F(HostsTest, LostOneAfterTheOtherAreAllReplaced) {
  for (const char* host : {"h1", "h2", "h3", "h4", "h5"}) Host(host);
  Group("blue", 5, 9, 5);
  Settle();
  for (const char* host : {"h3", "h4"}) {
    Lose(host);
    EXPECT_THAT(InService("blue"), SizeIs(5)) << host;
  }
  // Nor does a new controller take long-lost hosts for such that it has just lost.
  Advance(absl::Hours(2));
  Restart();
  for (const char* host : {"h1", "h2", "h5"}) Host(host);
  for (const auto& [id, row] : state.All<v1::Instance>()) {
    if (row->state() == v1::INSTANCE_STATE_IN_SERVICE) Runs(id);
  }
  Advance(absl::Seconds(11));
  Lose("h5");
  EXPECT_THAT(InService("blue"), SizeIs(5)) << Waiting();
  EXPECT_EQ(CountActivities("more than half"), 0);
  EXPECT_TRUE(Get<v1::Host>("h3").has_lost_time());
  Host("h3");
  Step();
  EXPECT_FALSE(Get<v1::Host>("h3").has_lost_time());
}

TEST_F(HostsTest, LostTogetherAreNotReplacedUntilSomeAreBack) {
  for (const char* host : {"h1", "h2", "h3", "h4", "h5"}) Host(host);
  Group("blue", 5, 9, 5);
  Settle();
  Silence("h3");
  Advance(absl::Seconds(4));
  Silence("h4");
  Advance(absl::Seconds(4));
  Silence("h5");
  for (int i = 0; i < 30; ++i) Advance(absl::Seconds(1));
  EXPECT_THAT(Waiting(), HasSubstr("more than half of the hosts were lost at once"));
  EXPECT_THAT(InService("blue"), SizeIs(2));
  EXPECT_THAT(Pending("blue"), IsEmpty());
  Host("h4");
  Step();
  EXPECT_THAT(Pending("blue"), SizeIs(2)) << "two of five are no majority";
}

TEST_F(HostsTest, PlacementWaitsForHostsThatAreKnownFromBeforeARestart) {
  for (const char* host : {"h1", "h2", "h3"}) Host(host);
  Group("blue", 0, 30, 0);
  Step();
  Restart();
  Host("h1");
  Desired("blue", 12);
  Step();
  EXPECT_EQ(ByHost(), (Spread{{"h1", 1}}))
      << "the next belongs to a host that may be a moment late";
  EXPECT_THAT(Waiting(), HasSubstr("host h2 has not been heard of since the controller began"));
  EXPECT_EQ(CountActivities("Could not bring"), 0);
  Advance(absl::Seconds(1));
  Host("h2");
  Step();
  EXPECT_EQ(ByHost(), (Spread{{"h1", 1}, {"h2", 1}}));
  EXPECT_EQ(due, seen.start + absl::Seconds(10));
  Advance(absl::Seconds(9));
  EXPECT_EQ(ByHost(), (Spread{{"h1", 6}, {"h2", 6}})) << "h3 does not come back";
}

class BalanceTest : public HostsTest {
 protected:
  // Four in zone a while zone b's host is away; then it comes.
  void MakeLopsided(int max) {
    Host("h1", "a");
    Group("blue", 4, max, 4);
    Settle();
    Host("h2", "b");
    Step();
  }
};

TEST_F(BalanceTest, ZonesAreFilledUpOneAtATimeNewBeforeOld) {
  MakeLopsided(4);
  EXPECT_THAT(InService("blue"), SizeIs(4)) << "the old one serves on";
  ASSERT_THAT(Pending("blue"), SizeIs(1));
  const v1::Instance fresh = Get<v1::Instance>(Pending("blue")[0]);
  EXPECT_EQ(fresh.host(), "h2");
  EXPECT_THAT(fresh.state_reason(),
              HasSubstr("zone a has 4 of the group's instances and zone b has 0"));
  Settle();
  EXPECT_EQ(Get<v1::Instance>(fresh.replaces()).state(), v1::INSTANCE_STATE_TERMINATED);
  for (int i = 0; i < 5; ++i) {
    Advance(kBalanceInterval);
    EXPECT_THAT(InService("blue"), SizeIs(4));
    Settle();
  }
  EXPECT_EQ(ByHost(), (Spread{{"h1", 2}, {"h2", 2}}));
  EXPECT_EQ(CountActivities("so that the zones are balanced"), 2);
  EXPECT_EQ(due - now > kBalanceInterval, true) << "nothing is left to do";
}

TEST_F(BalanceTest, IsGivenUpWithTheNewOneAndWhereItCannotStart) {
  MakeLopsided(8);
  FailsOn("h2");
  EXPECT_EQ(ByHost(), (Spread{{"h1", 4}}));
  EXPECT_THAT(Ids("blue", {v1::INSTANCE_STATE_DRAINING}), IsEmpty());
  Advance(kBalanceInterval);
  EXPECT_THAT(Pending("blue"), IsEmpty());
}

// Nothing but time tells that the host is used again.
TEST_F(BalanceTest, WaitsForAHostThatIsAvoided) {
  Host("h1", "a");
  Host("h2", "b");
  Group("red", 0, 1, 1, [](auto& row) { row.add_zones("b"); });
  Step();
  FailsOn("h2", "red");
  Desired("red", 0);
  Settle();
  Group("blue", 4, 4, 4);
  Settle();
  Advance(kStableAfter);
  ASSERT_EQ(ByHost(), (Spread{{"h1", 4}}));
  const Time until = WorstHostRecordOf(Draft(state).InstancesOnHost("h2"), now).avoided_until;
  ASSERT_GT(until, now);
  EXPECT_EQ(due, until);
  Advance(until - now);
  EXPECT_EQ(ByHost(), (Spread{{"h1", 4}, {"h2", 1}}));
}

TEST_F(BalanceTest, LeavesAZoneThatTheGroupDoesNotNameAnyMore) {
  Host("h1", "a");
  Host("h2", "b");
  Group("blue", 1, 2, 2, [](auto& row) {
    row.add_zones("a");
    row.add_zones("b");
  });
  Settle();
  Edit<v1::AutoScalingGroup>("blue", [](auto& row) { row.mutable_zones()->RemoveLast(); });
  Settle();
  EXPECT_EQ(ByHost(), (Spread{{"h1", 2}}));
}

TEST_F(BalanceTest, LeavesItForAZoneThatHasMore) {
  Host("h1", "a");
  Host("h2", "b");
  Group("blue", 1, 9, 2);
  Settle();
  ASSERT_EQ(ByHost(), (Spread{{"h1", 1}, {"h2", 1}}));
  Edit<v1::AutoScalingGroup>("blue", [](auto& row) { row.add_zones("b"); });
  Desired("blue", 4);
  for (int i = 0; i < 3; ++i) {
    Settle();
    Advance(kBalanceInterval);
  }
  EXPECT_EQ(ByHost(), (Spread{{"h2", 4}}));
}

TEST_F(BalanceTest, OneMoreThanAnotherIsBalance) {
  Host("h1", "a");
  Group("blue", 1, 4, 1);
  Settle();
  Host("h2", "b");
  EXPECT_EQ(Step(), 1u) << "the host, and nothing else";
}

}  // namespace
}  // namespace remuda::core
