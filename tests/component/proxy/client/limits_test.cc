// When there is no room, no rule or no descriptor for a client: what it gets, and that others are
// served.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {
namespace {

std::string Ask(RawSocket& client) {
  client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  return client.ReadMessage();
}

// Answers /wait when it may, and everything else at once.
struct WaitingTarget {
  std::atomic<bool> may_answer{false};
  ScriptedTarget target{[this](const std::string& head, RawSocket& connection) {
    if (head.rfind("GET /wait", 0) == 0) WaitUntil([&] { return may_answer.load(); });
    return connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\napp");
  }};
};

TEST(MaxConnectionsTest, WhereAllAreBusyThoseBeyondAreClosedAndPlacesComeBack) {
  constexpr int kMost = 4;
  constexpr int kBeyond = 3;
  WaitingTarget waiting;
  ServingProxy proxy(ConfigFor({waiting.target.port()}),
                     {"--workers=1", "--max-connections=" + std::to_string(kMost)});
  std::vector<RawSocket> inside;
  for (int i = 0; i < kMost; ++i) {
    inside.push_back(RawSocket::Connect(proxy.Port()));
    inside.back().Send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  ASSERT_TRUE(WaitUntil([&] { return waiting.target.requests() == kMost; }));
  for (int i = 0; i < kBeyond; ++i) {
    RawSocket beyond = RawSocket::Connect(proxy.Port());
    EXPECT_EQ(beyond.ReadToEnd(), "");
  }
  EXPECT_EQ(proxy.Metric("rejected_connection_count_total"), kBeyond);
  EXPECT_EQ(proxy.Metric("active_connection_count"), kMost);
  waiting.may_answer = true;
  for (RawSocket& client : inside) EXPECT_EQ(BodyOf(client.ReadMessage()), "app");
  inside.pop_back();
  ASSERT_TRUE(WaitUntil([&] { return proxy.Metric("active_connection_count") == kMost - 1; }));
  RawSocket next = RawSocket::Connect(proxy.Port());
  EXPECT_EQ(BodyOf(Ask(next)), "app");
  EXPECT_EQ(proxy.Metric("rejected_connection_count_total"), kBeyond);
}

TEST(MaxConnectionsTest, WhoIsIdleForLongestMakesRoom) {
  constexpr int kMost = 6;
  ScriptedTarget target(ScriptedTarget::Answers("app"));
  ServingProxy proxy(ConfigFor({target.port()}),
                     {"--workers=1", "--max-connections=" + std::to_string(kMost)});
  std::vector<RawSocket> inside;
  for (int i = 0; i < kMost; ++i) {
    inside.push_back(RawSocket::Connect(proxy.Port()));
    ASSERT_EQ(BodyOf(Ask(inside.back())), "app");
  }
  ASSERT_EQ(BodyOf(Ask(inside[0])), "app");  // so the second is idle for longest
  for (int i = 1; i <= 2; ++i) {
    RawSocket next = RawSocket::Connect(proxy.Port());
    EXPECT_EQ(BodyOf(Ask(next)), "app");
    EXPECT_EQ(inside[static_cast<size_t>(i)].ReadToEnd(), "");
    inside.push_back(std::move(next));
  }
  for (const size_t i : {0, 3, 4, 5, 6, 7}) EXPECT_EQ(BodyOf(Ask(inside[i])), "app") << i;
  EXPECT_EQ(proxy.Metric("rejected_connection_count_total"), 0);
  EXPECT_EQ(proxy.Metric("idle_connection_closed_count_total"), 2);
}

TEST(MaxConnectionsTest, OneAddressHasNoMoreThanItsShare) {
  ScriptedTarget target(ScriptedTarget::Answers("app"));
  ServingProxy proxy(ConfigFor({target.port()}),
                     {"--workers=1", "--max-connections-per-address=2"});
  const auto connect = [&](const char* source) { return RawSocket::Connect(proxy.Port(), source); };
  RawSocket one = connect("127.0.0.5");
  RawSocket two = connect("127.0.0.5");
  EXPECT_EQ(BodyOf(Ask(one)), "app");
  EXPECT_EQ(BodyOf(Ask(two)), "app");
  RawSocket beyond = connect("127.0.0.5");
  EXPECT_EQ(beyond.ReadToEnd(), "");
  RawSocket other = connect("127.0.0.6");
  EXPECT_EQ(BodyOf(Ask(other)), "app");
  EXPECT_EQ(proxy.Metric("rejected_connection_count_total"), 1);
  one.Close();
  EXPECT_TRUE(WaitUntil([&] {
    RawSocket next = connect("127.0.0.5");
    return BodyOf(Ask(next)) == "app";
  }));
}

// The listener has left the config between two halves of a head.
TEST(NoRuleTest, ARequestWhoseListenerIsGoneIs404) {
  ScriptedTarget target(ScriptedTarget::Answers("app"));
  std::string config = ConfigFor({target.port()});
  ServingProxy proxy(config);
  const uint16_t port = proxy.Port();
  RawSocket client = RawSocket::Connect(port);
  client.Send("GET / HTTP/1.1\r\nHos");
  ASSERT_TRUE(
      WaitUntil([&] { return proxy.Metric("processed_bytes_total{direction=\"received\"}") > 0; }));
  config.replace(config.find("name: shop"), 10, "name: other");  // whose listener is another one
  const std::string path = proxy.directory() + "/proxy.yaml";
  std::ofstream(path + ".new") << config;
  ASSERT_EQ(std::rename((path + ".new").c_str(), path.c_str()), 0);
  proxy.Signal(SIGHUP);
  ASSERT_TRUE(WaitUntil([&] { return !RawSocket::Connect(port).is_open(); })) << proxy.Log();
  client.Send("t: a\r\n\r\n");
  const std::string answer = client.ReadMessage();
  EXPECT_EQ(StatusOf(answer), 404) << answer;
  EXPECT_NE(answer.find("X-Remuda-Reason: NoRule\r\n"), std::string::npos) << answer;
  EXPECT_TRUE(client.WaitClosed());
  EXPECT_EQ(target.requests(), 0);
}

// More targets than descriptors: the connections that are idle for longest make room.
TEST(OverloadedTest, IdleConnectionsToTargetsMakeRoomForOthers) {
#ifdef REMUDA_SANITIZED
  GTEST_SKIP() << "the sanitizer takes an object that it has no pipe to look at for a broken one";
#endif
  constexpr size_t kDescriptors = 400;
  ScriptedTarget target(ScriptedTarget::Answers("app"));
  std::string config = ConfigFor({target.port()});
  config.replace(config.find("interval: 100ms"), 15, "interval: 300s");  // checks need some too
  for (size_t i = 0; i < 2 * kDescriptors; ++i) {
    config += "  - { targetGroup: blue, id: i-" + std::to_string(i) +
              ", address: 127.0.0.1, port: " + std::to_string(target.port()) + " }\n";
  }
  ProxyProcess proxy(config, {"--workers=1", "--pool-idle-timeout=60m"}, kDescriptors);
  ASSERT_TRUE(proxy.WaitReady());
  RawSocket client = RawSocket::Connect(proxy.Port());
  for (size_t i = 0; i < 3 * kDescriptors; ++i) {
    const std::string answer = Ask(client);
    ASSERT_EQ(BodyOf(answer), "app") << i << ": " << answer;
  }
  EXPECT_LT(proxy.Descriptors(), kDescriptors);
}

// No descriptor for a connection to a target: that is not the target's fault, and another one would
// fare no better.
TEST(OverloadedTest, WithoutADescriptorForATargetTheAnswerIs503) {
#ifdef REMUDA_SANITIZED
  GTEST_SKIP() << "the sanitizer takes an object that it has no pipe to look at for a broken one";
#endif
  ScriptedTarget one(ScriptedTarget::Answers("app"));
  ScriptedTarget two(ScriptedTarget::Answers("app"));
  std::string config = ConfigFor({one.port(), two.port()});
  config.replace(config.find("interval: 100ms"), 15, "interval: 300s");  // checks need some too
  ServingProxy proxy(config);
  RawSocket client = RawSocket::Connect(proxy.Port());
  ASSERT_TRUE(WaitUntil([&] { return proxy.Metric("active_connection_count") == 1; }));
  rlimit before{};
  ASSERT_EQ(prlimit(proxy.pid(), RLIMIT_NOFILE, nullptr, &before), 0);
  rlimit none = before;
  none.rlim_cur = 3;
  ASSERT_EQ(prlimit(proxy.pid(), RLIMIT_NOFILE, &none, nullptr), 0);
  const std::string answer = Ask(client);
  ASSERT_EQ(prlimit(proxy.pid(), RLIMIT_NOFILE, &before, nullptr), 0);
  EXPECT_EQ(StatusOf(answer), 503) << answer;
  EXPECT_NE(answer.find("X-Remuda-Reason: Overloaded\r\n"), std::string::npos) << answer;
  EXPECT_EQ(proxy.Metric("retry_count_total"), 0);
  EXPECT_EQ(proxy.Metric("target_connection_error_count_total"), 0);
  EXPECT_EQ(proxy.Admin("/targets").find("\"passively_out\":true"), std::string::npos);
  EXPECT_EQ(BodyOf(Ask(client)), "app");  // on the same connection
}

}  // namespace
}  // namespace remuda::proxy::testing
