// WebSocket and other upgrades through the real proxy.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include <mutex>
#include <thread>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/websocket_bytes.h"

namespace remuda::proxy::testing {
namespace {

// A proxy in front of `target`.
struct Served {
  explicit Served(const ScriptedTarget& target, const std::string& balancer_extra = "",
                  std::vector<std::string> flags = {"--workers=1"})
      : proxy(ConfigFor({target.port()}, "", balancer_extra), std::move(flags)) {}
  RawSocket Connect() { return RawSocket::Connect(proxy.Port()); }
  // A client whose 101 has come.
  RawSocket Upgrade() {
    RawSocket client = Connect();
    client.Send(UpgradeRequest());
    EXPECT_EQ(StatusOf(client.ReadMessage(true)), 101);
    return client;
  }
  bool WaitTunnels(int count) {
    return WaitUntil([&] { return proxy.Metric("active_tunnel_count") == count; });
  }

  ServingProxy proxy;
};

TEST(TunnelTest, UpgradeIsForwardedAndEchoes) {
  std::string seen;
  ScriptedTarget target([&](const std::string& head, RawSocket& connection) {
    seen = head;
    return UpgradeAndEcho(head, connection);
  });
  Served served(target);
  RawSocket client = served.Connect();
  client.Send(UpgradeRequest());
  const std::string head = client.ReadMessage(true);
  EXPECT_EQ(StatusOf(head), 101);
  EXPECT_NE(head.find("\r\nUpgrade: websocket\r\n"), std::string::npos) << head;
  EXPECT_NE(head.find("\r\nConnection: Upgrade\r\n"), std::string::npos) << head;
  EXPECT_NE(head.find("\r\nSec-WebSocket-Accept: s3p"), std::string::npos) << head;
  EXPECT_NE(seen.find("\r\nUpgrade: websocket\r\n"), std::string::npos) << seen;
  EXPECT_NE(seen.find("\r\nConnection: Upgrade\r\n"), std::string::npos) << seen;
  for (int i = 0; i < 50; ++i) {
    const std::string message = Frame(1, "hello " + std::to_string(i), true);
    client.Send(message);
    ASSERT_EQ(client.ReadBytes(message.size()), message);
  }
  EXPECT_EQ(served.proxy.Metric("active_tunnel_count"), 1);
  client.Close();
  EXPECT_TRUE(served.WaitTunnels(0));
  EXPECT_TRUE(WaitUntil([&] { return !served.proxy.AccessLog().empty(); }));
  const std::string line = served.proxy.AccessLog();
  EXPECT_EQ(line.rfind("ws ", 0), 0u) << line;
  EXPECT_NE(line.find("/chat HTTP/1.1\""), std::string::npos) << line;
  EXPECT_NE(line.find(" 101 101 "), std::string::npos) << line;
}

// Bytes of both sides that come in one piece with the heads.
TEST(TunnelTest, BytesRightBehindTheHeadsPass) {
  std::string at_target;
  ScriptedTarget target([&](const std::string&, RawSocket& connection) {
    connection.Send(kSwitching + "from the target");
    at_target = connection.ReadBytes(15);
    connection.Send("!");
    return EchoAll(connection);
  });
  Served served(target);
  RawSocket client = served.Connect();
  client.Send(UpgradeRequest() + "from the client");
  EXPECT_EQ(StatusOf(client.ReadMessage(true)), 101);
  EXPECT_EQ(client.ReadBytes(16), "from the target!");
  EXPECT_EQ(at_target, "from the client");
}

// What follows the request is not for the target until it has agreed.
TEST(TunnelTest, BytesBehindTheRequestWaitForThe101) {
  std::atomic<bool> may_switch{false};
  std::string early;
  ScriptedTarget target([&](const std::string&, RawSocket& connection) {
    WaitUntil([&] { return may_switch.load(); });
    char byte;
    early = recv(connection.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ? "bytes" : "nothing";
    connection.Send(kSwitching);
    return EchoAll(connection);
  });
  Served served(target);
  RawSocket client = served.Connect();
  client.Send(UpgradeRequest() + "smuggled?");
  ASSERT_TRUE(WaitUntil([&] { return target.requests() == 1; }));
  client.Send("more");
  may_switch = true;
  EXPECT_EQ(StatusOf(client.ReadMessage(true)), 101);
  EXPECT_EQ(client.ReadBytes(13), "smuggled?more");
  EXPECT_EQ(early, "nothing");
}

TEST(TunnelTest, RefusedUpgradeIsAnOrdinaryRequest) {
  ScriptedTarget target(ScriptedTarget::Answers("no"));
  Served served(target);
  RawSocket client = served.Connect();
  client.Send(UpgradeRequest() + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(BodyOf(client.ReadMessage()), "no");
  EXPECT_EQ(BodyOf(client.ReadMessage()), "no");
  EXPECT_EQ(target.requests(), 2);
  EXPECT_EQ(target.connections(), 1);
}

struct NotForwarded {
  const char* name;
  std::string request;
};

class NotForwardedTest : public ::testing::TestWithParam<NotForwarded> {};

TEST_P(NotForwardedTest, UpgradeStaysHereAndA101IsRefused) {
  std::mutex mutex;
  std::string seen;
  ScriptedTarget target([&](const std::string& head, RawSocket& connection) {
    {
      std::lock_guard lock(mutex);
      seen = head;
    }
    return UpgradeAndEcho(head, connection);
  });
  Served served(target);
  RawSocket client = served.Connect();
  client.Send(GetParam().request);
  const std::string got = client.ReadMessage();
  EXPECT_EQ(StatusOf(got), 502) << got;
  EXPECT_NE(got.find("X-Remuda-Reason: TargetUnaskedUpgrade\r\n"), std::string::npos) << got;
  std::lock_guard lock(mutex);
  EXPECT_EQ(seen.find("Upgrade"), std::string::npos) << seen;
}

INSTANTIATE_TEST_SUITE_P(
    Forms, NotForwardedTest,
    ::testing::Values(
        NotForwarded{"NotAsked", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
        NotForwarded{"NotNamed", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n"},
        NotForwarded{"H2c", UpgradeRequest("Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n")},
        NotForwarded{"H2cInAList", UpgradeRequest("Upgrade: websocket, h2c\r\n")},
        NotForwarded{"Two", UpgradeRequest("Upgrade: websocket\r\nUpgrade: foo\r\n")},
        NotForwarded{"Http10",
                     "GET / HTTP/1.0\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
                     "\r\n"}),
    [](const auto& param) { return param.param.name; });

TEST(TunnelTest, SwitchToAnotherProtocolIsRefused) {
  ScriptedTarget target(UpgradeAndEcho);
  Served served(target);
  RawSocket client = served.Connect();
  client.Send(UpgradeRequest("Upgrade: foo\r\n"));
  EXPECT_EQ(StatusOf(client.ReadMessage()), 502);
}

TEST(TunnelTest, SwitchBeforeTheBodyIsSentIsRefused) {
  ScriptedTarget target(UpgradeAndEcho);
  Served served(target);
  RawSocket client = served.Connect();
  client.Send(
      "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Content-Length: 5\r\n\r\nab");
  EXPECT_EQ(StatusOf(client.ReadMessage()), 502);
}

TEST(TunnelTest, OtherProtocolsPassWithABody) {
  ScriptedTarget target([](const std::string&, RawSocket& connection) {
    const std::string body = connection.ReadBytes(5);
    connection.Send("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: tcp\r\n\r\n" + body);
    return EchoAll(connection);
  });
  Served served(target);
  RawSocket client = served.Connect();
  client.Send(
      "POST /attach HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
      "Content-Length: 5\r\n\r\nhello and on");
  EXPECT_EQ(StatusOf(client.ReadMessage(true)), 101);
  EXPECT_EQ(client.ReadBytes(12), "hello and on");
}

// 32 MiB each way at once, with a client that does not read at first: nothing is lost, and what
// the proxy holds is bounded by what the kernel's buffers take.
TEST(TunnelTest, ManyBytesBothWaysUnderBackpressure) {
  constexpr size_t kBytes = 32 * 1024 * 1024;
  std::string block(1024 * 1024, '\0');
  for (size_t i = 0; i < block.size(); ++i) block[i] = static_cast<char>(i * 7 + i / 256);
  std::atomic<size_t> at_target{0};
  ScriptedTarget target([&](const std::string&, RawSocket& connection) {
    connection.Send("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: tcp\r\n\r\n");
    RawSocket writer(dup(connection.fd()));
    std::thread sender([&] {
      for (size_t sent = 0; sent < kBytes; sent += block.size()) writer.Send(block);
    });
    bool is_equal = true;
    for (size_t got = 0; got < kBytes; got += block.size())
      is_equal &= connection.ReadBytes(block.size()) == block;
    if (is_equal) at_target = kBytes;
    sender.join();
    return false;
  });
  Served served(target);
  RawSocket client = served.Connect();
  client.Send(UpgradeRequest("Upgrade: tcp\r\n"));
  ASSERT_EQ(StatusOf(client.ReadMessage(true)), 101);
  RawSocket writer(dup(client.fd()));
  std::thread sender([&] {
    for (size_t sent = 0; sent < kBytes; sent += block.size()) writer.Send(block);
  });
  bool is_equal = client.ReadBytes(block.size()) == block;
  // All has come at the target, and the way back is full: what is not read here waits there.
  EXPECT_TRUE(WaitUntil([&] { return at_target == kBytes; }));
  const double sent = served.proxy.Metric("processed_bytes_total{direction=\"sent\"}");
  EXPECT_GT(sent, 0);
  EXPECT_LT(sent, kBytes);
  for (size_t got = block.size(); got < kBytes; got += block.size())
    is_equal &= client.ReadBytes(block.size()) == block;
  EXPECT_TRUE(is_equal);
  sender.join();
  EXPECT_TRUE(client.WaitClosed());
  client.EndSending();
  EXPECT_EQ(at_target, kBytes);
  EXPECT_TRUE(served.WaitTunnels(0));
}

TEST(TunnelTest, TheEndOfEitherSideIsPassedOn) {
  ScriptedTarget target([](const std::string&, RawSocket& connection) {
    connection.Send(kSwitching);
    const std::string all = connection.ReadToEnd();
    connection.Send("got " + std::to_string(all.size()));
    return false;
  });
  Served served(target);
  RawSocket client = served.Upgrade();
  client.Send(std::string(100000, 'x'));
  client.EndSending();
  EXPECT_EQ(client.ReadToEnd(), "got 100000");
  EXPECT_TRUE(served.WaitTunnels(0));
}

TEST(TunnelTest, TargetThatDiesResetsTheClient) {
  ScriptedTarget target([](const std::string&, RawSocket& connection) {
    connection.Send(kSwitching);
    connection.ReadBytes(2);
    connection.Send("last words");
    connection.Reset();
    return false;
  });
  Served served(target);
  RawSocket client = served.Upgrade();
  client.Send("go");
  EXPECT_TRUE(served.WaitTunnels(0));
  char byte;
  while (recv(client.fd(), &byte, 1, 0) > 0) {
  }
  EXPECT_EQ(errno, ECONNRESET);
  EXPECT_TRUE(WaitUntil(
      [&] { return served.proxy.AccessLog().find("\"TargetClosed\"") != std::string::npos; }));
}

TEST(TunnelTest, ClientThatDiesEndsTheTargetsSide) {
  std::atomic<bool> is_over{false};
  ScriptedTarget target([&](const std::string&, RawSocket& connection) {
    connection.Send(kSwitching);
    connection.ReadToEnd();
    is_over = true;
    return false;
  });
  Served served(target);
  RawSocket client = served.Upgrade();
  client.Reset();
  EXPECT_TRUE(WaitUntil([&] { return is_over.load(); }));
  EXPECT_TRUE(served.WaitTunnels(0));
}

TEST(TunnelTest, SilenceEndsItAfterTheIdleTimeout) {
  ScriptedTarget target(UpgradeAndEcho);
  Served served(target, "    idleTimeout: 1s\n");
  RawSocket client = served.Upgrade();
  EXPECT_TRUE(client.WaitClosed());
  EXPECT_TRUE(WaitUntil(
      [&] { return served.proxy.AccessLog().find("\"TunnelIdleTimeout\"") != std::string::npos; }));
}

TEST(TunnelTest, DrainSendsCloseFramesToBothSides) {
  std::string at_target;
  ScriptedTarget target(UpgradeAndPart(at_target));
  Served served(target);
  RawSocket client = served.Upgrade();
  served.proxy.Signal(SIGTERM);
  EXPECT_EQ(client.ReadBytes(4), kGoingAway);
  client.Send(Frame(8, "\x03\xe9", true));
  EXPECT_TRUE(client.WaitClosed());
  EXPECT_EQ(served.proxy.WaitExit(), 0);
  EXPECT_TRUE(IsMaskedGoingAway(at_target));
}

// A close frame goes between frames: the one under way is finished first.
TEST(TunnelTest, CloseFrameWaitsForTheEndOfAFrame) {
  const std::string frame = Frame(1, std::string(3000, 'x'), false);
  std::atomic<bool> may_finish{false};
  ScriptedTarget target([&](const std::string&, RawSocket& connection) {
    connection.Send(kSwitching + frame.substr(0, 1000));
    WaitUntil([&] { return may_finish.load(); });
    connection.Send(frame.substr(1000) + frame);
    connection.ReadToEnd();
    return false;
  });
  Served served(target);
  RawSocket client = served.Upgrade();
  EXPECT_EQ(client.ReadBytes(1000), frame.substr(0, 1000));
  served.proxy.Signal(SIGTERM);
  // Its readiness fails before its worker knows; what closes the listener tells the tunnel too.
  ASSERT_TRUE(WaitUntil([&] { return !served.Connect().is_open(); }));
  may_finish = true;
  EXPECT_EQ(client.ReadBytes(2008), frame.substr(1000) + kGoingAway);
  client.Send(Frame(8, "\x03\xe9", true));
  EXPECT_TRUE(client.WaitClosed());
  EXPECT_EQ(served.proxy.WaitExit(), 0);
}

TEST(TunnelTest, DrainTimeoutEndsWhatDoesNotAnswer) {
  ScriptedTarget target([](const std::string&, RawSocket& connection) {
    connection.Send(kSwitching);
    while (!connection.ReadSome().empty()) {
    }
    return false;
  });
  Served served(target, "", {"--workers=1", "--drain-timeout=300ms"});
  RawSocket client = served.Upgrade();
  served.proxy.Signal(SIGTERM);
  EXPECT_EQ(client.ReadBytes(4), kGoingAway);
  EXPECT_TRUE(client.WaitClosed());
  EXPECT_EQ(served.proxy.WaitExit(), 0);
}

}  // namespace
}  // namespace remuda::proxy::testing
