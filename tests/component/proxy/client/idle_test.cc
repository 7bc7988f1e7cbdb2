// What is closed when nothing has gone over it for a while.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <cstdlib>
#include <string>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/raw_target.h"

namespace remuda::proxy::testing {
namespace {

constexpr const char* kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

// The other timeouts of clients are far longer than the test waits.
TEST(IdleTest, AKeptConnectionOfAClientEnds) {
  ScriptedTarget target(ScriptedTarget::Answers("app"));
  ServingProxy proxy(ConfigFor({target.port()}, "", "    clientKeepAlive: 1s\n"));
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
  ServingProxy proxy(ConfigFor({target.port()}, "", "    clientKeepAlive: 1s\n"));
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
  ServingProxy proxy(ConfigFor({target.port()}), {"--workers=1", "--pool-idle-timeout=100ms"});
  RawSocket client = RawSocket::Connect(proxy.Port());
  for (int i = 1; i <= 2; ++i) {
    client.Send(kGet);
    ASSERT_EQ(BodyOf(client.ReadMessage()), "app");
    ASSERT_TRUE(WaitUntil([&] { return closed == i; }));
  }
  EXPECT_EQ(proxy.Metric("target_connections_made_total"), 2);
  EXPECT_EQ(proxy.Metric("target_connections_reused_total"), 0);
}

// Some clients send an empty line behind a request: that is no request's begin, whose head has so
// much time to come.
TEST(IdleTest, AnEmptyLineLeavesAConnectionIdle) {
  ScriptedTarget target(ScriptedTarget::Answers("app"));
  ServingProxy proxy(ConfigFor({target.port()}), {"--workers=1", "--head-timeout=500ms"});
  RawSocket whole = RawSocket::Connect(proxy.Port());
  RawSocket half = RawSocket::Connect(proxy.Port());
  RawSocket begun = RawSocket::Connect(proxy.Port());
  whole.Send(std::string(kGet) + "\r\n");
  ASSERT_EQ(BodyOf(whole.ReadMessage()), "app");
  half.Send(std::string(kGet) + "\r");
  ASSERT_EQ(BodyOf(half.ReadMessage()), "app");
  begun.Send("\r\nGET");
  EXPECT_EQ(StatusOf(begun.ReadMessage()), 408);  // the time has passed
  half.Send("\n");
  for (RawSocket* client : {&whole, &half}) {
    client->Send(kGet);
    EXPECT_EQ(BodyOf(client->ReadMessage()), "app");
  }
  // One such line only, whenever it came.
  whole.Send("\r\n");
  whole.Send("\r\n" + std::string(kGet));
  EXPECT_EQ(StatusOf(whole.ReadMessage()), 400);
}

// Silence is no better than a trickle: the rate's interval counts, not the idle timeout, which is
// longer than the test waits.
TEST(IdleTest, AnUploadThatSendsNothingEnds) {
  ScriptedTarget target([](const std::string& head, RawSocket& connection) {
    if (head.find("/talk") != std::string::npos)
      connection.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    connection.ReadToEnd();
    return false;
  });
  ServingProxy proxy(ConfigFor({target.port()}), {"--workers=1", "--body-rate-interval=500ms"});
  const std::string fields = " HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n";
  RawSocket talk = RawSocket::Connect(proxy.Port());
  talk.Send("POST /talk" + fields + "\r\n");  // answered already: a conversation may pause
  ASSERT_EQ(StatusOf(talk.ReadUntil("\r\n\r\n")), 200);
  RawSocket told_to_wait = RawSocket::Connect(proxy.Port());
  told_to_wait.Send("POST /" + fields + "Expect: 100-continue\r\n\r\n");
  RawSocket silent = RawSocket::Connect(proxy.Port());
  silent.Send("POST /" + fields + "\r\n");
  RawSocket begun = RawSocket::Connect(proxy.Port());
  begun.Send("POST /" + fields + "\r\n" + std::string(1000, 'b'));
  for (RawSocket* client : {&silent, &begun}) {
    const std::string answer = client->ReadMessage();
    EXPECT_EQ(StatusOf(answer), 408) << answer;
    EXPECT_NE(answer.find("X-Remuda-Reason: ClientBodyTimeout"), std::string::npos) << answer;
  }
  char byte;
  for (RawSocket* client : {&talk, &told_to_wait})
    EXPECT_EQ(recv(client->fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT), -1);
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
