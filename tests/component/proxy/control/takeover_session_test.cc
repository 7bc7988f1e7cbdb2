// A process takes over under a controller: one name, one session after the other, and no step is
// confirmed before the process that drains has taken it too.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>

#include "tests/component/proxy/testing/takeover_chain.h"
#include "tests/component/proxy/testing/updates.h"

namespace remuda::proxy::testing {
namespace {

bool IsBusy(const google::protobuf::RepeatedPtrField<v1::BusyTarget>& busy,
            const std::string& target, int64_t count = 1) {
  return std::any_of(busy.begin(), busy.end(), [&](const v1::BusyTarget& entry) {
    return entry.target() == target && entry.requests_in_flight() == count;
  });
}

// A proxy under a controller with two targets, "i-1" and "i-2"; the first answers when it may.
class TakeoverSessionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    before_ = &Add();
    update_ = First(port_, {{"i-1", first_.port()}, {"i-2", second_.port()}});
    update_.set_digest("a name");
    controller_.Begin(update_);
    ASSERT_TRUE(controller_.ExpectHealthy("i-1") && controller_.ExpectHealthy("i-2"));
    ASSERT_TRUE(before_->WaitReady());
  }
  ProxyProcess& Add() {
    return chain_.Add("", {"--controller=" + controller_.address(), "--name=p1", "--workers=2",
                           "--drain-timeout=60s"});
  }
  v1::Hello ExpectHello() {
    return controller_.Expect([](const auto& m) { return m.has_hello(); }).hello();
  }
  // A connection whose requests go to the first target: it has one under way there.
  RawSocket AskSlowly() {
    while (true) {
      RawSocket client = RawSocket::Connect(port_);
      const int before = first_.requests();
      client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      if (!WaitUntil([&] { return first_.requests() > before || second_.requests() > seen_; }))
        return {};
      if (first_.requests() > before) return client;
      ++seen_;
    }
  }
  v1::ConfigUpdate Draining(int64_t sequence) const {
    v1::ConfigUpdate update = Update(sequence, sequence - 1);
    AddTarget(update, "i-1", first_.port())->set_state(v1::Target::STATE_DRAINING);
    return update;
  }

  std::atomic<bool> may_answer_{false};
  ScriptedTarget first_{ScriptedTarget::AnswersOnce(may_answer_, "first")};
  ScriptedTarget second_{ScriptedTarget::Answers("second")};
  int seen_ = 0;
  FakeController controller_{1};
  const uint16_t port_ = FreePort();
  v1::ConfigUpdate update_;
  TakeoverChain chain_;
  ProxyProcess* before_ = nullptr;
};

TEST_F(TakeoverSessionTest, TheNextProcessHoldsWhatTheOneBeforeHeld) {
  ProxyProcess& next = Add();
  const v1::Hello hello = ExpectHello();
  EXPECT_EQ(hello.proxy(), "p1");
  EXPECT_EQ(hello.cluster_id(), "test-cluster");
  EXPECT_EQ(hello.held().sequence(), 1);
  EXPECT_EQ(hello.held_digest(), "a name");
  // It knows what that one knew, at once.
  const auto health = controller_.Expect([](const auto& m) { return m.has_health(); }).health();
  EXPECT_TRUE(health.full());
  EXPECT_EQ(health.targets_size(), 2);
  for (const v1::TargetHealth& target : health.targets())
    EXPECT_EQ(target.state(), remuda::v1::TARGET_STATE_HEALTHY) << target.target();
  EXPECT_EQ(before_->WaitExit(), 0) << chain_.Logs();
  EXPECT_TRUE(next.WaitReady());
  may_answer_ = true;
  EXPECT_EQ(StatusOf(Get(port_)), 200);
}

TEST_F(TakeoverSessionTest, WhatTheOneBeforeHasInFlightIsToldAsOurs) {
  RawSocket slow = AskSlowly();
  Add();
  EXPECT_EQ(ExpectHello().held().sequence(), 1);
  ASSERT_TRUE(before_->is_running());
  controller_.Send(Draining(2));
  EXPECT_TRUE(IsBusy(controller_.ExpectAck(2).busy(), "i-1")) << chain_.Logs();
  may_answer_ = true;
  EXPECT_EQ(BodyOf(slow.ReadMessage()), "first");
  const auto drained =
      controller_.Expect([](const auto& m) { return m.has_drain() && m.drain().busy().empty(); });
  EXPECT_TRUE(drained.has_drain()) << chain_.Logs();
}

