// Rules of scaling, placement, replacement, lost hosts and traffic splits.
#include "controller/core/model/deployment_row.h"
#include "controller/core/reconcile/victims.h"
#include "controller/core/scaling/scaling.h"
#include "tests/unit/controller/core/stages.h"
#include "tests/unit/controller/core/world.h"

namespace remuda::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::map<std::string, int> ByHost(const World& world) {
  std::map<std::string, int> out;
  for (const std::string& id : world.InService("blue")) {
    ++out[world.Get<v1::Instance>(id).host()];
  }
  return out;
}

TEST(Placement, SpreadsOverZonesThenHosts) {
  struct Case {
    const char* name;
    std::vector<std::pair<const char*, const char*>> hosts;
    int desired;
    std::map<std::string, int> want;
  };
  const Case cases[] = {
      {"zones first",
       {{"h1", "a"}, {"h2", "a"}, {"h3", "b"}},
       4,
       {{"h1", 1}, {"h2", 1}, {"h3", 2}}},
      {"then hosts", {{"h1", "a"}, {"h2", "a"}}, 4, {{"h1", 2}, {"h2", 2}}},
      {"then names", {{"h2", "a"}, {"h1", "b"}}, 1, {{"h1", 1}}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    World world;
    for (const auto& [id, zone] : c.hosts) world.Host(id, zone);
    world.Template("shop", 1, 0);
    world.Group("blue", 0, 9, c.desired);
    world.Settle();
    EXPECT_EQ(ByHost(world), c.want);
  }
}

TEST(Placement, TakesOnlyEligibleHostsAndSaysWhyNot) {
  struct Case {
    const char* name;
    std::function<void(World&)> edit;
    const char* why;
  };
  const Case cases[] = {
      {"cordoned",
       [](World& w) {
         w.Edit<v1::Host>("h1", [](auto& h) { h.set_schedule(v1::HOST_SCHEDULE_CORDONED); });
       },
       "h1 is cordoned"},
      {"silent", [](World& w) { w.Silence("h1"); }, "h1 is not connected"},
      {"zone",
       [](World& w) { w.Edit<v1::AutoScalingGroup>("blue", [](auto& g) { g.add_zones("b"); }); },
       "h1 is in zone 'a'"},
      {"label",
       [](World& w) {
         w.Edit<v1::AutoScalingGroup>("blue",
                                      [](auto& g) { (*g.mutable_host_selector())["gpu"] = "yes"; });
       },
       "h1 lacks a label of host_selector"},
      {"memory",
       [](World& w) {
         w.seen.hosts["h1"].hello.mutable_capacity()->set_memory_bytes(100 << 20);
         w.Edit<v1::LaunchTemplateVersion>(LaunchTemplateKey("shop", 1), [](auto& t) {
           t.mutable_limits()->set_memory("256Mi");
         });
       },
       "no eligible host has room for its limits: h1"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    World world;
    world.Host("h1", "a");
    world.Template("shop", 1, 0);
    world.Group("blue", 0, 1, 0);
    world.Step();
    c.edit(world);
    world.Desired("blue", 1);
    world.Step();
    EXPECT_THAT(world.Pending("blue"), IsEmpty());
    EXPECT_THAT(world.Get<v1::AutoScalingGroup>("blue").status().waiting(), HasSubstr(c.why));
  }
}

TEST(ScaleIn, FollowsTheTerminationPolicies) {
  struct Case {
    v1::TerminationPolicy policy;
    const char* want;
  };
  // Made oldest first; the second runs the older version; all in one zone.
  const Case cases[] = {{v1::TERMINATION_POLICY_DEFAULT, "i-2"},
                        {v1::TERMINATION_POLICY_OLDEST_INSTANCE, "i-1"},
                        {v1::TERMINATION_POLICY_NEWEST_INSTANCE, "i-3"},
                        {v1::TERMINATION_POLICY_OLDEST_LAUNCH_TEMPLATE, "i-2"}};
  InstanceList members;
  for (int i = 1; i <= 3; ++i) {
    v1::Instance row;
    row.set_state(v1::INSTANCE_STATE_IN_SERVICE);
    row.mutable_create_time()->set_seconds(i);
    row.mutable_launch_template()->set_resolved_version(i == 2 ? 1 : 2);
    members.emplace_back("i-" + std::to_string(i), std::make_shared<v1::Instance>(row));
  }
  const State state;
  const Draft draft(state);
  const Observations seen;
  const Gates gates(draft, seen, absl::FromUnixSeconds(1'000'000));
  for (const Case& c : cases) {
    v1::AutoScalingGroup group;
    group.add_termination_policies(c.policy);
    EXPECT_THAT(ChooseVictims(gates, group, members, 1), ElementsAre(c.want)) << c.policy;
  }
  v1::Instance pending = *members[2].second;
  pending.set_state(v1::INSTANCE_STATE_PENDING);
  members[2].second = std::make_shared<v1::Instance>(pending);
  EXPECT_THAT(ChooseVictims(gates, {}, members, 1), ElementsAre("i-3"))
      << "what does not serve goes first";
}

// It came into service by its process alone, while no proxy was there to ask.
TEST(ScaleIn, KeepsWhatProxiesFindHealthy) {
  for (const auto found : {v1::TARGET_STATE_INITIAL, v1::TARGET_STATE_UNHEALTHY}) {
    SCOPED_TRACE(v1::TargetState_Name(found));
    World world;
    world.Host("h1");
    world.Balanced("tg");
    world.Template("shop", 1, 0);
    world.Group("blue", 1, 4, 3, [](auto& row) { row.add_target_groups("tg"); });
    world.Settle();
    const std::vector<std::string> ids = world.InService("blue");
    ASSERT_THAT(ids, SizeIs(3));
    world.Proxy("p1");
    world.Step();
    world.Finds("p1", "tg", ids[0], v1::TARGET_STATE_HEALTHY);
    world.Finds("p1", "tg", ids[1], v1::TARGET_STATE_HEALTHY);
    world.Finds("p1", "tg", ids[2], found);
    world.Step();
    ASSERT_THAT(world.InService("blue"), SizeIs(3)) << "it has its grace period";
    world.Desired("blue", 2);
    world.Step();
    EXPECT_THAT(world.InService("blue"), ElementsAre(ids[0], ids[1]));
  }
}

class Unhealthy : public ::testing::Test, public World {
 protected:
  void Make(int max, int desired, int port = 0) {
    for (const char* host : {"h1", "h2"}) Host(host);
    for (const char* proxy : {"p1", "p2", "p3"}) Proxy(proxy);
    Balanced("tg");
    Template("shop", 1, port);
    Group("blue", 1, max, desired, [](auto& row) { row.add_target_groups("tg"); });
    Settle();
    Advance(absl::Seconds(31));
  }
  void Say(const std::string& id, int proxies) {
    for (int i = 1; i <= proxies; ++i) {
      Finds("p" + std::to_string(i), "tg", id, v1::TARGET_STATE_UNHEALTHY);
    }
  }
  std::vector<std::string> Draining() { return Ids("blue", {v1::INSTANCE_STATE_DRAINING}); }
};

TEST_F(Unhealthy, OneProxyOfThreeIsNoMajority) {
  Make(3, 2);
  Say(InService("blue")[0], 1);
  EXPECT_EQ(Step(), 0u);
}

TEST_F(Unhealthy, IsReplacedNewBeforeOldWhenMaxAllows) {
  Make(3, 2);
  const std::string bad = InService("blue")[0];
  Say(bad, 2);
  Step();
  ASSERT_THAT(Pending("blue"), SizeIs(1));
  EXPECT_THAT(Draining(), IsEmpty());
  EXPECT_THAT(LastActivity("Launching").cause(), HasSubstr("Target.Timeout"));
  const std::string fresh = Pending("blue")[0];
  Runs(fresh);
  Step();
  for (const char* proxy : {"p1", "p2", "p3"}) Finds(proxy, "tg", fresh, v1::TARGET_STATE_HEALTHY);
  Step();
  EXPECT_THAT(Draining(), ElementsAre(bad));
}

TEST_F(Unhealthy, GoesFirstWhenThereIsNoRoomBesideIt) {
  Make(2, 2);
  const std::string bad = InService("blue")[0];
  Say(bad, 3);
  Step();
  EXPECT_THAT(Draining(), ElementsAre(bad)) << "max is reached";
}

TEST_F(Unhealthy, GoesFirstWhenOnlyItsPortWouldBeFree) {
  Make(4, 2, 8000);
  const std::string bad = InService("blue")[0];
  Say(bad, 3);
  Step();
  EXPECT_THAT(Draining(), ElementsAre(bad)) << "its host has the only port that can be freed";
}

TEST_F(Unhealthy, AreReplacedOneAtATimeWhenAllAre) {
  Make(8, 8);
  for (const std::string& id : InService("blue")) Say(id, 3);
  Step();
  EXPECT_THAT(Draining(), SizeIs(1));
}

TEST_F(Unhealthy, AreForgivenInTheGracePeriod) {
  Make(4, 2);
  Desired("blue", 3);
  Step();
  const std::string id = Pending("blue")[0];
  Runs(id);
  Step();
  Say(id, 3);
  Advance(absl::Seconds(29));
  EXPECT_FALSE(Get<v1::Instance>(id).unhealthy());
  Advance(absl::Seconds(1));
  EXPECT_TRUE(Get<v1::Instance>(id).unhealthy());
}

// What a proxy said before its session ended may be out of date: checks fail until a process
// listens.
TEST_F(Unhealthy, ASilentProxysLastWordEndsNothing) {
  for (const auto found : {v1::TARGET_STATE_HEALTHY, v1::TARGET_STATE_UNHEALTHY}) {
    SCOPED_TRACE(v1::TargetState_Name(found));
    World world;
    world.Host("h1");
    world.Proxy("p1");
    world.Balanced("tg");
    world.Template("shop", 1, 0);
    world.Group("blue", 1, 2, 1, [](auto& row) { row.add_target_groups("tg"); });
    world.Step();
    const std::string id = world.Pending("blue")[0];
    world.Runs(id);
    world.Step();
    world.Finds("p1", "tg", id, v1::TARGET_STATE_UNHEALTHY);
    world.Advance(absl::Seconds(29));
    ProxyObservation& proxy = world.seen.proxies["p1"];
    proxy.connected = false;
    world.Advance(absl::Seconds(2));
    EXPECT_FALSE(world.Get<v1::Instance>(id).unhealthy()) << "silent";
    EXPECT_LE(world.due, proxy.last_seen + world.seen.patience.proxy_lease);
    proxy.connected = true;
    proxy.reported = false;
    world.Advance(absl::Seconds(1));
    EXPECT_FALSE(world.Get<v1::Instance>(id).unhealthy()) << "back, and has not reported yet";
    proxy.reported = true;
    world.Finds("p1", "tg", id, found);
    world.Step();
    EXPECT_EQ(world.Get<v1::Instance>(id).unhealthy(), found == v1::TARGET_STATE_UNHEALTHY);
    EXPECT_EQ(world.InService("blue").size(), found == v1::TARGET_STATE_HEALTHY ? 1u : 0u);
  }
}

TEST_F(Unhealthy, AMajorityOfThoseThatReportNowIsEnough) {
  Make(3, 2);
  const std::string bad = InService("blue")[0];
  Say(bad, 2);
  seen.proxies["p2"].connected = false;
  EXPECT_EQ(Step(), 0u) << "one of three says so now";
  seen.proxies["p2"].connected = true;
  seen.proxies["p3"].connected = false;
  Step();
  EXPECT_TRUE(Get<v1::Instance>(bad).unhealthy()) << "two of three do";
}

TEST(Hosts, ADrainedHostIsLeftNewBeforeOldBeyondMaxByOne) {
  World world;
  world.Host("h1");
  world.Host("h2");
  world.Template("shop", 1, 0);
  world.Group("blue", 1, 2, 2);
  world.Settle();
  world.Edit<v1::Host>("h1", [](auto& row) { row.set_schedule(v1::HOST_SCHEDULE_DRAINING); });
  world.Step();
  EXPECT_THAT(world.InService("blue"), SizeIs(2));
  EXPECT_THAT(world.Pending("blue"), SizeIs(1));
  world.Settle();
  EXPECT_EQ(ByHost(world), (std::map<std::string, int>{{"h2", 2}}));
}

TEST(Hosts, ALostOneIsReplacedElsewhereAndItsReturnIsTheSurplus) {
  World world;
  world.Host("h1");
  world.Host("h2");
  world.Template("shop", 1, 0);
  world.Group("blue", 1, 4, 2);
  world.Settle();
  const std::string there = *world.state.InstancesOnHost("h1").begin();
  world.Silence("h1");
  world.Advance(absl::Seconds(9));
  EXPECT_THAT(world.InService("blue"), SizeIs(2));
  world.Advance(absl::Seconds(1));
  EXPECT_EQ(world.Get<v1::Instance>(there).state(), v1::INSTANCE_STATE_UNKNOWN);
  EXPECT_THAT(world.Pending("blue"), IsEmpty());
  world.Advance(absl::Seconds(5));
  EXPECT_THAT(world.Pending("blue"), SizeIs(1));
  world.Settle();
  world.Host("h1");
  world.Step();
  EXPECT_EQ(world.Get<v1::Instance>(there).state(), v1::INSTANCE_STATE_STOPPING)
      << "no proxy has to confirm";
  EXPECT_THAT(world.InService("blue"), SizeIs(2));
}

TEST(Hosts, NothingIsReplacedWhenMostAreLostAtOnce) {
  World world;
  for (const char* host : {"h1", "h2", "h3"}) world.Host(host);
  world.Template("shop", 1, 0);
  world.Group("blue", 1, 4, 3);
  world.Settle();
  world.Silence("h1");
  world.Silence("h2");
  world.Advance(absl::Seconds(60));
  EXPECT_THAT(world.Pending("blue"), IsEmpty());
  EXPECT_THAT(world.Get<v1::AutoScalingGroup>("blue").status().waiting(),
              HasSubstr("more than half of the hosts were lost at once"));
  world.Advance(absl::Seconds(60));
  EXPECT_EQ(world.CountActivities("more than half"), 1);
}

TEST(Hosts, NothingIsConcludedFromSilenceAfterAStart) {
  World world;
  world.Host("h1");
  world.Template("shop", 1, 0);
  world.Group("blue", 1, 1, 1);
  world.Settle();
  world.now += absl::Hours(5);
  world.seen = Observations();
  world.seen.start = world.now;
  EXPECT_EQ(world.Step(), 0u);
  world.Advance(absl::Seconds(9));
  EXPECT_THAT(world.InService("blue"), SizeIs(1));
}

TEST(Split, WeighsGroupsAndHandTargetsByTheirNumber) {
  World world;
  world.Host("h1");
  world.Balanced("tg");
  world.Template("shop", 1, 0);
  const auto in_tg = [](auto& row) { row.add_target_groups("tg"); };
  world.Group("blue", 1, 4, 3, in_tg);
  world.Group("green", 1, 4, 1, in_tg);
  v1::Target by_hand;
  by_hand.set_address("10.1.1.1");
  by_hand.set_port(80);
  world.Put(TargetKey("tg", "10.1.1.1:80"), by_hand);
  world.Settle();
  const TargetGroupView view = TargetGroupViewOf(world.state, world.seen, "tg");
  std::map<std::string, int> weights;
  for (const auto& subset : view.split->subsets()) weights[subset.subset()] = subset.weight();
  EXPECT_EQ(weights,
            (std::map<std::string, int>{{"", 1}, {"blue/shop:1", 3}, {"green/shop:1", 1}}));
}

// So that a target of weight 5 gets as much as five others, whichever subset they are of.
TEST(Split, WeighsHandTargetsByTheirWeight) {
  World world;
  world.Host("h1");
  world.Balanced("tg");
  world.Template("shop", 1, 0);
  world.Group("blue", 1, 4, 2, [](auto& row) { row.add_target_groups("tg"); });
  const auto put = [&world](const std::string& address, int weight, const std::string& zone) {
    v1::Target row;
    row.set_address(address);
    row.set_port(80);
    row.set_weight(weight);
    row.set_zone(zone);
    world.Put(TargetKey("tg", address + ":80"), row);
  };
  const auto weights = [&world] {
    std::map<std::string, int> out;
    const TargetGroupView view = TargetGroupViewOf(world.state, world.seen, "tg");
    for (const auto& subset : view.split->subsets()) out[subset.subset()] = subset.weight();
    return out;
  };
  put("10.1.1.1", 5, "a");
  put("10.1.1.2", 0, "");
  world.Settle();
  EXPECT_EQ(weights(), (std::map<std::string, int>{{"", 5}, {"blue/shop:1", 2}}));
  const TargetGroupView view = TargetGroupViewOf(world.state, world.seen, "tg");
  EXPECT_EQ(view.targets.at("10.1.1.1:80").weight(), 5);
  EXPECT_EQ(view.targets.at("10.1.1.1:80").zone(), "a");
  EXPECT_TRUE(view.targets.at("10.1.1.2:80").has_weight());
  EXPECT_EQ(view.targets.at("10.1.1.2:80").weight(), 0);
  // What proxies do not take is scaled, and no share is lost.
  for (int i = 0; i < 30; ++i) put(absl::StrCat("10.2.1.", i), 999, "");
  EXPECT_EQ(weights(), (std::map<std::string, int>{{"", 10'000}, {"blue/shop:1", 1}}));
}

TEST(Split, AnyNumberOfGroupsGetTheirShare) {
  World world;
  world.Host("h1");
  world.Balanced("tg");
  world.Template("shop", 1, 0);
  const int groups = 20;
  for (int i = 0; i < groups; ++i) {
    world.Group(absl::StrCat("g", i), 1, 4, 1, [](auto& row) { row.add_target_groups("tg"); });
  }
  world.Settle();
  // One of them is deployed: what is only launched gets nothing yet.
  world.Template("shop", 2, 0);
  v1::Deployment row;
  row.set_name("deployments/g0-1");
  row.set_auto_scaling_group("g0");
  row.mutable_from()->set_launch_template("shop");
  row.mutable_from()->set_resolved_version(1);
  *row.mutable_to() = row.from();
  row.mutable_to()->set_resolved_version(2);
  SetStage(row, Stage::kLaunching);
  *row.mutable_create_time() = ToProto(world.now);
  *row.mutable_health_deadline() = ToProto(absl::Seconds(600));
  row.set_paused(true);
  world.Put("g0-1", row);
  world.Step();
  for (const std::string& id : world.Pending("g0")) world.Runs(id);
  world.Step();
  const TargetGroupView view = TargetGroupViewOf(world.state, world.seen, "tg");
  ASSERT_THAT(view.targets, SizeIs(groups + 1));
  EXPECT_LE(view.split->subsets_size(), 16);
  std::map<std::string, int> weights;
  for (const auto& subset : view.split->subsets()) weights[subset.subset()] = subset.weight();
  for (const auto& [id, target] : view.targets) {
    const bool is_new = world.Get<v1::Instance>(id).launch_template().resolved_version() == 2;
    ASSERT_TRUE(weights.contains(target.subset())) << target.subset();
    EXPECT_EQ(weights[target.subset()] > 0, !is_new) << id;
  }
}

TEST(HandTargets, VanishWhenConfirmedAndIdle) {
  World world;
  world.Proxy("p1");
  world.Balanced("tg");
  world.Step();
  v1::Target row;
  row.set_address("10.1.1.1");
  row.set_port(80);
  row.set_state(v1::TARGET_STATE_DRAINING);
  *row.mutable_drain_start_time() = ToProto(world.now);
  const std::string key = TargetKey("tg", "10.1.1.1:80");
  world.Put(key, row);
  world.Step();
  EXPECT_NE(world.state.Find<v1::Target>(key), nullptr) << "not confirmed";
  world.seen.proxies["p1"].busy[{"tg", "10.1.1.1:80"}] = 1;
  world.Confirm();
  world.Step();
  EXPECT_NE(world.state.Find<v1::Target>(key), nullptr) << "busy";
  world.seen.proxies["p1"].busy.clear();
  world.Step();
  EXPECT_EQ(world.state.Find<v1::Target>(key), nullptr);
}

TEST(History, TerminatedInstancesAreForgottenAfterAnHour) {
  World world;
  world.Host("h1");
  world.Template("shop", 1, 0);
  world.Group("blue", 0, 2, 1);
  world.Settle();
  world.Desired("blue", 0);
  world.Settle();
  EXPECT_THAT(world.Ids("blue", {v1::INSTANCE_STATE_TERMINATED}), SizeIs(1));
  world.Advance(absl::Hours(1));
  EXPECT_TRUE(world.state.All<v1::Instance>().empty());
}

}  // namespace
}  // namespace remuda::core
