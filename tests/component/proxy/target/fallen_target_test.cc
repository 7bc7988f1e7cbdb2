// Targets that fall while requests wait for them: what became hopeless is given up at once, long
// before --connect-timeout and the idle timeout, and done elsewhere where that is safe.
#include <gtest/gtest.h>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/fake_controller.h"
#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/raw_target.h"
#include "tests/component/proxy/testing/silent_target.h"
#include "tests/component/proxy/testing/updates.h"
#include "tests/component/proxy/testing/vanishing_target.h"

namespace remuda::proxy::testing {
namespace {

// A target that accepts no connection, but is healthy by the checks of another port.
v1::ConfigUpdate CheckedElsewhere(uint16_t port, const SilentTarget& silent,
                                  const ScriptedTarget& health) {
  v1::ConfigUpdate update = Whole(1, port);
  update.mutable_upserts()->mutable_target_groups(0)->mutable_health_check()->set_port(
      health.port());
  AddTarget(update, "i-1", silent.port());
  return update;
}

// What nobody waits for in these tests.
const std::vector<std::string> kFlags = {"--workers=2", "--connect-timeout=10m"};

std::vector<std::string> ControlledFlags(const FakeController& controller) {
  std::vector<std::string> flags = ControllerFlags(controller);
  flags.push_back("--connect-timeout=10m");
  return flags;
}

TEST(FallenTargetTest, ConnectsThatWaitForItGoToAnother) {
  VanishingTarget vanishing;
  ScriptedTarget live(ScriptedTarget::Answers("live"));
  ServingProxy proxy(WithQuickChecks(ConfigFor({vanishing.port(), live.port()})), kFlags);
  vanishing.Vanish();
  std::vector<RawSocket> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(RawSocket::Connect(proxy.Port()));
    // Nothing of it was sent, whatever the method.
    clients.back().Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
  }
  for (RawSocket& client : clients) EXPECT_EQ(StatusOf(client.ReadMessage()), 200);
  EXPECT_LE(proxy.Metric("answer_reason_total"), 0);
}

TEST(FallenTargetTest, SoDoTcpConnectionsThatWaitForIt) {
  VanishingTarget vanishing;
  RawTarget live([](RawSocket& connection) {
    connection.Send("live");
    connection.ReadToEnd();
  });
  BytesConfig bytes{.targets = {vanishing.port(), live.port()}};
  std::string config = BytesConfigFor(bytes);
  const std::string slow = "interval: 30s";
  config.replace(config.find(slow), slow.size(), "interval: 100ms");
  ServingProxy proxy(WithQuickChecks(config), kFlags);
  vanishing.Vanish();
  std::vector<RawSocket> clients;
  for (int i = 0; i < 10; ++i) clients.push_back(RawSocket::Connect(proxy.Port()));
  for (RawSocket& client : clients) EXPECT_EQ(client.ReadBytes(4), "live");
}

// If there is no other that is well, the one connect that waits is better than nothing.
TEST(FallenTargetTest, WithoutAnotherAConnectGoesOn) {
  VanishingTarget vanishing;
  ServingProxy proxy(WithQuickChecks(ConfigFor({vanishing.port()})), kFlags);
  vanishing.Vanish();
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(WaitUntil([&] {
    return proxy.Admin("/targets").find("\"health\":\"unhealthy\"") != std::string::npos;
  }));
  EXPECT_EQ(proxy.Metric("target_in_flight_count"), 1);
  EXPECT_LE(proxy.Metric("answer_reason_total"), 0);
}

// Whose process is gone will not accept: told by the agent, whatever the checks say.
TEST(FallenTargetTest, ConnectsToAGoneOneEndAtOnce) {
  FakeController controller(1);
  SilentTarget silent;
  ScriptedTarget health(ScriptedTarget::Answers(""));
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControlledFlags(controller));
  v1::ConfigUpdate update = CheckedElsewhere(port, silent, health);
  controller.Begin(update);
  ASSERT_TRUE(controller.ExpectHealthy("i-1"));
  RawSocket client = RawSocket::Connect(port);
  client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(WaitUntil([&] { return proxy.Metric("target_in_flight_count") == 1; }));
  update = Update(2, 1);
  AddTarget(update, "i-1", silent.port())->set_state(v1::Target::STATE_GONE);
  controller.Send(update);
  EXPECT_EQ(StatusOf(client.ReadMessage()), 502);
}

