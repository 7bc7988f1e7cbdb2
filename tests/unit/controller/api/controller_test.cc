// The controller's parts wired together, with a proxy's session and without a thread, a store or a
// socket.
#include "controller/api/controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "remuda/agent/v1/agent.pb.h"
#include "remuda/proxy/v1/proxy.pb.h"
#include "tests/unit/controller/engine/engine_seams.h"

namespace remuda {
namespace {

// The other end of a session: what came last.
class FakeStream final : public Stream {
 public:
  void Send(Frame frame) override {
    proxy::v1::ConnectResponse response;
    ASSERT_TRUE(response.ParseFromString(*frame));
    if (response.has_update()) update = response.update();
    if (response.has_welcome()) welcome = response.welcome();
    if (response.has_controllers()) controllers.push_back(response.controllers());
  }
  size_t queued() const override { return 0; }
  void Close(const absl::Status& status) override { closed = status; }
  std::string peer() const override { return "test"; }

  proxy::v1::ConfigUpdate update;
  proxy::v1::Welcome welcome;
  std::vector<v1::ControllerAddresses> controllers;
  absl::Status closed;
};

class ControllerTest : public testing::Test {
 protected:
  ControllerTest() {
    controller_.proxies.OnOpened(stream_);
    proxy::v1::ConnectRequest hello;
    hello.mutable_hello()->set_proxy("p1");
    Say(hello);
    Turns();
    Ack();
    proxy::v1::ConnectRequest report;
    report.mutable_health()->set_full(true);
    auto& health = *report.mutable_health()->add_targets();
    health.set_target_group("tg");
    health.set_target("10.1.1.1:80");
    health.set_state(v1::TARGET_STATE_HEALTHY);
    Say(report);
    Turns();
  }
  // Load balancer lb, target group tg with a target that was registered by hand.
  static core::State Begin() {
    core::State state;
    core::Draft draft(state);
    v1::LoadBalancer balancer;
    balancer.set_name("loadBalancers/lb");
    balancer.add_listeners()
        ->mutable_default_action()
        ->mutable_forward()
        ->add_target_groups()
        ->set_target_group("tg");
    draft.Put("lb", balancer);
    v1::TargetGroup group;
    group.set_name("targetGroups/tg");
    draft.Put("tg", group);
    draft.Put(core::TargetKey("tg", "10.1.1.1:80"), TargetRow());
    state.Apply(draft.Take(), 1);
    return state;
  }
  static v1::Target TargetRow() {
    v1::Target row;
    row.set_address("10.1.1.1");
    row.set_port(80);
    return row;
  }
  void Say(const proxy::v1::ConnectRequest& message) {
    controller_.proxies.OnMessage(stream_, message.SerializeAsString());
    ASSERT_TRUE(stream_->closed.ok()) << stream_->closed;
  }
  void Ack() {
    proxy::v1::ConnectRequest ack;
    *ack.mutable_ack()->mutable_revision() = stream_->update.revision();
    Say(ack);
  }
  // Until nothing is left to decide or to publish.
  void Turns() {
    for (int i = 0; i < 1000; ++i) {
      const bool is_due = controller_.Turn() <= clock_.now;
      if (committer_.has_work()) {
        committer_.Finish(++commits_);
      } else if (!is_due) {
        return;
      }
    }
    FAIL() << "it does not come to rest";
  }
  template <class Edit>
  void Commit(Edit edit) {
    controller_.engine.Add({.decide =
                                [edit](core::Draft& draft, const core::Context&) {
                                  edit(draft);
                                  return absl::OkStatus();
                                },
                            .done = [](const absl::Status&, const core::State&) {}});
    Turns();
  }
  void Remove() {
    Commit(
        [](core::Draft& draft) { draft.Delete<v1::Target>(core::TargetKey("tg", "10.1.1.1:80")); });
  }
  size_t HealthKept() { return controller_.engine.seen().proxies.at("p1").health.size(); }

