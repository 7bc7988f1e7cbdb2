// The proxy under a controller: configs, acknowledgements, drains, reports, and life without it.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/fake_controller.h"
#include "tests/component/proxy/testing/load.h"
#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/updates.h"

namespace remuda::proxy::testing {
namespace {

// Serves `slow` as i-slow on `port`, and has one request of `client` under way there.
void Begin(FakeController& controller, uint16_t port, const ScriptedTarget& slow,
           RawSocket& client) {
  controller.Begin(First(port, {{"i-slow", slow.port()}}));
  controller.ExpectAck(1);
  ASSERT_TRUE(controller.ExpectHealthy("i-slow"));
  client = RawSocket::Connect(port);
  client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(WaitUntil([&] { return slow.requests() == 1; }));
}

TEST(ControlTest, ServesAndAcknowledges) {
  FakeController controller(1);
  ScriptedTarget one(ScriptedTarget::Answers("one"));
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControllerFlags(controller));
  const auto hello = controller.Expect([](const auto& m) { return m.has_hello(); }).hello();
  EXPECT_EQ(hello.proxy(), "p1");
  EXPECT_EQ(hello.zone(), "z1");
  EXPECT_FALSE(hello.has_held());
  v1::ConfigUpdate update = Whole(1, port);
  AddTarget(update, "i-1", one.port());
  controller.Send(update);
  const v1::Ack ack = controller.ExpectAck(1);
  EXPECT_EQ(ack.revision().epoch(), 1);
  EXPECT_EQ(ack.busy_size(), 0);
  ASSERT_EQ(ack.listeners_size(), 1);
  EXPECT_EQ(ack.listeners(0).error(), "");
  EXPECT_TRUE(controller.ExpectHealthy("i-1"));
  EXPECT_EQ(BodyOf(Get(port)), "one");
  const auto stats =
      controller.Expect([](const auto& m) { return m.stats().requests() > 0; }).stats();
  ASSERT_EQ(stats.targets_size(), 1);
  EXPECT_EQ(stats.targets(0).requests(), 1);
}

// Until then it accepts and sends, so nobody else may have its name.
TEST(ControlTest, SaysThatItIsThereUntilItsDrainBegins) {
  FakeController controller(1);
  auto flags = ControllerFlags(controller);
  flags.push_back("--drain-delay=3600s");
  ProxyProcess proxy("", flags);
  const auto hello = controller.Expect([](const auto& m) { return m.has_hello(); }).hello();
  EXPECT_EQ(hello.incarnation().size(), 16u);
  controller.SendPing(1);
  auto pong = controller.Expect([](const auto& m) { return m.has_pong(); }).pong();
  EXPECT_EQ(pong.ping_id(), 1);
  EXPECT_FALSE(pong.is_leaving());
  controller.Send(Whole(1, FreePort()));
  ASSERT_TRUE(proxy.WaitReady());
  proxy.Signal(SIGTERM);
  ASSERT_TRUE(
      WaitUntil([&] { return proxy.Admin("/readyz").find("draining") != std::string::npos; }));
  controller.SendPing(2);
  pong = controller.Expect([](const auto& m) { return m.has_pong(); }).pong();
  EXPECT_EQ(pong.ping_id(), 2);
  EXPECT_FALSE(pong.is_leaving());
}

TEST(ControlTest, SaysThatItsNameIsFreeWhileItDrainsAndThatItHasDrained) {
  FakeController controller(1);
  std::atomic<bool> may_answer{false};
  ScriptedTarget slow(ScriptedTarget::AnswersOnce(may_answer, "slow"));
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControllerFlags(controller));
  RawSocket client;
  ASSERT_NO_FATAL_FAILURE(Begin(controller, port, slow, client));
  proxy.Signal(SIGTERM);
  EXPECT_TRUE(WaitUntil([&] {
    controller.SendPing(1);
    return controller.Expect([](const auto& m) { return m.has_pong(); }).pong().is_leaving();
  }));
  may_answer = true;
  EXPECT_EQ(BodyOf(client.ReadMessage()), "slow");
  const auto farewell =
      controller.Expect([](const auto& m) { return m.has_pong() && m.pong().ping_id() == 0; });
  EXPECT_TRUE(farewell.pong().is_leaving());
  EXPECT_EQ(proxy.WaitExit(), 0);
}

