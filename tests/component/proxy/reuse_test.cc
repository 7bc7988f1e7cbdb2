// When a connection to a target is used again, and when not: what a target sends unasked, or leaves
// unread, must never reach another client's request.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/component/proxy/configs.h"
#include "tests/component/proxy/proxy_process.h"
#include "tests/component/proxy/raw_target.h"

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
  // And the connection after it is used again.
  client.Send(c.request);
  EXPECT_EQ(BodyOf(client.ReadMessage()), "mine");
  EXPECT_EQ(proxy.Metric("target_connections_reused_total"), 1);
}

constexpr const char* kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr const char* kPost = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";

INSTANTIATE_TEST_SUITE_P(Orders, StrayBytesTest,
                         ::testing::Values(Case{"GetFirst", kGet, true},
                                           Case{"GetBehind", kGet, false},
                                           Case{"PostFirst", kPost, true},
                                           Case{"PostBehind", kPost, false}),
                         [](const auto& param) { return param.param.name; });

class UnreadBodyTest : public ::testing::TestWithParam<const char*> {};

// A target that leaves a body unread takes it for the next request: with these methods it may.
TEST_P(UnreadBodyTest, IsNobodysRequest) {
  ScriptedTarget target([](const std::string& head, RawSocket& connection) {
    return connection.Send(Answer(head.find("GET /smuggled") == 0 ? "smuggled" : "mine"));
  });
  ServingProxy proxy(ConfigFor({target.port()}));
  const std::string body = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send(std::string(GetParam()) + " / HTTP/1.1\r\nHost: a\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n" + body);
  ASSERT_EQ(BodyOf(client.ReadMessage()), "mine");
  client.Send(kGet);
  EXPECT_EQ(BodyOf(client.ReadMessage()), "mine");
  EXPECT_EQ(proxy.Metric("target_connections_reused_total"), 0);
  client.Send(kGet);
  EXPECT_EQ(BodyOf(client.ReadMessage()), "mine");
  EXPECT_EQ(proxy.Metric("target_connections_reused_total"), 1);
}

INSTANTIATE_TEST_SUITE_P(Methods, UnreadBodyTest,
                         ::testing::Values("GET", "DELETE", "OPTIONS", "PURGE"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace remuda::proxy::testing