  HandClock clock_;
  HeldCommitter committer_;
  int64_t commits_ = 1;
  Metrics metrics_;
  Loop loop_{clock_, metrics_};
  Controller controller_{{.identity = {.cluster_id = "c", .epoch = 1},
                          .engine = {.state = Begin(),
                                     .patience = {},
                                     .on_leadership_lost = [](const absl::Status&) {}},
                          .version = "test"},
                         clock_,
                         committer_,
                         loop_,
                         metrics_};
  std::shared_ptr<FakeStream> stream_ = std::make_shared<FakeStream>();
};

// Another load balancer, for proxies of site b, and p2, which is one: it has the target as well.
class TwoClassesTest : public ControllerTest {
 protected:
  TwoClassesTest() {
    EditBalancer("lb", "other", [](v1::LoadBalancer& row) {
      row.set_name("loadBalancers/other");
      (*row.mutable_proxy_selector())["site"] = "b";
    });
    controller_.proxies.OnOpened(other_);
    proxy::v1::ConnectRequest hello;
    hello.mutable_hello()->set_proxy("p2");
    (*hello.mutable_hello()->mutable_labels())["site"] = "b";
    SayAsOther(hello);
    Turns();
    AckAsOther();
    proxy::v1::ConnectRequest report;
    report.mutable_health()->set_full(true);
    auto& health = *report.mutable_health()->add_targets();
    health.set_target_group("tg");
    health.set_target("10.1.1.1:80");
    health.set_state(v1::TARGET_STATE_UNHEALTHY);
    SayAsOther(report);
    // Of `lb`'s alone, p1 has the target no more.
    EditBalancer("lb", "lb", [](v1::LoadBalancer& row) { row.clear_listeners(); });
  }
  template <class Edit>
  void EditBalancer(const std::string& from, const std::string& to, Edit edit) {
    Commit([&](core::Draft& draft) {
      v1::LoadBalancer row = *draft.Find<v1::LoadBalancer>(from);
      edit(row);
      draft.Put(to, std::move(row));
    });
  }
  void SayAsOther(const proxy::v1::ConnectRequest& message) {
    controller_.proxies.OnMessage(other_, message.SerializeAsString());
    ASSERT_TRUE(other_->closed.ok()) << other_->closed;
  }
  void AckAsOther() {
    proxy::v1::ConnectRequest ack;
    *ack.mutable_ack()->mutable_revision() = other_->update.revision();
    SayAsOther(ack);
    Turns();
  }
  size_t HealthKeptOfOther() { return controller_.engine.seen().proxies.at("p2").health.size(); }

  const std::shared_ptr<FakeStream> other_ = std::make_shared<FakeStream>();
};

TEST_F(TwoClassesTest, WhatAProxySaidGoesWithItsViewsTargetThoughOthersHaveItStill) {
  ASSERT_EQ(stream_->update.removed_targets_size(), 1) << stream_->update.ShortDebugString();
  EXPECT_EQ(HealthKept(), 1U) << "it may send to it still";
  Ack();
  EXPECT_EQ(HealthKept(), 0U);
  AckAsOther();
  EXPECT_EQ(HealthKeptOfOther(), 1U) << "it has the target";
}

TEST_F(TwoClassesTest, WhatAProxySaidGoesWhenItMovesToAViewWithoutTheTarget) {
  AckAsOther();
  ASSERT_EQ(HealthKeptOfOther(), 1U);
  EditBalancer("other", "other",
               [](v1::LoadBalancer& row) { (*row.mutable_proxy_selector())["site"] = "c"; });
  AckAsOther();
  EXPECT_EQ(HealthKeptOfOther(), 0U);
}

// Notes which commit p1 had confirmed, and what it had refused, when watchers of deployments last
// looked.
class DeploymentWatcher final : public Watcher {
 public:
  explicit DeploymentWatcher(Engine& engine) : engine_(engine) {}
  void Look(const Touched& touched) override {
    if (!touched.deployments) return;
    const core::ProxyObservation& seen = engine_.seen().proxies.at("p1");
    confirmed = seen.confirmed_commit;
    rejected = seen.config.has_rejected();
  }
  void Close(const absl::Status&) override {}

