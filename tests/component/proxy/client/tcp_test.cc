// TCP listeners through the real proxy.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <map>
#include <mutex>
#include <thread>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/raw_target.h"

namespace remuda::proxy::testing {
namespace {

// Says its name first.
RawTarget::Script Says(const std::string& name) {
  return [name](RawSocket& connection) {
    connection.Send(name);
    EchoAll(connection);
  };
}

bool IsReset(RawSocket& socket) {
  char byte;
  ssize_t got;
  while ((got = recv(socket.fd(), &byte, 1, 0)) > 0) {
  }
  return got < 0 && errno == ECONNRESET;
}

TEST(TcpTest, PassesBytesBothWaysAndLogsTheConnection) {
  RawTarget target(Says("hello "));
  ServingProxy proxy(BytesConfigFor({.targets = {target.port()}}));
  RawSocket client = RawSocket::Connect(proxy.Port());
  EXPECT_EQ(client.ReadBytes(6), "hello ");
  client.Send("world");
  EXPECT_EQ(client.ReadBytes(5), "world");
  EXPECT_EQ(proxy.Metric("active_tunnel_count"), 1);
  client.Close();
  ASSERT_TRUE(WaitUntil([&] { return !proxy.AccessLog().empty(); }));
  const std::string line = proxy.AccessLog();
  EXPECT_EQ(line.rfind("tcp ", 0), 0u) << line;
  EXPECT_NE(line.find(" 127.0.0.1:" + std::to_string(target.port()) + " "), std::string::npos)
      << line;
  EXPECT_NE(line.find(" 5 11 "), std::string::npos) << line;
  EXPECT_TRUE(WaitUntil([&] { return proxy.Metric("active_tunnel_count") == 0; }));
}

TEST(TcpTest, TheClientsEndIsPassedOnAndTheTargetGoesOn) {
  RawTarget target([](RawSocket& connection) {
    const std::string all = connection.ReadToEnd();
    if (!all.empty()) connection.Send("got " + std::to_string(all.size()));
  });
  ServingProxy proxy(BytesConfigFor({.targets = {target.port()}}));
  // Its end may come before the target is connected to: that is no reason to give up.
  for (const size_t size : {1, 300000}) {
    RawSocket client = RawSocket::Connect(proxy.Port());
    client.Send(std::string(size, 'x'));
    client.EndSending();
    EXPECT_EQ(client.ReadToEnd(), "got " + std::to_string(size));
  }
}

TEST(TcpTest, ARefusedConnectionIsTriedOnAnotherTarget) {
  RawTarget dead(Says("dead"));
  RawTarget live(Says("live"));
  ServingProxy proxy(BytesConfigFor({.targets = {dead.port(), live.port()}}));
  dead.StopListening();
  for (int i = 0; i < 4; ++i) {
    RawSocket client = RawSocket::Connect(proxy.Port());
    EXPECT_EQ(client.ReadBytes(4), "live");
  }
  EXPECT_EQ(proxy.Metric("retry_count_total"), 1);  // then it is out
}

TEST(TcpTest, WithoutATargetTheClientIsReset) {
  ProxyProcess proxy(BytesConfigFor({}), {"--workers=1"});
  ASSERT_TRUE(proxy.WaitReady());
  RawSocket client = RawSocket::Connect(proxy.Port());
  EXPECT_TRUE(IsReset(client));
  EXPECT_TRUE(WaitUntil(
      [&] { return proxy.AccessLog().find("\"NoRegisteredTarget\"") != std::string::npos; }));
}

TEST(TcpTest, AllTargetsRefuse) {
  uint16_t port;
  {
    RawTarget gone(EchoAll);
    port = gone.port();
  }
  ProxyProcess proxy(BytesConfigFor({.targets = {port}}), {"--workers=1"});
  ASSERT_TRUE(proxy.WaitReady());
  RawSocket client = RawSocket::Connect(proxy.Port());
  EXPECT_TRUE(IsReset(client));
  EXPECT_TRUE(WaitUntil(
      [&] { return proxy.AccessLog().find("\"TargetConnectFailed\"") != std::string::npos; }));
}

TEST(TcpTest, ConnectionsAreSpreadOverWeightedGroups) {
  RawTarget one(Says("one"));
  RawTarget two(Says("two"));
  ServingProxy proxy(
      BytesConfigFor({.targets = {one.port(), two.port()}, .groups = {"one", "two"}}),
      {"--workers=2"});
  std::map<std::string, int> seen;
  for (int i = 0; i < 10; ++i) ++seen[RawSocket::Connect(proxy.Port()).ReadBytes(3)];
  EXPECT_EQ(seen["one"], 5);
  EXPECT_EQ(seen["two"], 5);
}

TEST(TcpTest, ConsistentHashKeepsAClientsAddressAtItsTarget) {
  RawTarget one(Says("one"));
  RawTarget two(Says("two"));
  ServingProxy proxy(
      BytesConfigFor({.targets = {one.port(), two.port()},
                      .group = "protocol: TCP, algorithm: BALANCING_ALGORITHM_CONSISTENT_HASH"}),
      {"--workers=2"});
  std::map<std::string, int> owned;
  for (int host = 1; host <= 20; ++host) {
    const std::string source = "127.0.0." + std::to_string(host);
    const std::string owner = RawSocket::Connect(proxy.Port(), source).ReadBytes(3);
    ++owned[owner];
    for (int i = 0; i < 3; ++i)
      EXPECT_EQ(RawSocket::Connect(proxy.Port(), source).ReadBytes(3), owner) << source;
  }
  EXPECT_EQ(owned.size(), 2U);
}

TEST(TcpTest, AResetOfTheTargetReachesTheClient) {
  RawTarget target([](RawSocket& connection) {
    if (connection.ReadSome().empty()) return;
    connection.Reset();
  });
  ServingProxy proxy(BytesConfigFor({.targets = {target.port()}}));
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send("x");
  EXPECT_TRUE(IsReset(client));
}

// It has ended in order, then it breaks: no read finds that, only the event.
TEST(TcpTest, AResetOfATargetThatHadEndedEndsTheClient) {
  std::atomic<bool> may_break{false};
  RawTarget target([&](RawSocket& connection) {
    if (connection.ReadSome().empty()) return;
    connection.EndSending();
    WaitUntil([&] { return may_break.load(); });
    connection.Reset();
  });
  ServingProxy proxy(BytesConfigFor({.targets = {target.port()}}));
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send("x");
  EXPECT_EQ(client.ReadToEnd(), "");
  EXPECT_EQ(proxy.Metric("active_tunnel_count"), 1);
  may_break = true;
  EXPECT_TRUE(WaitUntil([&] { return proxy.Metric("active_tunnel_count") == 0; }));
}

// A read ends at TCP's urgent mark, whatever lies behind it.
TEST(TcpTest, BytesBehindUrgentOnesPass) {
  RawTarget target(EchoAll);
  ServingProxy proxy(BytesConfigFor({.targets = {target.port()}}));
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send("hello");
  ASSERT_EQ(client.ReadBytes(5), "hello");
  proxy.Signal(SIGSTOP);  // so that all comes as one event
  client.Send("aaa");
  ASSERT_EQ(send(client.fd(), "b", 1, MSG_OOB), 1);
  client.Send("ccc");
  proxy.Signal(SIGCONT);
  EXPECT_EQ(client.ReadBytes(6), "aaaccc");
}

TEST(TcpTest, ManyBytesBothWays) {
  constexpr size_t kBytes = 16 * 1024 * 1024;
  RawTarget target(EchoAll);
  ServingProxy proxy(BytesConfigFor({.targets = {target.port()}}));
  std::string sent(kBytes, '\0');
  for (size_t i = 0; i < kBytes; ++i) sent[i] = static_cast<char>(i * 7 + i / 256);
  RawSocket client = RawSocket::Connect(proxy.Port());
  RawSocket writer(dup(client.fd()));
  std::thread sender([&] {
    writer.Send(sent);
    writer.EndSending();
  });
  EXPECT_TRUE(client.ReadToEnd() == sent);
  sender.join();
  EXPECT_GE(proxy.Metric("processed_bytes_total{direction=\"sent\"}"), kBytes);
}

TEST(TcpTest, OpenConnectionsGoOnDuringADrain) {
  RawTarget target(EchoAll);
  ServingProxy proxy(BytesConfigFor({.targets = {target.port()}}));
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send("before");
  EXPECT_EQ(client.ReadBytes(6), "before");
  proxy.Signal(SIGTERM);
  ASSERT_TRUE(
      WaitUntil([&] { return proxy.Admin("/readyz").find("draining") != std::string::npos; }));
  client.Send("during");
  EXPECT_EQ(client.ReadBytes(6), "during");
  client.EndSending();
  EXPECT_TRUE(client.WaitClosed());
  EXPECT_EQ(proxy.WaitExit(), 0);
}

}  // namespace
}  // namespace remuda::proxy::testing