// Its host should have closed the connections; should that not come (a child holds them, the host
// is gone too), nobody waits for the idle timeout.
TEST(FallenTargetTest, WhatAGoneOneHasNotBegunToAnswerIsGivenUp) {
  FakeController controller(1);
  std::atomic<bool> may_go_on{false};
  ScriptedTarget hangs([&](const std::string& head, RawSocket& connection) {
    if (head.rfind("GET /begun", 0) == 0) {
      connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npart");
      WaitUntil([&] { return may_go_on.load(); });
      return connection.Send("rest");
    }
    connection.ReadToEnd();
    return false;
  });
  ScriptedTarget other(ScriptedTarget::Answers("other"));
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControlledFlags(controller));
  controller.Begin(First(port, {{"i-1", hangs.port()}}));
  ASSERT_TRUE(controller.ExpectHealthy("i-1"));
  RawSocket begun = RawSocket::Connect(port), get = RawSocket::Connect(port),
            post = RawSocket::Connect(port);
  begun.Send("GET /begun HTTP/1.1\r\nHost: a\r\n\r\n");
  begun.ReadUntil("part");
  get.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  post.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
  ASSERT_TRUE(WaitUntil([&] { return hangs.requests() == 3; }));
  v1::ConfigUpdate update = Update(2, 1);
  AddTarget(update, "i-1", hangs.port())->set_state(v1::Target::STATE_GONE);
  AddTarget(update, "i-2", other.port());
  controller.Send(update);
  EXPECT_EQ(BodyOf(get.ReadMessage()), "other");  // may be asked twice
  EXPECT_EQ(StatusOf(post.ReadMessage()), 502);   // may not
  // The others are over a moment after their clients have all. Not the one of which a part came:
  // that may not be all that was sent.
  EXPECT_TRUE(WaitUntil([&] { return proxy.Metric("target_in_flight_count") == 1; }));
  may_go_on = true;
  EXPECT_EQ(begun.ReadUntil("rest"), "rest");
  EXPECT_TRUE(WaitUntil([&] { return proxy.Metric("target_in_flight_count") == 0; }));
}

// Removed before its time is over: it is as gone as it was.
TEST(FallenTargetTest, AGoneOneThatIsRemovedIsGivenUpAsWell) {
  FakeController controller(1);
  std::atomic<bool> is_over{false};
  ScriptedTarget hangs([&](const std::string&, RawSocket&) {
    WaitUntil([&] { return is_over.load(); }, std::chrono::seconds(120));
    return false;
  });
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControlledFlags(controller));
  controller.Begin(First(port, {{"i-1", hangs.port()}}));
  ASSERT_TRUE(controller.ExpectHealthy("i-1"));
  RawSocket client = RawSocket::Connect(port);
  client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(WaitUntil([&] { return hangs.requests() == 1; }));
  v1::ConfigUpdate update = Update(2, 1);
  AddTarget(update, "i-1", hangs.port())->set_state(v1::Target::STATE_GONE);
  controller.Send(update);
  update = Update(3, 2);
  update.add_removed_targets("blue/i-1");
  controller.Send(update);
  EXPECT_EQ(StatusOf(client.ReadMessage()), 502);
  is_over = true;
}

// The table that says so may be adopted when a later one has removed it already.
TEST(FallenTargetTest, ConnectsToAGoneOneThatIsRemovedEndAtOnce) {
  FakeController controller(1);
  SilentTarget silent;
  ScriptedTarget health(ScriptedTarget::Answers(""));
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControlledFlags(controller));
  v1::ConfigUpdate update = CheckedElsewhere(port, silent, health);
  controller.Begin(update);
  ASSERT_TRUE(controller.ExpectHealthy("i-1"));
  std::vector<RawSocket> clients;
  for (int i = 0; i < 8; ++i) {  // of all workers
    clients.push_back(RawSocket::Connect(port));
    clients.back().Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  ASSERT_TRUE(WaitUntil([&] { return proxy.Metric("target_in_flight_count") == 8; }));
  proxy.Signal(SIGSTOP);
  // They keep the workers from the first table until the second is there.
  std::vector<RawSocket> others;
  for (int i = 0; i < 400; ++i) {
    others.push_back(RawSocket::Connect(port));
    others.back().Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  update = Update(2, 1);
  AddTarget(update, "i-1", silent.port())->set_state(v1::Target::STATE_GONE);
  controller.Send(update);
  update = Update(3, 2);
  update.add_removed_targets("blue/i-1");
  controller.Send(update);
  proxy.Signal(SIGCONT);
  // Not given up after a while, which is TargetClosed.
  for (RawSocket& client : clients) {
    EXPECT_NE(client.ReadMessage().find("X-Remuda-Reason: TargetConnectFailed\r\n"),
              std::string::npos);
  }
}

// What its kernel is asked is asked for one request only, and that host may be gone: its connection
// serves nobody else.
TEST(FallenTargetTest, ADoubtedConnectionIsNotUsedAgain) {
  std::atomic<bool> may_answer{false};
  ScriptedTarget slow(ScriptedTarget::AnswersOnce(may_answer, "slow"));
  ServingProxy proxy(ConfigFor({slow.port()}), {"--workers=1"});
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(WaitUntil([&] { return slow.requests() == 1; }));
  slow.SetHealth(503);
  EXPECT_TRUE(WaitUntil([&] { return proxy.Metric("connection_visit_count_total") > 0; }));
  may_answer = true;
  EXPECT_EQ(BodyOf(client.ReadMessage()), "slow");
  client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(BodyOf(client.ReadMessage()), "slow");
  EXPECT_EQ(proxy.Metric("target_connections_made_total"), 2);
}

}  // namespace
}  // namespace remuda::proxy::testing