  int64_t confirmed = 0;
  bool rejected = false;

 private:
  Engine& engine_;
};

TEST_F(ControllerTest, WatchersOfDeploymentsSeeWhoConfirmsAndWhoRefuses) {
  const auto watcher = std::make_shared<DeploymentWatcher>(controller_.engine);
  ASSERT_TRUE(controller_.watchers.Add(watcher).ok());
  Commit([](core::Draft& draft) { draft.Put("shop", v1::LaunchTemplate()); });
  EXPECT_EQ(watcher->confirmed, controller_.engine.state().commit())
      << "confirmed with the publication itself, for it changes nothing in the view";
  Remove();
  proxy::v1::ConnectRequest nack;
  *nack.mutable_nack()->mutable_revision() = stream_->update.revision();
  Say(nack);
  Turns();
  EXPECT_TRUE(watcher->rejected);
  Ack();
  Turns();
  EXPECT_FALSE(watcher->rejected);
  EXPECT_EQ(watcher->confirmed, controller_.engine.state().commit());
}

// A proxy says nothing of the end of a target's health: it goes with the revision that has it no
// more, in the same session.
TEST_F(ControllerTest, WhatAProxySaidOfATargetGoesWhenItHasTakenItsEndUp) {
  ASSERT_EQ(HealthKept(), 1U);
  Remove();
  ASSERT_EQ(stream_->update.removed_targets_size(), 1) << stream_->update.ShortDebugString();
  EXPECT_EQ(HealthKept(), 1U) << "it may send to it still";
  Ack();
  EXPECT_EQ(HealthKept(), 0U);
}

TEST_F(ControllerTest, SoDoesWhatItSaysBeforeItHasHeardOfTheEnd) {
  proxy::v1::ConnectRequest report;
  report.mutable_health()->set_full(true);
  Say(report);
  ASSERT_EQ(HealthKept(), 0U);
  Commit([](core::Draft& draft) {
    v1::LoadBalancer without = *draft.Find<v1::LoadBalancer>("lb");
    without.clear_listeners();
    draft.Put("lb", std::move(without));
  });
  auto& health = *report.mutable_health()->add_targets();
  health.set_target_group("tg");
  health.set_target("10.1.1.1:80");
  health.set_state(v1::TARGET_STATE_UNHEALTHY);
  Say(report);
  ASSERT_EQ(HealthKept(), 1U);
  Ack();
  EXPECT_EQ(HealthKept(), 0U);
}

// It comes back with the config that it had, and says again what it finds of what has left that
// meanwhile.
TEST_F(ControllerTest, SoDoesWhatItSaysAgainInALaterSession) {
  ASSERT_EQ(HealthKept(), 1U);
  const v1::Revision held = stream_->update.revision();
  controller_.proxies.OnClosed(stream_);
  Commit([](core::Draft& draft) {
    v1::LoadBalancer without = *draft.Find<v1::LoadBalancer>("lb");
    without.clear_listeners();
    draft.Put("lb", std::move(without));
  });
  stream_ = std::make_shared<FakeStream>();
  controller_.proxies.OnOpened(stream_);
  proxy::v1::ConnectRequest hello;
  hello.mutable_hello()->set_proxy("p1");
  *hello.mutable_hello()->mutable_held() = held;
  Say(hello);
  proxy::v1::ConnectRequest report;
  report.mutable_health()->set_full(true);
  auto& health = *report.mutable_health()->add_targets();
  health.set_target_group("tg");
  health.set_target("10.1.1.1:80");
  health.set_state(v1::TARGET_STATE_UNHEALTHY);
  Say(report);
  ASSERT_EQ(HealthKept(), 1U);
  Turns();
  Ack();
  EXPECT_EQ(HealthKept(), 0U);
}

TEST_F(ControllerTest, WhatItSaidStaysIfTheTargetIsBackByThen) {
  Remove();
  const auto removal = stream_->update;
  Commit([](core::Draft& draft) { draft.Put(core::TargetKey("tg", "10.1.1.1:80"), TargetRow()); });
  EXPECT_EQ(stream_->update.revision().sequence(), removal.revision().sequence());
  Ack();
  EXPECT_EQ(HealthKept(), 1U);
}

// What it said in the session before is no answer of this one.
TEST_F(ControllerTest, AProxyThatIsBackHasReportedWhenItsFullReportCame) {
  const auto has_reported = [&] { return controller_.engine.seen().proxies.at("p1").reported; };
  EXPECT_TRUE(has_reported());
  controller_.proxies.OnClosed(stream_);
  stream_ = std::make_shared<FakeStream>();
  controller_.proxies.OnOpened(stream_);
  proxy::v1::ConnectRequest hello;
  hello.mutable_hello()->set_proxy("p1");
  Say(hello);
  EXPECT_FALSE(has_reported());
  proxy::v1::ConnectRequest report;
  report.mutable_health();
  Say(report);
  EXPECT_FALSE(has_reported()) << "some targets only";
  report.mutable_health()->set_full(true);
  Say(report);
  EXPECT_TRUE(has_reported());
}

TEST_F(ControllerTest, RequestsInFlightAreKeptAsToldLastOfTargetsThatAreThere) {
  const auto kept = [&] { return controller_.engine.seen().proxies.at("p1").in_flight; };
  const core::TargetId target{"tg", "10.1.1.1:80"};
  proxy::v1::ConnectRequest report;
  proxy::v1::TargetStats& stats = *report.mutable_stats()->add_targets();
  stats.set_target_group("tg");
  stats.set_target("10.1.1.1:80");
  stats.set_in_flight(5);
  proxy::v1::TargetStats& other = *report.mutable_stats()->add_targets();
  other.set_target_group("tg");
  other.set_target("10.9.9.9:80");
  other.set_in_flight(7);
  Say(report);
  EXPECT_THAT(kept(), testing::ElementsAre(testing::Pair(target, 5)));
  proxy::v1::ConnectRequest nothing_new;
  nothing_new.mutable_stats();
  Say(nothing_new);
  EXPECT_THAT(kept(), testing::SizeIs(1)) << "what is not told is as it was";
  stats.set_in_flight(0);
  Say(report);
  EXPECT_THAT(kept(), testing::IsEmpty());
  stats.set_in_flight(2);
  Say(report);
  Remove();
  EXPECT_THAT(kept(), testing::SizeIs(1)) << "it may send to it still";
  Ack();
  EXPECT_THAT(kept(), testing::IsEmpty());
}

// The other end of an agent's session.
class FakeAgentStream final : public Stream {
 public:
  void Send(Frame frame) override {
    agent::v1::ConnectResponse response;
    ASSERT_TRUE(response.ParseFromString(*frame));
    if (response.has_app_answer()) answers.push_back(response.app_answer());
    if (response.has_controllers()) controllers.push_back(response.controllers());
  }
  size_t queued() const override { return 0; }
  void Close(const absl::Status& status) override { closed = status; }
  std::string peer() const override { return "test"; }

