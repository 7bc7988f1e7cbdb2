// Silence stops nothing and proves nothing: proxies that fall silent together, hosts that do.
#include "controller/core/model/instance_state.h"
#include "controller/core/reconcile/limits.h"
#include "controller/core/reconcile/pass.h"
#include "tests/unit/controller/core/deploy_fixture.h"

namespace remuda::core {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class Silent : public Deploy {
 protected:
  Silent() {
    Proxy("p3");
    Settle();
  }

  void CutOff(const std::vector<std::string>& proxies) {
    for (const std::string& id : proxies) seen.proxies[id].connected = false;
  }
  // Long enough for every lease and all patience.
  void Wait() {
    for (int i = 0; i < 10; ++i) {
      NewOnesAreHealthy();
      Confirm();
      Advance(absl::Seconds(20));
    }
  }
  std::string GroupWaiting() const { return Get<v1::AutoScalingGroup>("blue").status().waiting(); }
};

TEST_F(Silent, WithoutProxiesADeploymentTakesNoStep) {
  CutOff({"p1", "p2", "p3"});
  Create(2);
  Wait();
  EXPECT_EQ(StageOf(Row()), Stage::kLaunching);
  EXPECT_THAT(Waiting(), HasSubstr("every proxy fell silent (p1, p2, p3)"));
  EXPECT_THAT(Waiting(), HasSubstr("remuda delete proxy NAME"));
  EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(2));
  // They are back: what they find counts.
  for (auto& [id, proxy] : seen.proxies) proxy.connected = true;
  FindsAll(v1::TARGET_STATE_UNHEALTHY);
  Confirm();
  Step();
  EXPECT_EQ(StageOf(Row()), Stage::kLaunching) << "never found healthy";
  UntilStage(Stage::kSucceeded);
}

TEST_F(Silent, ThoseThatSaidThatTheyEndHoldNothing) {
  for (const char* id : {"p1", "p2"}) seen.proxies[id].has_left = true;
  CutOff({"p1", "p2"});
  Advance(absl::Seconds(100));
  Create(2);
  UntilStage(Stage::kSucceeded);
}

TEST_F(Silent, ThoseThatSaidThatTheyEndAreNotAmongThem) {
  seen.proxies["p1"].has_left = true;
  CutOff({"p1", "p2", "p3"});
  Create(2);
  Wait();
  EXPECT_EQ(StageOf(Row()), Stage::kLaunching);
  EXPECT_THAT(Waiting(), HasSubstr("every proxy fell silent (p2, p3)"));
}

TEST_F(Silent, NoPhaseIsLeftWithoutMostOfTheProxies) {
  for (const auto stage : {Stage::kShifting, Stage::kBaking}) {
    SCOPED_TRACE(StageText(stage));
    if (StageOf(Row()) == Stage::kNone) Create(2);
    UntilStage(stage);
    CutOff({"p1", "p3"});
    Advance(absl::Seconds(20));
    Confirm();
    Advance(absl::Seconds(100));
    EXPECT_EQ(StageOf(Row()), stage);
    EXPECT_THAT(Waiting(), HasSubstr("more than half of the proxies fell silent (p1, p3)"));
    for (auto& [id, proxy] : seen.proxies) proxy.connected = true;
    Step();
  }
}

TEST_F(Silent, NoOldInstanceIsEnded) {
  Create(2);
  UntilStage(Stage::kDraining);
  const auto old = OfVersion(1, v1::INSTANCE_STATE_DRAINING);
  ASSERT_THAT(old, SizeIs(2));
  CutOff({"p1", "p2", "p3"});
  Wait();
  EXPECT_EQ(OfVersion(1, v1::INSTANCE_STATE_DRAINING), old);
  EXPECT_THAT(GroupWaiting(), HasSubstr("p1, p2, p3"));
  EXPECT_THAT(Waiting(), HasSubstr("p1, p2, p3"));
  EXPECT_EQ(CountActivities("were to be ended are left running"), 1);
  // Two are gone for good, and a person says so; the third is back.
  for (const char* id : {"p1", "p2"}) {
    Draft draft(state);
    draft.Delete<v1::Proxy>(id);
    state.Apply(draft.Take(), state.commit() + 1);
  }
  seen.proxies["p3"].connected = true;
  Confirm();
  Step();
  EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_DRAINING), IsEmpty());
  Step();
  EXPECT_EQ(GroupWaiting(), "");
  UntilStage(Stage::kSucceeded);
}

