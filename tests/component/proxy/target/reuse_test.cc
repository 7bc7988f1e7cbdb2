// When a connection to a target is used again, and when not: what a target sends unasked, or leaves
// unread, must never reach another client's request.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/raw_target.h"

namespace remuda::proxy::testing {
namespace {

std::string Answer(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

struct Case {
  const char* name;
  std::string request;
  // The client's bytes come before the target's, so that its event is the first of the two.
  bool client_is_first;
};

// A signal that stops is sent, not done: other threads may run on for a while.
bool IsStopped(pid_t pid) {
  const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    std::ifstream file(task.path() / "stat");
    const std::string stat((std::istreambuf_iterator<char>(file)), {});
    const size_t end_of_name = stat.rfind(") ");
    if (end_of_name == std::string::npos || stat.compare(end_of_name + 2, 1, "T") != 0)
      return false;
  }
  return true;
}

// Whether there is something to read, or soon will be.
bool HasCome(const RawSocket& connection) {
  pollfd waiting{connection.fd(), POLLIN, 0};
  return poll(&waiting, 1, 1) == 1;
}

constexpr const char* kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr const char* kPost = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";

class StrayBytesTest : public ::testing::TestWithParam<Case> {};

// The target sends an answer that nobody asked for, on a connection that is idle, and a request
// comes: the proxy learns of both at once.
TEST_P(StrayBytesTest, AreNoAnswerToTheNextRequest) {
  const Case& c = GetParam();
  std::atomic<bool> may_stray{false}, has_strayed{false};
  RawTarget target([&](RawSocket& connection) {
    for (bool is_first = true;; is_first = false) {
      const std::string head = connection.ReadUntil("\r\n\r\n");
      if (head.empty()) return;
      if (head.rfind("GET /health", 0) == 0) {
        connection.Send(Answer("ok"));
        continue;
      }
      connection.Send(Answer("mine"));
      if (!is_first || has_strayed.exchange(true)) continue;
      WaitUntil([&] { return may_stray.load(); });
      connection.Send(Answer("stray"));
      may_stray = false;
    }
  });
  ServingProxy proxy(ConfigFor({target.port()}));
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_EQ(BodyOf(client.ReadMessage()), "mine");
  ASSERT_EQ(kill(proxy.pid(), SIGSTOP), 0);
  EXPECT_TRUE(WaitUntil([&] { return IsStopped(proxy.pid()); }));
  if (c.client_is_first) client.Send(c.request);
  may_stray = true;
  const bool was_sent = WaitUntil([&] { return !may_stray.load(); });
  if (!c.client_is_first) client.Send(c.request);
  ASSERT_EQ(kill(proxy.pid(), SIGCONT), 0);
  ASSERT_TRUE(was_sent);
  EXPECT_EQ(BodyOf(client.ReadMessage()), "mine");
  EXPECT_EQ(proxy.Metric("target_connections_reused_total"), 0);
  EXPECT_EQ(proxy.Metric("target_unasked_bytes_count_total"), 1);
}

INSTANTIATE_TEST_SUITE_P(Orders, StrayBytesTest,
                         ::testing::Values(Case{"GetFirst", kGet, true},
                                           Case{"GetBehind", kGet, false},
                                           Case{"PostFirst", kPost, true},
                                           Case{"PostBehind", kPost, false}),
                         [](const auto& param) { return param.param.name; });

// How it meets a request that waits is up to the target's timing, and once it may. From then on its
// connections rest.
TEST(DistrustedTargetTest, IsNotAskedOnAConnectionThatHasNotRested) {
  RawTarget target([](RawSocket& connection) {
    for (int i = 0;; ++i) {
      const std::string head = connection.ReadUntil("\r\n\r\n");
      if (head.empty()) return;
      const bool is_check = head.rfind("GET /health", 0) == 0;
      // From its second request on each connection is an answer too rich.
      connection.Send(i == 0 || is_check ? Answer("mine") : Answer("stray") + Answer("mine"));
    }
  });
  ServingProxy proxy(ConfigFor({target.port()}));
  RawSocket client = RawSocket::Connect(proxy.Port());
  const auto ask = [&] {
    client.Send(kGet);
    return BodyOf(client.ReadMessage());
  };
  EXPECT_EQ(ask(), "mine");
  EXPECT_EQ(ask(), "stray");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(ask(), "mine") << i;
  EXPECT_EQ(proxy.Metric("target_connections_made_total"), 21);
  EXPECT_EQ(proxy.Metric("target_connections_reused_total"), 1);
  EXPECT_EQ(proxy.Metric("target_unasked_bytes_count_total{target_group=\"blue\"}"), 1);
  const std::string said = "it sent bytes that no request asked for";
  const std::string log = proxy.Log();
  EXPECT_NE(log.find(said), std::string::npos) << log;
  EXPECT_EQ(log.find(said), log.rfind(said)) << log;
}

// Were none used again, a busy target would cost a new connection for each request for good, and
// the proxy its ports.
TEST(DistrustedTargetTest, ConnectionsAreUsedAgainOnceManyRest) {
  constexpr int kMany = 160;  // more than have to rest
  std::atomic<int> waiting{0};
  std::atomic<bool> may_answer{false};
  RawTarget target([&](RawSocket& connection) {
    for (std::string head; !(head = connection.ReadUntil("\r\n\r\n")).empty();) {
      if (head.rfind("GET /many", 0) == 0) {
        ++waiting;
        WaitUntil([&] { return may_answer.load(); }, std::chrono::seconds(60));
      }
      connection.Send(Answer("mine") + (head.rfind("GET /rich", 0) == 0 ? Answer("stray") : ""));
    }
  });
  ServingProxy proxy(ConfigFor({target.port()}));
  EXPECT_EQ(BodyOf(Get(proxy.Port(), "/rich")), "mine");
  ASSERT_EQ(proxy.Metric("target_unasked_bytes_count_total"), 1);
  std::vector<RawSocket> clients;
  for (int i = 0; i < kMany; ++i) {
    clients.push_back(RawSocket::Connect(proxy.Port()));
    clients.back().Send("GET /many HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  EXPECT_TRUE(WaitUntil([&] { return waiting == kMany; }));
  may_answer = true;
  for (RawSocket& client : clients) EXPECT_EQ(BodyOf(client.ReadMessage()), "mine");
  EXPECT_EQ(proxy.Metric("target_connections_reused_total"), 0);
  EXPECT_EQ(BodyOf(Get(proxy.Port())), "mine");
  EXPECT_EQ(proxy.Metric("target_connections_reused_total"), 1);
}

// A target that closes idle connections may say so before it does.
TEST(DistrustedTargetTest, IsNotOneThatTellsOfATimeout) {
  std::atomic<int> closed{0};
  RawTarget target([&](RawSocket& connection) {
    const std::string head = connection.ReadUntil("\r\n\r\n");
    connection.Send(Answer("mine"));
    if (head.rfind("GET /health", 0) == 0) return;
    connection.Send("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n");
    closed += connection.WaitClosed() ? 1 : 0;  // by the proxy
  });
  ServingProxy proxy(ConfigFor({target.port()}));
  EXPECT_EQ(BodyOf(Get(proxy.Port())), "mine");
  ASSERT_TRUE(WaitUntil([&] { return closed == 1; }));
  EXPECT_EQ(proxy.Metric("target_unasked_bytes_count_total"), 0);
}

// One that answers later than its client asks again may be an answer behind on a connection for
// good: it comes to light while another connection is used.
TEST(LateTargetTest, IsCaughtWhenItsConnectionRests) {
  std::atomic<int> begun{0};
  std::atomic<bool> is_first{true};
  RawTarget target([&](RawSocket& connection) {
    std::string owed;
    bool is_late = false;
    int before = 0;
    for (int i = 0;; ++i) {
      // Comes while its connection rests, once another one is used.
      while (is_late && !HasCome(connection)) {
        if (begun == before) continue;
        connection.Send(owed);
        connection.ReadToEnd();
        return;
      }
      const std::string head = connection.ReadUntil("\r\n\r\n");
      if (head.empty()) return;
      const bool is_check = head.rfind("GET /health", 0) == 0;
      if (!is_check) ++begun;
      if (!is_check && i == 1 && is_first.exchange(false)) {
        is_late = true;
        owed = Answer("stray");
      }
      const std::string body = head.substr(0, head.find('\r'));
      before = begun;
      connection.Send(is_late ? std::exchange(owed, Answer(body)) : Answer(body));
    }
  });
  ServingProxy proxy(ConfigFor({target.port()}));
  RawSocket client = RawSocket::Connect(proxy.Port());
  int wrong = 0;
  const auto ask = [&](int i) {
    const std::string line = "GET /" + std::to_string(i) + " HTTP/1.1";
    client.Send(line + "\r\nHost: a\r\n\r\n");
    wrong += BodyOf(client.ReadMessage()) != line;
  };
  int asked = 0;
  for (; asked < 6; ++asked) ask(asked);
  EXPECT_EQ(wrong, 4);  // each on the connection of the first, until that has to rest
  EXPECT_TRUE(WaitUntil([&] { return proxy.Metric("target_unasked_bytes_count_total") == 1; }));
  for (; asked < 30; ++asked) ask(asked);
  EXPECT_EQ(wrong, 4);
}

class UnreadBodyTest : public ::testing::TestWithParam<const char*> {};

// A target that leaves a body unread takes it for the next request: with these methods it may.
TEST_P(UnreadBodyTest, IsNobodysRequest) {
  ScriptedTarget target([](const std::string& head, RawSocket& connection) {
    return connection.Send(Answer(head.find("GET /smuggled") == 0 ? "smuggled" : "mine"));
  });
  ServingProxy proxy(ConfigFor({target.port()}));
  const std::string body = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
  RawSocket client = RawSocket::Connect(proxy.Port());
  for (int i = 0; i < 2; ++i) {
    client.Send(kGet);
    ASSERT_EQ(BodyOf(client.ReadMessage()), "mine");
  }
  ASSERT_EQ(proxy.Metric("target_connections_reused_total"), 1);
  client.Send(std::string(GetParam()) + " / HTTP/1.1\r\nHost: a\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n" + body);
  ASSERT_EQ(BodyOf(client.ReadMessage()), "mine");
  client.Send(kGet);
  EXPECT_EQ(BodyOf(client.ReadMessage()), "mine");
  EXPECT_EQ(proxy.Metric("target_connections_reused_total"), 2);  // by the one with the body
}

INSTANTIATE_TEST_SUITE_P(Methods, UnreadBodyTest,
                         ::testing::Values("GET", "DELETE", "OPTIONS", "PURGE"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace remuda::proxy::testing