TEST(ControlTest, DrainingTargetIsBusyUntilItsLastRequestEnds) {
  FakeController controller(1);
  std::atomic<bool> may_answer{false};
  ScriptedTarget slow(ScriptedTarget::AnswersOnce(may_answer, "slow"));
  ScriptedTarget fast(ScriptedTarget::Answers("fast"));
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControllerFlags(controller));
  RawSocket client;
  ASSERT_NO_FATAL_FAILURE(Begin(controller, port, slow, client));

  v1::ConfigUpdate update = Update(2, 1);
  AddTarget(update, "i-fast", fast.port());
  AddTarget(update, "i-slow", slow.port())->set_state(v1::Target::STATE_DRAINING);
  controller.Send(update);
  const v1::Ack ack = controller.ExpectAck(2);
  ASSERT_EQ(ack.busy_size(), 1);
  EXPECT_EQ(ack.busy(0).target(), "i-slow");
  EXPECT_EQ(ack.busy(0).requests_in_flight(), 1);
  ASSERT_TRUE(controller.ExpectHealthy("i-fast"));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(BodyOf(Get(port)), "fast");
  // Said again while it lasts, also after the target left the config.
  update = Update(3, 2);
  update.add_removed_targets("blue/i-slow");
  controller.Send(update);
  EXPECT_EQ(controller.ExpectAck(3).busy_size(), 1);
  EXPECT_TRUE(
      controller.Expect([](const auto& m) { return m.drain().busy_size() == 1; }).has_drain());
  may_answer = true;
  EXPECT_EQ(BodyOf(client.ReadMessage()), "slow");
  EXPECT_TRUE(
      controller.Expect([](const auto& m) { return m.has_drain() && m.drain().busy_size() == 0; })
          .has_drain());
  EXPECT_EQ(slow.requests(), 1);
}

// The ACK said that it is busy, so its end must be told however soon it comes.
TEST(ControlTest, RequestThatEndsRightAfterTheAckIsReported) {
  FakeController controller(1);
  std::atomic<bool> may_answer{false};
  ScriptedTarget slow(ScriptedTarget::AnswersOnce(may_answer, "slow"));
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControllerFlags(controller));
  controller.Begin(First(port, {{"i-1", slow.port()}}));
  ASSERT_TRUE(controller.ExpectHealthy("i-1"));
  for (int64_t sequence = 2; sequence < 12; sequence += 2) {
    may_answer = false;
    const int before = slow.requests();
    RawSocket client = RawSocket::Connect(port);
    client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_TRUE(WaitUntil([&] { return slow.requests() == before + 1; }));
    v1::ConfigUpdate update = Update(sequence, sequence - 1);
    AddTarget(update, "i-1", slow.port())->set_state(v1::Target::STATE_DRAINING);
    controller.Send(update);
    ASSERT_EQ(controller.ExpectAck(sequence).busy_size(), 1);
    may_answer = true;
    EXPECT_TRUE(
        controller.Expect([](const auto& m) { return m.has_drain() && m.drain().busy_size() == 0; })
            .has_drain());
    update = Update(sequence + 1, sequence);  // a draining target can be taken back
    AddTarget(update, "i-1", slow.port());
    controller.Send(update);
    controller.ExpectAck(sequence + 1);
  }
}

TEST(ControlTest, WhatOutlivesTheDeregistrationDelayIsEnded) {
  FakeController controller(1);
  ScriptedTarget never([](const std::string&, RawSocket& connection) {
    connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
    connection.ReadToEnd();
    return false;
  });
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControllerFlags(controller));
  controller.Begin(First(port, {{"i-1", never.port()}}, 1));
  ASSERT_TRUE(controller.ExpectHealthy("i-1"));
  RawSocket client = RawSocket::Connect(port);
  client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  client.ReadUntil("part");
  v1::ConfigUpdate update = Update(2, 1);
  AddTarget(update, "i-1", never.port())->set_state(v1::Target::STATE_DRAINING);
  controller.Send(update);
  EXPECT_EQ(controller.ExpectAck(2).busy_size(), 1);
  EXPECT_TRUE(client.WaitClosed());
  EXPECT_TRUE(
      controller.Expect([](const auto& m) { return m.has_drain() && m.drain().busy_size() == 0; })
          .has_drain());
}