// Nor is one that has to go for another reason; but one that fails, or of a group that is deleted.
TEST_F(Silent, WhatServesIsKeptWhateverItIsDrainedFor) {
  Desired("blue", 1);
  Step();
  const auto draining = Ids("blue", {v1::INSTANCE_STATE_DRAINING});
  ASSERT_THAT(draining, SizeIs(1));
  CutOff({"p1", "p2", "p3"});
  Wait();
  EXPECT_EQ(Ids("blue", {v1::INSTANCE_STATE_DRAINING}), draining);
  Edit<v1::AutoScalingGroup>("blue", [](auto& row) {
    row.set_deleting(true);
    row.set_min(0);
    row.set_desired(0);
  });
  Step();
  EXPECT_THAT(Ids("blue", {v1::INSTANCE_STATE_STOPPING}), SizeIs(2));
}

TEST_F(Silent, OneOfSeveralThatIsDeadHoldsNothingUp) {
  CutOff({"p2"});
  Create(2);
  Advance(absl::Seconds(15));
  UntilStage(Stage::kDraining);
  Advance(kCutOffPatience);
  UntilStage(Stage::kSucceeded);
}

// One died long ago; another one dies: each loss is of less than half of those that were there.
TEST_F(Silent, ThoseThatDiedBeforeDoNotCount) {
  for (const char* id : {"p4", "p5"}) Proxy(id);
  Settle();
  for (const std::string id : {"p1", "p2", "p3"}) {
    CutOff({id});
    Advance(seen.patience.proxy_lease + kProxyLossSpan + absl::Seconds(1));
  }
  Create(2);
  UntilStage(Stage::kSucceeded);
}

TEST_F(Silent, InstancesOfSilentHostsAreNamed) {
  Create(2);
  UntilStage(Stage::kBaking);
  for (const char* host : {"h1", "h2"}) Silence(host);
  Advance(absl::Seconds(11));
  EXPECT_THAT(Waiting(), HasSubstr("4 instances ("));
  EXPECT_THAT(Waiting(), HasSubstr("are unknown, and may serve on: h1, h2 are silent"));
}

TEST_F(Silent, WhatWaitsForAPersonGivesUpAtNoTime) {
  Create(2, [](auto& row) {
    row.set_automatic_rollback(false);
    *row.mutable_health_deadline() = ToProto(absl::Seconds(5));
  });
  const auto told = [this] { return Describe(Draft(state), seen, now, Row()); };
  EXPECT_FALSE(told().has_deadline_time());
  Confirm();
  Advance(absl::Seconds(6));
  EXPECT_EQ(StageOf(Row()), Stage::kLaunching);
  EXPECT_THAT(Waiting(), HasSubstr("`remuda deployment rollback blue-1` goes back"));
  EXPECT_FALSE(told().has_deadline_time());
  // A rollback that has moved nothing gives up all the same: what serves goes on.
  Edit<v1::Deployment>("blue-1", [](auto& row) { row.set_rollback_of("blue-0"); });
  Confirm();
  Step();
  EXPECT_EQ(StageOf(Row()), Stage::kBackDraining);
  UntilStage(Stage::kRolledBack);
  EXPECT_EQ(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE).size(), 2u);
  // Nothing was changed, so the version is still by whom it was.
  EXPECT_EQ(Get<v1::AutoScalingGroup>("blue").launch_template_set_by(), "");
}

