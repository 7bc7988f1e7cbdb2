// The controller's parts wired together, with a proxy's session and without a thread, a store or a
// socket.
#include "controller/api/controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

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
  }
  size_t queued() const override { return 0; }
  void Close(const absl::Status& status) override { closed = status; }
  std::string peer() const override { return "test"; }

  proxy::v1::ConfigUpdate update;
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

}  // namespace
}  // namespace remuda