TEST(ControlTest, GoneTargetLeavesAtOnceThoughItsChecksPass) {
  FakeController controller(1);
  ScriptedTarget one(ScriptedTarget::Answers("one"));
  ScriptedTarget two(ScriptedTarget::Answers("two"));
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControllerFlags(controller));
  controller.Begin(First(port, {{"i-1", one.port()}, {"i-2", two.port()}}));
  controller.ExpectAck(1);
  ASSERT_TRUE(WaitUntil([&] { return Get(port).find("two") != std::string::npos; }));
  v1::ConfigUpdate update = Update(2, 1);
  AddTarget(update, "i-2", two.port())->set_state(v1::Target::STATE_GONE);
  controller.Send(update);
  controller.ExpectAck(2);
  const int before = two.requests();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(BodyOf(Get(port)), "one");
  EXPECT_EQ(two.requests(), before);
}

TEST(ControlTest, BadUpdatesAreRefusedWhole) {
  FakeController controller(3);
  ScriptedTarget one(ScriptedTarget::Answers("one"));
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControllerFlags(controller));
  v1::ConfigUpdate update = Whole(1, port);
  update.mutable_revision()->set_epoch(3);
  AddTarget(update, "i-1", one.port());
  controller.Begin(update);
  controller.ExpectAck(1);

  v1::ConfigUpdate bad = Update(2, 1, 3);
  AddTarget(bad, "i-2", one.port());
  bad.mutable_upserts()->mutable_targets(0)->set_address("not-an-address");
  controller.Send(bad);
  v1::Nack nack = controller.ExpectNack();
  EXPECT_EQ(nack.revision().sequence(), 2);
  EXPECT_EQ(nack.resource(), "targetGroups/blue/targets/i-2");
  EXPECT_NE(nack.reason().find("'not-an-address'"), std::string::npos) << nack.reason();

  controller.Send(Update(3, 2, 3));  // of a base that is not in force
  EXPECT_NE(controller.ExpectNack().reason().find("base 3.2"), std::string::npos);
  controller.Send(Update(9, 1, 2));  // of an older leader
  EXPECT_NE(controller.ExpectNack().reason().find("epoch 2"), std::string::npos);
  EXPECT_EQ(BodyOf(Get(port)), "one");
  EXPECT_EQ(proxy.Metric("config_nack_total"), 3);
}

TEST(ControlTest, ServesOnWithoutControllerAndStartsFromDisk) {
  auto controller = std::make_unique<FakeController>(5);
  const int controller_port = controller->port();
  ScriptedTarget one(ScriptedTarget::Answers("one"));
  const uint16_t port = FreePort();
  ProxyProcess keeper("", {"--version"});  // only for its directory
  const std::string data_dir = keeper.directory() + "/data";
  auto flags = ControllerFlags(*controller, data_dir);
  auto proxy = std::make_unique<ProxyProcess>("", flags);
  v1::ConfigUpdate update = Whole(7, port);
  update.mutable_revision()->set_epoch(5);
  update.set_digest("a name");
  AddTarget(update, "i-1", one.port());
  controller->Begin(update);
  controller->ExpectAck(7);
  controller.reset();
  EXPECT_EQ(BodyOf(Get(port)), "one");
  proxy->Signal(SIGTERM);
  EXPECT_EQ(proxy->WaitExit(), 0);

  proxy = std::make_unique<ProxyProcess>("", flags);
  ASSERT_TRUE(proxy->WaitReady());
  ASSERT_TRUE(proxy->WaitHealthy(1));
  EXPECT_EQ(BodyOf(Get(port)), "one");
  proxy->Signal(SIGTERM);
  EXPECT_EQ(proxy->WaitExit(), 0);

  // With a controller there from the beginning it still says what it holds in its first word.
  auto again = std::make_unique<FakeController>(6, controller_port);
  proxy = std::make_unique<ProxyProcess>("", flags);
  const auto hello = again->Expect([](const auto& m) { return m.has_hello(); }).hello();
  EXPECT_EQ(hello.cluster_id(), "test-cluster");
  EXPECT_EQ(hello.held().epoch(), 5);
  EXPECT_EQ(hello.held().sequence(), 7);
  EXPECT_EQ(hello.held_digest(), "a name");
  // Nothing is acknowledged that is held, so its listeners are told by themselves.
  const auto listeners = again->Expect([](const auto& m) { return m.has_listeners(); }).listeners();
  ASSERT_EQ(listeners.listeners_size(), 1);
  EXPECT_EQ(listeners.listeners(0).error(), "");
  ASSERT_TRUE(WaitUntil([&] { return proxy->Metric("controller_connected") == 1; }));
  // That controller would send the same, and says only what it calls it.
  v1::ConfigUpdate renaming = Update(1, 7, 6);
  renaming.mutable_base()->set_epoch(5);
  renaming.set_digest("a name");
  again->Send(renaming);
  EXPECT_EQ(again->ExpectAck(1).revision().epoch(), 6);
  EXPECT_EQ(BodyOf(Get(port)), "one");

  // One that was the leader before is turned away, by its name.
  again.reset();
  FakeController old(4, controller_port);
  EXPECT_TRUE(WaitUntil([&] { return proxy->Log().find("STALE_EPOCH") != std::string::npos; }))
      << proxy->Log();
  EXPECT_EQ(proxy->Log().find("CANCELLED"), std::string::npos) << proxy->Log();
  EXPECT_EQ(proxy->Metric("controller_connected"), 0);
  EXPECT_EQ(BodyOf(Get(port)), "one");
}