// Two that drain: the first tells the second, and that the third.
TEST_F(TakeoverSessionTest, AChainTellsWhatAllHaveInFlight) {
  RawSocket slow = AskSlowly();
  Add();
  ExpectHello();
  RawSocket slower = AskSlowly();
  Add();
  EXPECT_EQ(ExpectHello().held().sequence(), 1) << chain_.Logs();
  ASSERT_TRUE(before_->is_running());
  controller_.Send(Draining(2));
  EXPECT_TRUE(IsBusy(controller_.ExpectAck(2).busy(), "i-1", 2)) << chain_.Logs();
  may_answer_ = true;
  EXPECT_EQ(BodyOf(slow.ReadMessage()), "first");
  EXPECT_EQ(BodyOf(slower.ReadMessage()), "first");
  EXPECT_TRUE(
      controller_.Expect([](const auto& m) { return m.has_drain() && m.drain().busy().empty(); })
          .has_drain())
      << chain_.Logs();
  EXPECT_EQ(before_->WaitExit(), 0) << chain_.Logs();
}

TEST_F(TakeoverSessionTest, NothingIsConfirmedBeforeTheOneBeforeHasTakenItUp) {
  RawSocket slow = AskSlowly();
  Add();
  ExpectHello();
  before_->Signal(SIGSTOP);
  controller_.Send(Draining(2));
  // The session lives on: reports come, and the confirmation not before that one goes on.
  for (int i = 0; i < 3; ++i) {
    const auto heard =
        controller_.Expect([](const auto& m) { return m.has_stats() || m.has_ack(); });
    EXPECT_TRUE(heard.has_stats());
  }
  before_->Signal(SIGCONT);
  EXPECT_TRUE(IsBusy(controller_.ExpectAck(2).busy(), "i-1")) << chain_.Logs();
  may_answer_ = true;
}

// A connection that the process before still has: its requests go by the newest config.
TEST_F(TakeoverSessionTest, KeptConnectionsFollowTheConfig) {
  may_answer_ = true;
  std::vector<RawSocket> kept;
  for (int i = 0; i < 8; ++i) {
    kept.push_back(RawSocket::Connect(port_));
    kept.back().Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_EQ(StatusOf(kept.back().ReadMessage()), 200);
  }
  Add();
  ExpectHello();
  v1::ConfigUpdate update = Update(2, 1);
  update.add_removed_targets("blue/i-1");
  controller_.Send(update);
  EXPECT_TRUE(controller_.ExpectAck(2).busy().empty());
  for (RawSocket& client : kept) {
    client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const std::string answer = client.ReadMessage();
    EXPECT_EQ(BodyOf(answer), "second");
    EXPECT_NE(answer.find("\r\nConnection: close\r\n"), std::string::npos) << answer;
  }
  EXPECT_EQ(before_->WaitExit(), 0) << chain_.Logs();
}

// What comes while a process takes over is for the one that serves in the end.
TEST_F(TakeoverSessionTest, AnUpdateInBetweenIsTakenUpByWhoeverServes) {
  for (int64_t sequence = 2; sequence < 12; sequence += 2) {
    ProxyProcess& next = Add();
    v1::ConfigUpdate update = Update(sequence, sequence - 1);
    AddTarget(update, "i-2", second_.port());
    controller_.Send(update);
    // The former one may have had it, or the next one asks for what it lacks.
    const auto heard = controller_.Expect([&](const auto& m) {
      return (m.has_ack() && m.ack().revision().sequence() == sequence) ||
             (m.has_hello() && m.hello().held().sequence() < sequence);
    });
    if (heard.has_hello()) {
      controller_.Send(update);
      EXPECT_EQ(controller_.ExpectAck(sequence).revision().sequence(), sequence);
    }
    ASSERT_TRUE(next.WaitReady()) << chain_.Logs();
    ASSERT_TRUE(
        WaitUntil([&] { return next.Metric("config_sequence") == static_cast<double>(sequence); }));
    v1::ConfigUpdate back = Update(sequence + 1, sequence);
    AddTarget(back, "i-1", first_.port());
    // Until it has a session, nothing comes to it.
    ASSERT_TRUE(WaitUntil([&] { return next.Metric("controller_connected") == 1; }));
    controller_.Send(back);
    EXPECT_EQ(controller_.ExpectAck(sequence + 1).revision().sequence(), sequence + 1);
  }
}

}  // namespace
}  // namespace remuda::proxy::testing