// What was lost with most is not; one that is silent still has its patience from its own loss.
TEST_F(Silent, WhenEnoughAreBackThoseThatAreNotAreWaitedForAsUsual) {
  Desired("blue", 1);
  Step();
  const auto draining = Ids("blue", {v1::INSTANCE_STATE_DRAINING});
  ASSERT_THAT(draining, SizeIs(1));
  Confirm();
  CutOff({"p1", "p2", "p3"});
  Advance(absl::Seconds(20));
  ASSERT_THAT(GroupWaiting(), HasSubstr("every proxy fell silent"));
  for (const char* id : {"p1", "p3"}) seen.proxies[id].connected = true;
  Confirm();
  Step();
  EXPECT_EQ(Ids("blue", {v1::INSTANCE_STATE_DRAINING}), draining) << "p2 may send to it";
  Advance(kCutOffPatience);
  EXPECT_THAT(Ids("blue", {v1::INSTANCE_STATE_DRAINING}), IsEmpty());
}

// One that is well and is to make room would drain, and hold its place.
TEST_F(Silent, WhatAPersonEndsServesOn) {
  const auto asked = InService("blue");
  ASSERT_THAT(asked, SizeIs(2)) << "as many as max";
  CutOff({"p1", "p3"});
  Advance(absl::Seconds(20));
  Edit<v1::Instance>(asked[0], [](auto& row) { row.set_terminate_requested(true); });
  Step();
  EXPECT_EQ(InService("blue"), asked);
  seen.proxies["p1"].connected = true;
  Step();
  EXPECT_THAT(Ids("blue", {v1::INSTANCE_STATE_DRAINING}), ::testing::ElementsAre(asked[0]));
}

// A controller that begins knows those that died one by one from the state.
TEST_F(Silent, ThoseThatDiedBeforeAControllerBeganWereNotLostTogether) {
  for (const char* id : {"p4", "p5"}) Proxy(id);
  Settle();
  for (const std::string id : {"p1", "p2", "p3"}) {
    CutOff({id});
    Advance(seen.patience.proxy_lease + kProxyLossSpan + absl::Seconds(1));
  }
  const Time last_seen = FromProto(Get<v1::Proxy>("p1").last_seen_time());
  for (const char* id : {"p1", "p2", "p3"}) seen.proxies.erase(id);
  seen.start = now;
  Advance(seen.patience.proxy_lease);
  EXPECT_EQ(FromProto(Get<v1::Proxy>("p1").last_seen_time()), last_seen);
  Create(2);
  UntilStage(Stage::kSucceeded);
  EXPECT_THAT(GroupWaiting(), IsEmpty());
  // One that is back is lost anew.
  Proxy("p1");
  Step();
  EXPECT_FALSE(Get<v1::Proxy>("p1").has_last_seen_time());
}

// Those that were there when the last controller ended, and have not been heard since, were.
TEST_F(Silent, ThoseThatANewControllerHasNotHeardWereLostTogether) {
  for (const char* id : {"p1", "p2"}) seen.proxies.erase(id);
  seen.start = now;
  Advance(seen.patience.proxy_lease);
  Create(2);
  EXPECT_THAT(Waiting(), HasSubstr("more than half of the proxies fell silent (p1, p2)"));
}

