// Requests that wait for a first target: who waits, how long and how many, who lets them go, and
// that the controller hears of it.
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include "tests/component/proxy/control/hold_fixture.h"

namespace remuda::proxy::testing {
namespace {

using std::string_literals::operator""s;

class HoldTest : public HoldFixture {};

TEST_F(HoldTest, WaitsForAFirstTargetAndIsAnswered) {
  Start("requestHold: {}");
  RawSocket get = SendGet("/");
  RawSocket post = Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
  ASSERT_TRUE(WaitHeld(2));
  EXPECT_EQ(proxy_->Metric("held_request_bytes"), 5);
  ScriptedTarget target(Echo);
  target.SetHealth(500);
  Add(target);
  ASSERT_EQ(controller_.ExpectAck(2).revision().sequence(), 2);
  // It is there, but has never passed a check.
  EXPECT_EQ(proxy_->Metric("held_requests"), 2);
  RawSocket late = SendGet("/late");
  ASSERT_TRUE(WaitHeld(3));
  EXPECT_EQ(target.requests(), 0);
  target.SetHealth(200);
  EXPECT_EQ(StatusOf(get.ReadMessage()), 200);
  EXPECT_NE(post.ReadMessage().find("body:5o"), std::string::npos);
  EXPECT_EQ(StatusOf(late.ReadMessage()), 200);
  EXPECT_EQ(target.requests(), 3) << "each once";
  EXPECT_TRUE(WaitHeld(0));
  EXPECT_EQ(proxy_->Metric("held_request_bytes"), 0);
  EXPECT_EQ(proxy_->Metric("held_request_count_total"), 3);
  EXPECT_EQ(proxy_->Metric("refused_request_count_total"), 0);

  // One that has passed and fails now: open, as without a hold.
  target.SetHealth(500);
  ASSERT_TRUE(WaitUntil([&] { return proxy_->Metric("healthy_host_count") == 0; }));
  EXPECT_EQ(StatusOf(SendGet("/").ReadMessage()), 200);
  // While it leaves, it takes none.
  v1::ConfigUpdate update;
  AddTarget(update, "i-1", target.port())->set_state(v1::Target::STATE_DRAINING);
  Change(update);
  ASSERT_EQ(controller_.ExpectAck(3).revision().sequence(), 3);
  RawSocket waits = SendGet("/");
  ASSERT_TRUE(WaitHeld(1));
  update.mutable_upserts()->mutable_targets(0)->set_state(v1::Target::STATE_ACTIVE);
  Change(update);
  EXPECT_EQ(StatusOf(waits.ReadMessage()), 200);
}

// The target takes one at a time, so that the order in which they are let go is that in which they
// reach it.
TEST_F(HoldTest, AreLetGoInOrder) {
  Start("{ requestHold: {}, concurrencyLimit: { maxRequests: 1, queueTimeout: 60s } }");
  std::mutex mutex;
  std::vector<std::string> seen;  // guarded by mutex
  ScriptedTarget target([&](const std::string& head, RawSocket& connection) {
    std::lock_guard lock(mutex);
    seen.push_back(head.substr(4, head.find(' ', 4) - 4));
    return Answer(connection, "ok");
  });
  std::vector<RawSocket> clients;
  std::vector<std::string> sent;
  for (int i = 0; i < 5; ++i) {
    sent.push_back("/" + std::to_string(i));
    clients.push_back(SendGet(sent.back()));
    ASSERT_TRUE(WaitHeld(i + 1));
  }
  Add(target);
  for (RawSocket& client : clients) EXPECT_EQ(StatusOf(client.ReadMessage()), 200);
  std::lock_guard lock(mutex);
  EXPECT_EQ(seen, sent);
}

TEST_F(HoldTest, OneMoreThanMayWaitIsTurnedAway) {
  Start("requestHold: { maxRequests: 1, timeout: 20s }");
  RawSocket first = SendGet("/1");
  ASSERT_TRUE(WaitHeld(1));
  RawSocket second = SendGet("/2");
  ExpectRefused(second.ReadMessage(), "HoldFull", "20");
  EXPECT_EQ(proxy_->Metric("refused_request_count_total"), 1);
  EXPECT_TRUE(WaitUntil([&] { return proxy_->AccessLog().find("HoldFull") != std::string::npos; }));
  ScriptedTarget target(ScriptedTarget::Answers("ok"));
  Add(target);
  EXPECT_EQ(StatusOf(first.ReadMessage()), 200);
  second.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(StatusOf(second.ReadMessage()), 200) << "its connection goes on";
}

// Over all workers, exactly.
TEST_F(HoldTest, BoundsHoldOverWorkers) {
  Start("requestHold: { maxRequests: 3 }", 2);
  std::vector<RawSocket> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(SendGet("/"));
  ASSERT_TRUE(WaitUntil([&] { return proxy_->Metric("refused_request_count_total") == 17; }));
  EXPECT_EQ(proxy_->Metric("held_requests"), 3);
  ScriptedTarget target(ScriptedTarget::Answers("ok"));
  Add(target);
  int good = 0;
  for (RawSocket& client : clients) good += StatusOf(client.ReadMessage()) == 200;
  EXPECT_EQ(good, 3);
  EXPECT_EQ(target.requests(), 3);
}

TEST_F(HoldTest, BytesOfBodiesAreBounded) {
  Start("requestHold: { maxBytes: 10, timeout: 600s }");
  const auto post = [](size_t size) {
    return "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n";
  };
  RawSocket small = Send(post(6) + "abcdef");
  ASSERT_TRUE(WaitHeld(1));
  // With the other's it is over the bound.
  ExpectRefused(Send(post(5) + "abcde").ReadMessage(), "HoldFull", "30");
  // A body of which nothing came with its head waits outside, whatever its size.
  const std::string body(1'000'000, 'x');
  RawSocket large = Send(post(body.size()));
  ASSERT_TRUE(WaitHeld(2));
  std::thread sender([&] { large.Send(body); });
  ScriptedTarget target(Echo);
  RawSocket other = SendGet("/");
  EXPECT_TRUE(WaitHeld(3));
  EXPECT_EQ(proxy_->Metric("held_request_bytes"), 6);
  Add(target);
  sender.join();
  EXPECT_NE(large.ReadMessage().find("body:1000000x"), std::string::npos);
  EXPECT_NE(small.ReadMessage().find("body:6f"), std::string::npos);
  EXPECT_EQ(StatusOf(other.ReadMessage()), 200);
}

TEST_F(HoldTest, WaitingEnds) {
  Start("requestHold: { timeout: 1s }");
  RawSocket client = SendGet("/");
  ExpectRefused(client.ReadMessage(), "HoldTimeout", "1");
  EXPECT_EQ(proxy_->Metric("held_requests"), 0);
  EXPECT_EQ(proxy_->Metric("refused_request_count_total"), 1);
}

TEST_F(HoldTest, AClientThatLeavesIsForgotten) {
  Start("requestHold: {}");
  {
    RawSocket leaves = SendGet("/left");
    ASSERT_TRUE(WaitHeld(1));
  }
  ASSERT_TRUE(WaitHeld(0));
  EXPECT_TRUE(WaitUntil([&] { return proxy_->AccessLog().find(" 460 ") != std::string::npos; }));
  RawSocket stays = SendGet("/stays");
  ASSERT_TRUE(WaitHeld(1));
  ScriptedTarget target(ScriptedTarget::Answers("ok"));
  Add(target);
  EXPECT_EQ(StatusOf(stays.ReadMessage()), 200);
  EXPECT_EQ(target.requests(), 1);
}

TEST_F(HoldTest, ATableThatTakesTheHoldAwayAnswersThem) {
  Start("requestHold: {}", 2);
  std::vector<RawSocket> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(SendGet("/"));
  ASSERT_TRUE(WaitHeld(4));
  v1::ConfigUpdate update;
  *update.mutable_upserts()->add_target_groups() = Whole(1, port_).upserts().target_groups(0);
  Change(update);
  for (RawSocket& client : clients) {
    const std::string answer = client.ReadMessage();
    EXPECT_EQ(StatusOf(answer), 503);
    EXPECT_NE(answer.find("NoRegisteredTarget"), std::string::npos) << answer;
  }
  EXPECT_TRUE(WaitHeld(0));
}

TEST_F(HoldTest, ATableWithoutTheGroupAnswersThem) {
  Start("requestHold: {}");
  RawSocket client = SendGet("/");
  ASSERT_TRUE(WaitHeld(1));
  v1::ConfigUpdate update = Whole(1, port_);
  auto& upserts = *update.mutable_upserts();
  upserts.mutable_target_groups(0)->set_name("targetGroups/green");
  upserts.mutable_load_balancers(0)
      ->mutable_listeners(0)
      ->mutable_default_action()
      ->mutable_forward()
      ->mutable_target_groups(0)
      ->set_target_group("green");
  update.add_removed_target_groups("targetGroups/blue");
  Change(update);
  const std::string answer = client.ReadMessage();
  EXPECT_EQ(StatusOf(answer), 503);
  EXPECT_NE(answer.find("NoRegisteredTarget"), std::string::npos) << answer;
}

// Those that wait are as those in flight: they may go on. New ones are not let wait.
TEST_F(HoldTest, AProxyThatDrainsLetsThemWaitOn) {
  Start("requestHold: {}", 2, {"--drain-timeout=60s"});
  RawSocket late = Send("GET /late HTTP/1.1\r\n");
  std::vector<RawSocket> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(SendGet("/"));
  ASSERT_TRUE(WaitHeld(4));
  proxy_->Signal(SIGTERM);
  ASSERT_TRUE(WaitUntil([&] { return !IsListening(); }));
  late.Send("Host: a\r\n\r\n");
  ExpectRefused(late.ReadMessage(), "ProxyDraining", "1");
  late.Close();
  EXPECT_EQ(proxy_->Metric("held_requests"), 4);
  ScriptedTarget target(ScriptedTarget::Answers("ok"));
  Add(target);
  for (RawSocket& client : clients) {
    const std::string answer = client.ReadMessage();
    EXPECT_EQ(StatusOf(answer), 200) << answer;
    EXPECT_NE(answer.find("\r\nConnection: close\r\n"), std::string::npos) << answer;
    client.Close();
  }
  EXPECT_EQ(proxy_->WaitExit(), 0);
}

// Before the drain's own timeout cuts them.
TEST_F(HoldTest, AProxyThatHasDrainedForLongAnswersThem) {
  Start("requestHold: { timeout: 600s }", 2, {"--drain-timeout=5s"});
  std::vector<RawSocket> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(SendGet("/"));
  ASSERT_TRUE(WaitHeld(4));
  proxy_->Signal(SIGTERM);
  for (RawSocket& client : clients) {
    const std::string answer = client.ReadMessage();
    ExpectRefused(answer, "ProxyDraining", "1");
    EXPECT_NE(answer.find("\r\nConnection: close\r\n"), std::string::npos) << answer;
    client.Close();
  }
  EXPECT_EQ(proxy_->WaitExit(), 0);
}

// Nobody but a target says 100 (Continue).
TEST_F(HoldTest, ABodyIsNotAskedForBeforeATargetTakesIt) {
  Start("requestHold: {}");
  RawSocket client =
      Send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  ASSERT_TRUE(WaitHeld(1));
  char byte;
  EXPECT_EQ(recv(client.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT), -1) << "nothing was said yet";
  ScriptedTarget target([](const std::string&, RawSocket& connection) {
    connection.Send("HTTP/1.1 100 Continue\r\n\r\n");
    return Answer(connection, connection.ReadBytes(2));
  });
  Add(target);
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("hi");
  EXPECT_EQ(BodyOf(client.ReadMessage()), "hi");
}

TEST_F(HoldTest, WebSocketsWaitToo) {
  Start("requestHold: {}");
  RawSocket client = Send(
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\nearly");
  ASSERT_TRUE(WaitHeld(1));
  ScriptedTarget target([](const std::string&, RawSocket& connection) {
    connection.Send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    connection.Send(connection.ReadBytes(5));
    connection.ReadToEnd();
    return false;
  });
  Add(target);
  EXPECT_EQ(client.ReadUntil("\r\n\r\n").substr(0, 12), "HTTP/1.1 101");
  EXPECT_EQ(client.ReadBytes(5), "early");
}

// --- HTTP/2

TEST_F(HoldTest, StreamsWait) {
  Start("requestHold: { maxBytes: 100000 }");
  auto client = ClientOfHttp2();
  const uint32_t get = client->SendRequest("GET", "/", true);
  const uint32_t post = client->SendRequest("POST", "/", false);
  ASSERT_TRUE(WaitHeld(2));
  const uint32_t leaves = client->SendRequest("GET", "/left", true);
  ASSERT_TRUE(WaitHeld(3));
  client->Reset(leaves, NGHTTP2_CANCEL);
  ASSERT_TRUE(WaitHeld(2));
  ASSERT_TRUE(client->SendBody(post, std::string(3000, 'b'), false));
  ASSERT_TRUE(WaitUntil([&] { return proxy_->Metric("held_request_bytes") == 3000; }));
  ScriptedTarget target(Echo);
  Add(target);
  EXPECT_EQ(client->Await(get).status, 200);
  ASSERT_TRUE(client->SendBody(post, "z", true));
  EXPECT_NE(client->Await(post).body.find("body:3001z"), std::string::npos);
  EXPECT_EQ(target.requests(), 2);
}

// What it sends unasked is counted as it comes.
TEST_F(HoldTest, AStreamsBodyIsBounded) {
  Start("requestHold: { maxBytes: 2000 }");
  auto client = ClientOfHttp2();
  const uint32_t stream = client->SendRequest("POST", "/", false);
  ASSERT_TRUE(WaitHeld(1));
  ASSERT_TRUE(client->SendBody(stream, std::string(1500, 'b'), false));
  ASSERT_TRUE(WaitUntil([&] { return proxy_->Metric("held_request_bytes") == 1500; }));
  ASSERT_TRUE(client->SendBody(stream, std::string(1500, 'b'), false));
  const Http2Response answer = client->Await(stream);
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.Field("x-remuda-reason"), "HoldFull");
  EXPECT_EQ(answer.Field("retry-after"), "30");
  EXPECT_EQ(proxy_->Metric("held_requests"), 0);
  EXPECT_EQ(proxy_->Metric("held_request_bytes"), 0);
}

// More than the connection's window is held: uploads of it to other groups go on.
TEST_F(HoldTest, StreamsThatWaitHoldUpNoOther) {
  Start("requestHold: {}");
  ScriptedTarget green(Echo);
  v1::ConfigUpdate update;
  *update.mutable_upserts()->add_target_groups() = whole_.upserts().target_groups(0);
  update.mutable_upserts()->mutable_target_groups(0)->set_name("targetGroups/green");
  auto* const balancer = update.mutable_upserts()->add_load_balancers();
  *balancer = whole_.upserts().load_balancers(0);
  for (auto& listener : *balancer->mutable_listeners()) {
    auto* const rule = listener.add_rules();
    rule->set_priority(1);
    rule->add_conditions()->mutable_path_pattern()->add_values("/green");
    rule->mutable_action()->mutable_forward()->add_target_groups()->set_target_group("green");
  }
  AddTarget(update, "i-2", green.port(), "green");
  Change(update);
  ASSERT_TRUE(proxy_->WaitHealthy(1));
  constexpr int kHeld = 9;
  constexpr size_t kWindow = 128 * 1024;
  auto client = ClientOfHttp2();
  std::vector<uint32_t> held;
  for (int i = 0; i < kHeld; ++i) {
    held.push_back(client->SendRequest("POST", "/", false));
    ASSERT_TRUE(WaitHeld(i + 1));
    ASSERT_TRUE(client->SendBody(held.back(), std::string(kWindow, 'b'), false));
  }
  ASSERT_TRUE(
      WaitUntil([&] { return proxy_->Metric("held_request_bytes") == kHeld * double{kWindow}; }));
  const uint32_t other = client->SendRequest("POST", "/green", false);
  ASSERT_TRUE(client->SendBody(other, std::string(3 * kWindow, 'b'), true));
  EXPECT_EQ(client->Await(other).status, 200);
  // One that leaves takes nothing from the connection's window; the others go on in their own.
  client->Reset(held[0], NGHTTP2_CANCEL);
  ASSERT_TRUE(WaitHeld(kHeld - 1));
  ScriptedTarget target(Echo);
  Add(target);
  for (int i = 1; i < kHeld; ++i) {
    ASSERT_TRUE(
        client->SendBody(held[static_cast<size_t>(i)], std::string(2 * kWindow, 'z'), true));
    EXPECT_NE(client->Await(held[static_cast<size_t>(i)])
                  .body.find("body:" + std::to_string(3 * kWindow) + "z"),
              std::string::npos);
  }
  const uint32_t last = client->SendRequest("POST", "/green", false);
  ASSERT_TRUE(client->SendBody(last, std::string(16 * kWindow, 'b'), true));
  EXPECT_EQ(client->Await(last).status, 200);
}

// --- The controller

TEST_F(HoldTest, TheControllerIsWoken) {
  Start("requestHold: {}", 2);
  const auto wake = [&] {
    return controller_.Expect([](const auto& m) { return m.has_wake(); }).wake();
  };
  RawSocket first = SendGet("/1");
  const v1::Wake at_once = wake();
  EXPECT_EQ(at_once.target_group(), "blue");
  EXPECT_EQ(at_once.held(), 1);
  RawSocket second = SendGet("/2");
  ASSERT_TRUE(WaitHeld(2));
  while (wake().held() == 1) {
  }
  EXPECT_EQ(wake().held(), 2) << "and again";
  // What waits is in the reports too.
  const auto reported = [&](int64_t held) {
    return controller_
        .Expect([&](const auto& m) {
          return m.has_stats() && m.stats().groups_size() == 1 &&
                 m.stats().groups(0).held() == held;
        })
        .stats();
  };
  EXPECT_EQ(reported(2).groups(0).target_group(), "blue");
  ScriptedTarget target(ScriptedTarget::Answers("ok"));
  Add(target);
  EXPECT_EQ(StatusOf(first.ReadMessage()), 200);
  EXPECT_EQ(StatusOf(second.ReadMessage()), 200);
  EXPECT_EQ(reported(0).groups(0).refused(), 0);
}

}  // namespace
}  // namespace remuda::proxy::testing
