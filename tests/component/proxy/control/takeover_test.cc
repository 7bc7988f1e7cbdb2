// A process takes over from the one that serves: clients notice nothing, whatever they have under
// way. What the two say to each other is takeover_wire_test's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>

#include "tests/component/proxy/testing/http2_client.h"
#include "tests/component/proxy/testing/takeover_chain.h"
#include "tests/component/proxy/testing/tls_client.h"
#include "tests/component/proxy/testing/updates.h"
#include "tests/component/proxy/testing/websocket_bytes.h"

namespace remuda::proxy::testing {
namespace {

using ::testing::HasSubstr;

std::string Workers(int count) { return "--workers=" + std::to_string(count); }

TEST(TakeoverTest, AgainAndAgainUnderLoadNothingFails) {
  ScriptedTarget one(ScriptedTarget::Answers("one")), two(ScriptedTarget::Answers("two"));
  const std::string config = ConfigFor({one.port(), two.port()});
  TakeoverChain chain;
  ProxyProcess* now = &chain.Next(config, {Workers(2)});
  ASSERT_TRUE(now->WaitHealthy(2)) << chain.Logs();
  const uint16_t port = now->Port();
  PoliteLoad load(port, 6, 4);
  ASSERT_TRUE(load.WaitForMore(100));
  int takeovers = 0;
  // More workers than sockets, fewer, and none the same.
  for (const int workers : {1, 4, 3, 3, 1, 2}) {
    ProxyProcess& before = *now;
    now = &chain.Next(config, {Workers(workers)});
    EXPECT_EQ(now->Port(), port);
    EXPECT_EQ(now->Metric("takeovers_total"), ++takeovers) << chain.Logs();
    ASSERT_EQ(before.WaitExit(), 0) << chain.Logs();
    ASSERT_TRUE(load.WaitForMore(200)) << "workers: " << workers << "\n" << chain.Logs();
  }
  load.Stop();
  EXPECT_EQ(load.bad(), 0) << chain.Logs();
  EXPECT_EQ(now->Metric("failed_takeovers_total"), 0);
}

// The admin pages stay where they are, and one process answers there.
TEST(TakeoverTest, AdminPagesAndTheirPortGoOver) {
  TakeoverChain chain;
  ProxyProcess& before = chain.Next(ConfigFor({}), {Workers(1)});
  const std::string pages = before.Admin("/listeners");
  const auto port_of = [](ProxyProcess& process) {
    const std::string mark = "admin pages on http://";
    std::string log;  // a thread of its own writes it
    EXPECT_TRUE(WaitUntil([&] { return (log = process.Log()).find(mark) != std::string::npos; }));
    const size_t at = log.find(mark) + mark.size();
    return log.substr(at, log.find('"', at) - at);
  };
  ProxyProcess& next = chain.Next(ConfigFor({}), {Workers(1)});
  EXPECT_EQ(port_of(next), port_of(before)) << chain.Logs();
  EXPECT_EQ(next.Admin("/listeners"), pages);
  EXPECT_EQ(before.WaitExit(), 0);
  EXPECT_EQ(next.Admin("/readyz"), "ok\n");
}

TEST(TakeoverTest, WhatWaitsToBeAcceptedIsServed) {
  ScriptedTarget target(ScriptedTarget::Answers("app"));
  const std::string config = ConfigFor({target.port()});
  TakeoverChain chain;
  ProxyProcess& before = chain.Next(config, {Workers(2)});
  ASSERT_TRUE(before.WaitHealthy(1));
  before.Signal(SIGSTOP);
  ProxyProcess& next = chain.Add(config, {Workers(1)});
  std::vector<RawSocket> waiting;
  for (int i = 0; i < 300; ++i) {
    waiting.push_back(RawSocket::Connect(before.Port()));
    waiting.back().Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  }
  before.Signal(SIGCONT);
  for (RawSocket& client : waiting) EXPECT_EQ(StatusOf(client.ReadMessage()), 200);
  EXPECT_TRUE(next.WaitReady()) << chain.Logs();
  EXPECT_EQ(before.WaitExit(), 0) << chain.Logs();
}

std::string TwoListeners(uint16_t first, uint16_t second, uint16_t target) {
  std::string config = ConfigFor({target});
  const std::string any = "      - port: 0\n";
  config.replace(config.find(any), any.size(), "      - port: " + std::to_string(first) + "\n");
  const std::string end = "targetGroups:\n  - name";
  const std::string more = "      - { port: " + std::to_string(second) +
                           ", address: 127.0.0.1, defaultAction: { forward: { targetGroups: [{ "
                           "targetGroup: blue }] } } }\n";
  return config.insert(config.find(end), more);
}

TEST(TakeoverTest, ListenersThatOnlyOneOfBothHas) {
  const uint16_t both = FreePort(), old_only = FreePort(), new_only = FreePort();
  std::atomic<bool> may_answer{false};
  ScriptedTarget target([&](const std::string& head, RawSocket& connection) {
    if (head.find("GET /slow") == 0)
      return ScriptedTarget::AnswersOnce(may_answer, "slow")(head, connection);
    return ScriptedTarget::Answers("app")(head, connection);
  });
  TakeoverChain chain;
  ProxyProcess& before = chain.Next(TwoListeners(both, old_only, target.port()), {Workers(2)});
  ASSERT_TRUE(before.WaitHealthy(1));
  PoliteLoad load(both, 3, 2);
  RawSocket slow = RawSocket::Connect(old_only);
  slow.Send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(WaitUntil([&] { return target.requests() > 0; }) && load.WaitForMore(100));
  ProxyProcess& next = chain.Next(TwoListeners(both, new_only, target.port()), {Workers(2)});
  EXPECT_EQ(StatusOf(Get(new_only)), 200);
  EXPECT_TRUE(WaitUntil([&] { return !RawSocket::Connect(old_only).is_open(); })) << chain.Logs();
  may_answer = true;
  const std::string answer = slow.ReadMessage();
  EXPECT_EQ(BodyOf(answer), "slow");
  EXPECT_THAT(answer, HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_TRUE(load.WaitForMore(100)) << chain.Logs();
  load.Stop();
  EXPECT_EQ(before.WaitExit(), 0) << chain.Logs();
  EXPECT_EQ(load.bad(), 0);
  EXPECT_TRUE(next.is_running());
}

// One that cannot have a listener of its config does not take over.
TEST(TakeoverTest, OneThatCannotServeLeavesEverythingAsItWas) {
  ScriptedTarget target(ScriptedTarget::Answers("app"));
  const uint16_t both = FreePort(), free = FreePort();
  TakeoverChain chain;
  ProxyProcess& before = chain.Next(TwoListeners(both, free, target.port()), {Workers(2)});
  ASSERT_TRUE(before.WaitHealthy(1));
  PoliteLoad load(both, 3, 2);
  ProxyProcess& taken = chain.Add(TwoListeners(both, target.port(), target.port()), {Workers(2)});
  EXPECT_EQ(taken.WaitExit(), 1) << taken.Log();
  ProxyProcess& wrong = chain.Add("loadBalancers: 7\n", {Workers(1)});
  EXPECT_EQ(wrong.WaitExit(), 1) << wrong.Log();
  EXPECT_TRUE(load.WaitForMore(100)) << chain.Logs();
  EXPECT_TRUE(WaitUntil([&] { return before.Metric("failed_takeovers_total") == 2; }))
      << chain.Logs();
  // And the next one does.
  chain.Next(TwoListeners(both, free, target.port()), {Workers(1)});
  EXPECT_EQ(before.WaitExit(), 0) << chain.Logs();
  EXPECT_TRUE(load.WaitForMore(100)) << chain.Logs();
}

TEST(TakeoverTest, AnUnhealthyTargetGetsNothingFromTheNextProcess) {
  ScriptedTarget good(ScriptedTarget::Answers("good")), sick(ScriptedTarget::Answers("sick"));
  // Checks are rare: what the next process finds out by itself comes too late.
  std::string config = ConfigFor({good.port(), sick.port()});
  sick.SetHealth(500);
  const std::string interval = "interval: 100ms";
  config.replace(config.find(interval), interval.size(), "interval: 5s");
  TakeoverChain chain;
  ProxyProcess& before = chain.Next(config, {Workers(1)});
  ASSERT_TRUE(WaitUntil([&] {
    const std::string page = before.Admin("/targets");
    return CountOf(page, "\"health\":\"healthy\"") == 1 &&
           CountOf(page, "\"health\":\"unhealthy\"") == 1;
  })) << before.Admin("/targets");
  const uint16_t port = before.Port();
  for (int i = 0; i < 2; ++i) {
    ProxyProcess& next = chain.Next(config, {Workers(2)});
    for (int k = 0; k < 20; ++k) EXPECT_EQ(BodyOf(Get(port)), "good");
    EXPECT_EQ(CountOf(next.Admin("/targets"), "got 500, want"), 1);
  }
  EXPECT_EQ(sick.requests(), 0);
}

TEST(TakeoverTest, TlsTicketsAndHttp2GoOver) {
  std::atomic<bool> may_answer{false};
  ScriptedTarget target([&](const std::string& head, RawSocket& connection) {
    if (head.find("GET /slow") == 0)
      return ScriptedTarget::AnswersOnce(may_answer, "slow")(head, connection);
    return ScriptedTarget::Answers("app")(head, connection);
  });
  const std::vector<std::pair<std::string, TestCertificate>> web = {
      {"web", MakeCertificate({.names = {"shop.test"}})}};
  const std::string config = TlsConfigFor({target.port()}, web);
  TakeoverChain chain;
  ProxyProcess& before = chain.Next(config, {Workers(2)});
  ASSERT_TRUE(before.WaitHealthy(1));
  const uint16_t port = before.Port();
  RawSocket kept = ConnectTls(port);
  ASSERT_EQ(StatusOf(Ask(kept)), 200);
  SSL_SESSION* const session = SSL_get1_session(kept.tls());
  Http2Client http2(ConnectTls(port, {.alpn = "\x02h2"}));
  ASSERT_TRUE(http2.Start());
  EXPECT_EQ(http2.Get().status, 200);
  const uint32_t slow = http2.SendRequest("GET", "/slow", true);
  ASSERT_TRUE(WaitUntil([&] { return target.requests() == 3; }));

  ProxyProcess& next = chain.Next(config, {Workers(2)});
  // The connection that waited is answered once more, and told that it ends.
  EXPECT_THAT(Ask(kept), HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_TRUE(http2.AwaitFinalGoaway()) << chain.Logs();
  EXPECT_EQ(http2.goaway_code, 0);
  may_answer = true;
  EXPECT_EQ(http2.Await(slow).body, "slow");
  EXPECT_EQ(before.WaitExit(), 0) << chain.Logs();
  // A session of the former process goes on with the next.
  RawSocket resumed = ConnectTls(port, {.session = session});
  EXPECT_EQ(StatusOf(Ask(resumed)), 200);
  EXPECT_EQ(SSL_session_reused(resumed.tls()), 1);
  SSL_SESSION_free(session);
  EXPECT_EQ(next.Metric("client_tls_handshake_count_total"), 1);
}

TEST(TakeoverTest, BytesFlowOnUntilTheDrainIsOver) {
  RawTarget echo([](RawSocket& connection) { EchoAll(connection); });
  TakeoverChain chain;
  const std::vector<std::string> flags = {Workers(1), "--drain-timeout=3s"};
  ProxyProcess& before = chain.Next(BytesConfigFor({.targets = {echo.port()}}), flags);
  ASSERT_TRUE(before.WaitHealthy(1));
  RawSocket client = RawSocket::Connect(before.Port());
  client.Send("one");
  ASSERT_EQ(client.ReadBytes(3), "one");
  ProxyProcess& next = chain.Next(BytesConfigFor({.targets = {echo.port()}}), flags);
  client.Send("two");
  EXPECT_EQ(client.ReadBytes(3), "two");
  EXPECT_TRUE(before.is_running());
  RawSocket other = RawSocket::Connect(next.Port());
  other.Send("three");
  EXPECT_EQ(other.ReadBytes(5), "three");
  EXPECT_EQ(before.WaitExit(), 0);
  EXPECT_TRUE(client.WaitClosed());
}

// A WebSocket is told that the process goes away, and comes again to the next one.
TEST(TakeoverTest, WebSocketsAreToldToComeAgain) {
  ScriptedTarget target(UpgradeAndEcho);
  const std::string config = ConfigFor({target.port()});
  TakeoverChain chain;
  ProxyProcess& before = chain.Next(config, {Workers(1)});
  ASSERT_TRUE(before.WaitHealthy(1));
  RawSocket client = RawSocket::Connect(before.Port());
  client.Send(UpgradeRequest());
  ASSERT_EQ(StatusOf(client.ReadMessage(true)), 101);
  ProxyProcess& next = chain.Next(config, {Workers(1)});
  EXPECT_EQ(client.ReadBytes(kGoingAway.size()), kGoingAway);
  RawSocket again = RawSocket::Connect(next.Port());
  again.Send(UpgradeRequest());
  EXPECT_EQ(StatusOf(again.ReadMessage(true)), 101);
  client.Close();
  EXPECT_EQ(before.WaitExit(), 0) << chain.Logs();
}

TEST(TakeoverTest, OneDirectoryIsForOneProcess) {
  TakeoverChain chain;
  ProxyProcess& first = chain.Next(ConfigFor({}), {Workers(1)});
  ProxyProcess second(ConfigFor({}), {Workers(1), "--data-dir=" + chain.directory()});
  EXPECT_EQ(second.WaitExit(), 1);
  EXPECT_THAT(second.Log(),
              HasSubstr("process " + std::to_string(first.pid()) + " serves from it"));
  // One that is told to take over where nobody is, starts.
  first.Signal(SIGTERM);
  EXPECT_EQ(first.WaitExit(), 0);
  chain.Next(ConfigFor({}), {Workers(1)});
}

}  // namespace
}  // namespace remuda::proxy::testing