class TwoBalancers : public Silent {
 protected:
  // Of a second target group and load balancer of the group.
  void Labelled(const std::string& id, const std::string& tier) {
    Proxy(id);
    (*seen.proxies[id].hello.mutable_labels())["tier"] = tier;
  }
  TwoBalancers() {
    auto balancer = Get<v1::LoadBalancer>("lb");
    (*balancer.mutable_proxy_selector())["tier"] = "outer";
    Put("lb", balancer);
    Put("tg2", Get<v1::TargetGroup>("tg"));
    auto* forward = balancer.mutable_listeners(0)->mutable_default_action()->mutable_forward();
    forward->mutable_target_groups(0)->set_target_group("tg2");
    (*balancer.mutable_proxy_selector())["tier"] = "inner";
    Put("lb2", balancer);
    Edit<v1::AutoScalingGroup>("blue", [](auto& row) { row.add_target_groups("tg2"); });
    for (const char* id : {"p1", "p2"}) Labelled(id, "outer");
    for (const char* id : {"p3", "p4", "p5"}) Labelled(id, "inner");
    Settle();
  }
};

TEST_F(TwoBalancers, TheProxiesOfAGroupAreJudgedTogether) {
  CutOff({"p1", "p2"});
  Advance(absl::Seconds(20));
  Create(2);
  Advance(absl::Seconds(20));
  EXPECT_THAT(Waiting(), Not(HasSubstr("silent")));
  UntilStage(Stage::kBaking);
  CutOff({"p3"});
  Advance(absl::Seconds(20));
  EXPECT_THAT(Waiting(), HasSubstr("more than half of the proxies fell silent (p1, p2, p3)"));
}

// Another deployment is ended for the version that serves.
TEST_F(Silent, BackToWhatServes) {
  Create(2);
  NewOnesAreHealthy();
  Supersede(1);
  const auto serving = OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE);
  Killed(serving[0]);
  Step();
  EXPECT_THAT(OfVersion(2, v1::INSTANCE_STATE_DRAINING), SizeIs(2));
  ASSERT_THAT(Pending("blue"), SizeIs(1)) << "one in place of that which ended";
  EXPECT_FALSE(IsWithheld(Get<v1::Instance>(Pending("blue")[0])));
  EXPECT_EQ(StageOf(Get<v1::Deployment>("blue-2")), Stage::kLaunching);
  Settle();
  EXPECT_EQ(StageOf(Get<v1::Deployment>("blue-2")), Stage::kSucceeded);
  EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(2));
  EXPECT_THAT(Split(), Not(IsEmpty()));
  EXPECT_EQ(Get<v1::AutoScalingGroup>("blue").launch_template().resolved_version(), 1);
}

// Hosts let in what is in `addresses`; `address` is for people.
TEST(ProxyAddressesTest, AreThoseThatItSaysAndTheOneThatItsSessionComesFrom) {
  const struct {
    const char* told;
    const char* peer;
    const char* address;
    std::vector<std::string> addresses;
  } cases[] = {
      {"", "", "", {}},
      {"", "192.0.2.5", "192.0.2.5", {"192.0.2.5"}},
      {"10.0.0.5", "", "10.0.0.5", {"10.0.0.5"}},
      {"10.0.0.5", "10.0.0.5", "10.0.0.5", {"10.0.0.5"}},
      {"10.0.0.5", "192.0.2.5", "10.0.0.5", {"10.0.0.5", "192.0.2.5"}},
      {"10.0.0.5,2001:DB8::1", "2001:db8::1", "10.0.0.5,2001:DB8::1", {"10.0.0.5", "2001:db8::1"}},
      {"edge-1.example", "192.0.2.5", "edge-1.example", {"192.0.2.5"}},
      {"10.0.0.5", "127.0.0.1", "10.0.0.5", {"10.0.0.5"}},
  };
  for (const auto& each : cases) {
    World world;
    world.Proxy("p1");
    world.seen.proxies["p1"].hello.set_address(each.told);
    world.seen.proxies["p1"].peer_address = each.peer;
    world.Settle();
    const auto proxy = world.Get<v1::Proxy>("p1");
    EXPECT_EQ(proxy.address(), each.address) << each.told << " " << each.peer;
    EXPECT_THAT(proxy.addresses(), ::testing::ElementsAreArray(each.addresses))
        << each.told << " " << each.peer;
  }
}

}  // namespace
}  // namespace remuda::core