  std::vector<agent::v1::AppAnswer> answers;
  std::vector<v1::ControllerAddresses> controllers;
  absl::Status closed;
};

class AppCallTest : public ControllerTest {
 protected:
  AppCallTest() {
    controller_.agents.OnOpened(agent_);
    agent::v1::ConnectRequest hello;
    hello.mutable_hello()->set_host("h1");
    hello.mutable_hello()->set_address("10.0.0.1");
    for (const std::string id : {"i-1", "i-2"}) {
      auto& instance = *hello.mutable_hello()->add_instances();
      instance.set_instance(id);
      instance.set_state(agent::v1::PROCESS_STATE_RUNNING);
    }
    SayAsAgent(hello);
    Commit([](core::Draft& draft) {
      v1::AutoScalingGroup group;
      group.set_name("autoScalingGroups/blue");
      group.set_max(2);
      group.set_desired(2);
      draft.Put("blue", group);
      for (const std::string id : {"i-1", "i-2"}) {
        v1::Instance row;
        row.set_name("instances/" + id);
        row.set_auto_scaling_group("blue");
        row.set_host(id == "i-1" ? "h1" : "h2");
        row.set_state(v1::INSTANCE_STATE_IN_SERVICE);
        draft.Put(id, row);
      }
    });
  }
  void SayAsAgent(const agent::v1::ConnectRequest& message) {
    controller_.agents.OnMessage(agent_, message.SerializeAsString());
    ASSERT_TRUE(agent_->closed.ok()) << agent_->closed;
  }
  // The answer to an app's call.
  agent::v1::AppAnswer Call(agent::v1::AppCall call) {
    const size_t before = agent_->answers.size();
    agent::v1::ConnectRequest request;
    *request.mutable_app_call() = std::move(call);
    request.mutable_app_call()->set_call_id(static_cast<int64_t>(before) + 1);
    SayAsAgent(request);
    EXPECT_EQ(agent_->answers.size(), before) << "not before it is durable";
    Turns();
    if (agent_->answers.size() != before + 1) return {};
    EXPECT_EQ(agent_->answers.back().call_id(), request.app_call().call_id());
    return agent_->answers.back();
  }

