// Tunnels while the config changes under them.
#include <gtest/gtest.h>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/raw_target.h"
#include "tests/component/proxy/testing/updates.h"
#include "tests/component/proxy/testing/websocket_bytes.h"

namespace remuda::proxy::testing {
namespace {

// A proxy with one target `i-1` and a WebSocket to it.
struct Connected {
  explicit Connected(uint16_t target_port, int64_t delay_seconds = 300,
                     remuda::v1::WebSocketClose close = remuda::v1::WEB_SOCKET_CLOSE_UNSPECIFIED)
      : port(FreePort()), proxy("", ControllerFlags(controller)) {
    v1::ConfigUpdate update = Whole(1, port, delay_seconds);
    update.mutable_upserts()->mutable_target_groups(0)->set_web_socket_close(close);
    AddTarget(update, "i-1", target_port);
    controller.Begin(update);
    controller.ExpectAck(1);
    EXPECT_TRUE(proxy.WaitReady() && proxy.WaitHealthy(1));
    client = RawSocket::Connect(port);
    client.Send(UpgradeRequest());
    EXPECT_EQ(StatusOf(client.ReadMessage(true)), 101);
  }

  FakeController controller{1};
  uint16_t port;
  ProxyProcess proxy;
  RawSocket client;
};

TEST(TunnelControlTest, AHundredChangesOfOtherThingsTouchNoTunnel) {
  ScriptedTarget target(UpgradeAndEcho);
  ScriptedTarget other(ScriptedTarget::Answers("other"));
  Connected c(target.port());
  const std::string message = Frame(1, "still there?", true);
  for (int i = 0; i < 100; ++i) {
    // Another target comes and goes, the group and the load balancer change.
    v1::ConfigUpdate update = Update(i + 2, i + 1);
    if (i % 2 == 0) {
      AddTarget(update, "i-2", other.port());
    } else {
      update.add_removed_targets("blue/i-2");
    }
    v1::ConfigUpdate whole = Whole(1, c.port, 300 + i);
    whole.mutable_upserts()->mutable_load_balancers(0)->mutable_idle_timeout()->set_seconds(60 + i);
    *update.mutable_upserts()->add_load_balancers() = whole.upserts().load_balancers(0);
    *update.mutable_upserts()->add_target_groups() = whole.upserts().target_groups(0);
    c.controller.Send(update);
    c.client.Send(message);
    ASSERT_EQ(c.client.ReadBytes(message.size()), message) << "change " << i;
    if (i % 10 == 9) c.controller.ExpectAck(i + 2);
  }
  EXPECT_EQ(c.proxy.Metric("active_tunnel_count"), 1);
}

TEST(TunnelControlTest, ADrainingTargetSaysGoodbyeAndIsBusyUntilTheEnd) {
  std::string at_target;
  ScriptedTarget target(UpgradeAndPart(at_target));
  Connected c(target.port(), 300, remuda::v1::WEB_SOCKET_CLOSE_AT_ONCE);
  v1::ConfigUpdate update = Update(2, 1);
  AddTarget(update, "i-1", target.port())->set_state(v1::Target::STATE_DRAINING);
  c.controller.Send(update);
  const v1::Ack ack = c.controller.ExpectAck(2);
  EXPECT_EQ(c.client.ReadBytes(4), kGoingAway);
  c.client.Send(Frame(8, "\x03\xe9", true));
  EXPECT_TRUE(c.client.WaitClosed());
  EXPECT_TRUE(IsMaskedGoingAway(at_target));
  if (ack.busy_size() > 0) {
    EXPECT_TRUE(
        c.controller
            .Expect([](const auto& m) { return m.has_drain() && m.drain().busy_size() == 0; })
            .has_drain());
  }
  EXPECT_EQ(c.proxy.Metric("active_tunnel_count"), 0);
}

// They may talk on for nearly all of the delay.
TEST(TunnelControlTest, ByDefaultADrainingTargetsWebSocketsGoOn) {
  ScriptedTarget target(UpgradeAndEcho);
  Connected c(target.port(), 3600);
  v1::ConfigUpdate update = Update(2, 1);
  AddTarget(update, "i-1", target.port())->set_state(v1::Target::STATE_DRAINING);
  c.controller.Send(update);
  EXPECT_EQ(c.controller.ExpectAck(2).busy_size(), 1);
  update = Update(3, 2);
  update.add_removed_targets("blue/i-1");
  c.controller.Send(update);
  EXPECT_EQ(c.controller.ExpectAck(3).busy_size(), 1);
  const std::string message = Frame(1, "still there?", true);
  for (int i = 0; i < 10; ++i) {
    c.client.Send(message);
    ASSERT_EQ(c.client.ReadBytes(message.size()), message);
  }
}

// A target whose process is gone will not talk on.
TEST(TunnelControlTest, AGoneTargetsWebSocketsAreClosedAtOnce) {
  ScriptedTarget target([](const std::string&, RawSocket& connection) {
    connection.Send(kSwitching);
    connection.ReadToEnd();
    return false;
  });
  Connected c(target.port(), 3600);
  v1::ConfigUpdate update = Update(2, 1);
  AddTarget(update, "i-1", target.port())->set_state(v1::Target::STATE_GONE);
  c.controller.Send(update);
  EXPECT_EQ(c.client.ReadBytes(4), kGoingAway);
}

TEST(TunnelControlTest, TheDeregistrationDelayEndsWhatDoesNotAnswer) {
  ScriptedTarget target([](const std::string&, RawSocket& connection) {
    connection.Send(kSwitching);
    while (!connection.ReadSome().empty()) {
    }
    return false;
  });
  Connected c(target.port(), 1);
  v1::ConfigUpdate update = Update(2, 1);
  update.add_removed_targets("blue/i-1");
  c.controller.Send(update);
  EXPECT_EQ(c.controller.ExpectAck(2).busy_size(), 1);
  EXPECT_EQ(c.client.ReadBytes(4), kGoingAway);
  EXPECT_TRUE(c.client.WaitClosed());
  EXPECT_TRUE(WaitUntil([&] {
    return c.proxy.AccessLog().find("\"TargetDrainTimeout\"") != std::string::npos;
  })) << c.proxy.AccessLog();
}

TEST(TunnelControlTest, TcpConnectionsOfADrainingTargetGoOnUntilTheDelayIsOver) {
  RawTarget target(EchoAll);
  FakeController controller(1);
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControllerFlags(controller));
  v1::ConfigUpdate update = Whole(1, port, 1);
  update.mutable_upserts()->mutable_load_balancers(0)->mutable_listeners(0)->set_protocol(
      remuda::v1::PROTOCOL_TCP);
  auto* group = update.mutable_upserts()->mutable_target_groups(0);
  group->set_protocol(remuda::v1::PROTOCOL_TCP);
  group->mutable_health_check()->clear_path();
  AddTarget(update, "i-1", target.port());
  controller.Begin(update);
  controller.ExpectAck(1);
  // Not by its report, which may come before the acknowledgement.
  ASSERT_TRUE(proxy.WaitReady() && proxy.WaitHealthy(1));
  RawSocket client = RawSocket::Connect(port);
  client.Send("before");
  EXPECT_EQ(client.ReadBytes(6), "before");
  update = Update(2, 1);
  AddTarget(update, "i-1", target.port())->set_state(v1::Target::STATE_DRAINING);
  controller.Send(update);
  EXPECT_EQ(controller.ExpectAck(2).busy_size(), 1);
  client.Send("during");
  EXPECT_EQ(client.ReadBytes(6), "during");
  EXPECT_TRUE(client.WaitClosed());
  EXPECT_TRUE(
      controller.Expect([](const auto& m) { return m.has_drain() && m.drain().busy_size() == 0; })
          .has_drain());
}

}  // namespace
}  // namespace remuda::proxy::testing
