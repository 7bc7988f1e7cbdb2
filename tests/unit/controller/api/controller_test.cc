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
    for (controller_.Turn(); committer_.has_work(); controller_.Turn())
      committer_.Finish(++commits_);
    controller_.Turn();
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