// The controller may go on without a proxy that it does not hear: what is in front must turn away.
TEST(ControlTest, IsReadyOnlyWhileTheControllerAnswers) {
  FakeController controller(1, 0, std::chrono::seconds(1));
  ScriptedTarget one(ScriptedTarget::Answers("one"));
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControllerFlags(controller));
  controller.Begin(First(port, {{"i-1", one.port()}}));
  ASSERT_TRUE(controller.ExpectHealthy("i-1"));
  ASSERT_TRUE(WaitUntil([&] { return proxy.Admin("/readyz") == "ok\n"; })) << proxy.Log();
  controller.set_renews(false);
  ASSERT_TRUE(WaitUntil([&] {
    return proxy.Admin("/readyz").rfind("the lease from the controller was over", 0) == 0;
  })) << proxy.Admin("/readyz");
  EXPECT_LT(proxy.Metric("lease_remaining_seconds"), 0);
  EXPECT_EQ(BodyOf(Get(port)), "one");  // whoever comes all the same is served
  controller.set_renews(true);
  EXPECT_TRUE(WaitUntil([&] { return proxy.Admin("/readyz") == "ok\n"; }));
}

TEST(ControlTest, MayStayReadyWithoutALease) {
  FakeController controller(1, 0, std::chrono::milliseconds(200));
  controller.set_renews(false);
  const uint16_t port = FreePort();
  auto flags = ControllerFlags(controller);
  flags.push_back("--ready-without-lease");
  ProxyProcess proxy("", flags);
  controller.Begin(Whole(1, port));
  controller.ExpectAck(1);
  ASSERT_TRUE(WaitUntil([&] { return proxy.Metric("lease_remaining_seconds") < 0; }));
  EXPECT_EQ(proxy.Admin("/readyz"), "ok\n");
}

// Descriptors are short here, not at the target.
TEST(ControlTest, ChecksThatWeCannotMakeDoNotCount) {
  FakeController controller(1);
  ScriptedTarget one(ScriptedTarget::Answers("one"));
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControllerFlags(controller));
  controller.Begin(First(port, {{"i-1", one.port()}}));
  ASSERT_TRUE(controller.ExpectHealthy("i-1"));
  ASSERT_TRUE(proxy.WaitReady());
  rlimit before{};
  ASSERT_EQ(prlimit(proxy.pid(), RLIMIT_NOFILE, nullptr, &before), 0);
  rlimit few = before;
  few.rlim_cur = 3;
  ASSERT_EQ(prlimit(proxy.pid(), RLIMIT_NOFILE, &few, nullptr), 0);
  const auto told = controller.Expect([](const auto& m) {
    return m.health().targets_size() == 1 && !m.health().targets(0).description().empty();
  });
  EXPECT_EQ(told.health().targets(0).state(), remuda::v1::TARGET_STATE_HEALTHY);
  EXPECT_EQ(told.health().targets(0).description(),
            "not checked, this proxy lacks what it takes: connect: Too many open files");
  ASSERT_EQ(prlimit(proxy.pid(), RLIMIT_NOFILE, &before, nullptr), 0);
  const auto over = controller.Expect([](const auto& m) {
    return m.health().targets_size() == 1 && m.health().targets(0).description().empty();
  });
  EXPECT_EQ(over.health().targets(0).state(), remuda::v1::TARGET_STATE_HEALTHY);
  EXPECT_GE(proxy.Metric("skipped_health_check_count_total"), 1);
  EXPECT_EQ(BodyOf(Get(port)), "one");
}