  std::shared_ptr<FakeAgentStream> agent_ = std::make_shared<FakeAgentStream>();
};

TEST_F(AppCallTest, IsDecidedWithAllCommandsAndAnswered) {
  agent::v1::AppCall call;
  call.set_instance("i-1");
  call.set_set_protection(true);
  const agent::v1::AppAnswer answer = Call(call);
  EXPECT_EQ(answer.code(), 0) << answer.message();
  EXPECT_TRUE(answer.is_protected());
  EXPECT_EQ(answer.state(), "IN_SERVICE");
  EXPECT_TRUE((*controller_.engine.state().Find<v1::Instance>("i-1"))->app_protected());
}

TEST_F(AppCallTest, SaysWhatIsWrong) {
  agent::v1::AppCall call;
  call.set_instance("i-1");
  call.mutable_complete();
  EXPECT_THAT(Call(call).message(), testing::HasSubstr("waits for no hook"));
  call.set_instance("i-2");
  call.set_describe(true);
  EXPECT_EQ(Call(call).code(), static_cast<int>(absl::StatusCode::kNotFound))
      << "it is another host's";
}

TEST_F(AppCallTest, AllSessionsAreToldWhereTheControllersAreWhenThatChanges) {
  EXPECT_FALSE(stream_->welcome.has_controllers()) << "nothing is known, and nothing said";
  const std::vector<std::string> addresses = {"10.0.0.2:7400", "10.0.0.1:7400"};
  controller_.SetControllers(addresses);
  controller_.SetControllers(addresses);
  ASSERT_EQ(stream_->controllers.size(), 1U) << "once: it did not change again";
  EXPECT_THAT(stream_->controllers[0].addresses(), testing::ElementsAreArray(addresses));
  ASSERT_EQ(agent_->controllers.size(), 1U);
  EXPECT_THAT(agent_->controllers[0].addresses(), testing::ElementsAreArray(addresses));

  const auto later = std::make_shared<FakeStream>();
  controller_.proxies.OnOpened(later);
  proxy::v1::ConnectRequest hello;
  hello.mutable_hello()->set_proxy("p9");
  controller_.proxies.OnMessage(later, hello.SerializeAsString());
  EXPECT_THAT(later->welcome.controllers().addresses(), testing::ElementsAreArray(addresses));

  controller_.SetControllers({"10.0.0.1:7400", "10.0.0.2:7400"});
  EXPECT_EQ(stream_->controllers.size(), 2U) << "another one leads";
  EXPECT_EQ(later->controllers.size(), 1U);
  controller_.SetControllers({});
  EXPECT_EQ(stream_->controllers.size(), 2U);
}

}  // namespace
}  // namespace remuda
