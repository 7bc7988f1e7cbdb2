// What is closed when nothing has gone over it for a while.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <string>

#include "tests/component/proxy/configs.h"
#include "tests/component/proxy/proxy_process.h"
#include "tests/component/proxy/raw_target.h"

namespace remuda::proxy::testing {
namespace {

constexpr const char* kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

// The other timeouts of clients are far longer than the test waits.
TEST(IdleTest, AKeptConnectionOfAClientEnds) {
  ScriptedTarget target(ScriptedTarget::Answers("app"));
  ProxyProcess proxy(ConfigFor({target.port()}, "", "    clientKeepAlive: 1s\n"), {"--workers=1"});
  ASSERT_TRUE(proxy.WaitReady());
  ASSERT_TRUE(proxy.WaitHealthy(1));
  RawSocket client = RawSocket::Connect(proxy.Port());
  for (int i = 0; i < 2; ++i) {  // it is kept first
    client.Send(kGet);
    ASSERT_EQ(BodyOf(client.ReadMessage()), "app");
  }
  EXPECT_TRUE(client.WaitClosed());
  EXPECT_TRUE(WaitUntil([&] { return proxy.Metric("active_connection_count") == 0; }));
  EXPECT_EQ(proxy.Metric("new_connection_count_total"), 1);
}

// A client that waits for its answer is not idle, however long that takes.
TEST(IdleTest, ARequestUnderWayIsNotAnIdleConnection) {
  std::atomic<bool> may_answer{false};
  ScriptedTarget target([&](const std::string& head, RawSocket& connection) {
    if (head.rfind("GET /slow", 0) == 0) WaitUntil([&] { return may_answer.load(); });
    return connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\napp");
  });
  ProxyProcess proxy(ConfigFor({target.port()}, "", "    clientKeepAlive: 1s\n"), {"--workers=1"});
  ASSERT_TRUE(proxy.WaitReady());
  ASSERT_TRUE(proxy.WaitHealthy(1));
  RawSocket idle = RawSocket::Connect(proxy.Port());
  RawSocket busy = RawSocket::Connect(proxy.Port());
  busy.Send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(WaitUntil([&] { return target.requests() == 1; }));
  idle.Send(kGet);
  ASSERT_EQ(BodyOf(idle.ReadMessage()), "app");
  EXPECT_TRUE(idle.WaitClosed());  // though it was used after the other one
  may_answer = true;
  EXPECT_EQ(BodyOf(busy.ReadMessage()), "app");
}

TEST(IdleTest, AnIdleConnectionToATargetEnds) {
  std::atomic<int> closed{0};
  RawTarget target([&](RawSocket& connection) {
    const std::string head = connection.ReadUntil("\r\n\r\n");
    connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\napp");
    const bool is_check = head.rfind("GET /health", 0) == 0;
    if (!is_check && connection.WaitClosed()) ++closed;
  });
  ProxyProcess proxy(ConfigFor({target.port()}), {"--workers=1", "--pool-idle-timeout=100ms"});
  ASSERT_TRUE(proxy.WaitReady());
  ASSERT_TRUE(proxy.WaitHealthy(1));
  RawSocket client = RawSocket::Connect(proxy.Port());
  for (int i = 1; i <= 2; ++i) {
    client.Send(kGet);
    ASSERT_EQ(BodyOf(client.ReadMessage()), "app");
    ASSERT_TRUE(WaitUntil([&] { return closed == i; }));
  }
  EXPECT_EQ(proxy.Metric("target_connections_made_total"), 2);
  EXPECT_EQ(proxy.Metric("target_connections_reused_total"), 0);
}

// Its least timeout is a minute, so the proxy's clock runs faster: the default of 350 s would be
// 17 s, more than the test waits.
TEST(IdleTest, ATcpTunnelEnds) {
#ifdef REMUDA_SANITIZED
  GTEST_SKIP() << "a sanitizer must be loaded before all else";
#endif
  setenv("REMUDA_CLOCK_SPEED", "20", 1);
  setenv("LD_PRELOAD", REMUDA_FAST_CLOCK, 1);
  RawTarget target([](RawSocket& connection) {
    connection.Send(connection.ReadSome());
    connection.WaitClosed();
  });
  ProxyProcess proxy(BytesConfigFor({.targets = {target.port()},
                                     .listener = "protocol: TCP, tcpIdleTimeout: 60s"}),
                     {"--workers=1"});
  unsetenv("LD_PRELOAD");
  ASSERT_TRUE(proxy.WaitReady()) << proxy.Log();
  ASSERT_TRUE(proxy.WaitHealthy(1));
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send("x");
  ASSERT_EQ(client.ReadBytes(1), "x");
  ASSERT_EQ(proxy.Metric("active_tunnel_count"), 1);
  EXPECT_TRUE(client.WaitClosed());
  EXPECT_TRUE(WaitUntil([&] { return proxy.Metric("active_tunnel_count") == 0; }));
  EXPECT_TRUE(WaitUntil([&] {
    return proxy.AccessLog().find("\"TunnelIdleTimeout\"") != std::string::npos;
  })) << proxy.AccessLog();
}

}  // namespace
}  // namespace remuda::proxy::testing