// A newer controller's word that this proxy does not know is not taken for a default.
TEST(ControlTest, UnknownStatesAreRefused) {
  FakeController controller(1);
  ScriptedTarget one(ScriptedTarget::Answers("one"));
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControllerFlags(controller));
  v1::ConfigUpdate update = Whole(1, port);
  AddTarget(update, "i-1", one.port())->set_state(static_cast<v1::Target::State>(9));
  controller.Begin(update);
  const v1::Nack nack = controller.ExpectNack();
  EXPECT_EQ(nack.resource(), "targetGroups/blue/targets/i-1");
  EXPECT_EQ(nack.reason(), "state: 9 is not a value that this version of the proxy knows");
}

// What an update costs a worker is not the product of both numbers.
TEST(ControlTest, ManyThatLeaveAtOnceCostOneLookAtEachConnection) {
  constexpr int kTargets = 40;
  FakeController controller(1);
  std::atomic<bool> may_answer{false};
  ScriptedTarget slow(ScriptedTarget::AnswersOnce(may_answer, "slow"));
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControllerFlags(controller));
  v1::ConfigUpdate update = Whole(1, port);
  for (int i = 0; i < kTargets; ++i) AddTarget(update, "i-" + std::to_string(i), slow.port());
  controller.Begin(update);
  controller.ExpectAck(1);
  ASSERT_TRUE(proxy.WaitReady() && proxy.WaitHealthy(kTargets));
  std::vector<RawSocket> clients;  // in turn: one a target
  for (int i = 0; i < kTargets; ++i) {
    clients.push_back(RawSocket::Connect(port));
    clients.back().Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  ASSERT_TRUE(WaitUntil([&] { return slow.requests() == kTargets; }));
  update = Update(2, 1);
  for (int i = 0; i < kTargets; ++i) {
    AddTarget(update, "i-" + std::to_string(i), slow.port())->set_state(v1::Target::STATE_DRAINING);
  }
  controller.Send(update);
  EXPECT_EQ(controller.ExpectAck(2).busy_size(), kTargets);
  EXPECT_LE(proxy.Metric("connection_visit_count_total"), kTargets);
  may_answer = true;
  for (RawSocket& client : clients) EXPECT_EQ(BodyOf(client.ReadMessage()), "slow");
}

// Promise 3: many changes under load, no request failed.
TEST(ControlTest, ManyChangesUnderLoadCostNoRequest) {
  FakeController controller(1);
  ScriptedTarget one(ScriptedTarget::Answers("one"));
  ScriptedTarget two(ScriptedTarget::Answers("two"));
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControllerFlags(controller));
  controller.Begin(First(port, {{"i-1", one.port()}, {"i-2", two.port()}}));
  controller.ExpectAck(1);
  ASSERT_TRUE(WaitUntil([&] { return StatusOf(Get(port)) == 200; }));
  Load load(port, 4);
  for (int64_t sequence = 2; sequence <= 300; ++sequence) {
    v1::ConfigUpdate update = Update(sequence, sequence - 1);
    v1::Target* target = AddTarget(update, sequence % 2 == 0 ? "i-2" : "i-1",
                                   sequence % 2 == 0 ? two.port() : one.port());
    target->set_state(sequence % 4 < 2 ? v1::Target::STATE_DRAINING : v1::Target::STATE_ACTIVE);
    // Never both at once.
    if (target->state() == v1::Target::STATE_DRAINING) {
      AddTarget(update, sequence % 2 == 0 ? "i-1" : "i-2",
                sequence % 2 == 0 ? one.port() : two.port());
    }
    controller.Send(update);
    ASSERT_EQ(controller.ExpectAck(sequence).revision().sequence(), sequence) << proxy.Log();
  }
  load.Stop();
  EXPECT_EQ(load.bad(), 0);
}

}  // namespace
}  // namespace remuda::proxy::testing
