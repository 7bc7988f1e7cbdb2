// Targets that do not answer a connect: who is tried, how often, and what the client gets. Counted,
// not timed: each attempt costs the client a whole --connect-timeout.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/raw_target.h"
#include "tests/component/proxy/testing/silent_target.h"

namespace remuda::proxy::testing {
namespace {

const std::vector<std::string> kFlags = {"--workers=1", "--connect-timeout=500ms"};

std::string Endpoint(uint16_t port) { return "127.0.0.1:" + std::to_string(port); }

// All targets are healthy: checks ask another port.
class ConnectTimeoutTest : public ::testing::Test {
 protected:
  void Start(std::string config, int targets) {
    const std::string check = "healthCheck: { ";
    config.insert(config.find(check) + check.size(),
                  "port: \"" + std::to_string(health_.port()) + "\", ");
    proxy_ = std::make_unique<ProxyProcess>(config, kFlags);
    ASSERT_TRUE(proxy_->WaitReady()) << proxy_->Log();
    ASSERT_TRUE(proxy_->WaitHealthy(targets));
  }
  double Attempts() { return proxy_->Metric("target_connections_made_total"); }
  double Retries() { return proxy_->Metric("retry_count_total"); }
  // The log's line of the only request.
  std::string LogLine() {
    EXPECT_TRUE(WaitUntil([&] { return CountOf(proxy_->AccessLog(), "\n") == 1; }));
    return proxy_->AccessLog();
  }
  void ExpectTimedOut(const std::string& answer) {
    EXPECT_EQ(StatusOf(answer), 504) << answer;
    EXPECT_NE(answer.find("X-Remuda-Reason: TargetConnectTimeout\r\n"), std::string::npos)
        << answer;
  }

  ScriptedTarget health_{ScriptedTarget::Answers("")};
  std::unique_ptr<ProxyProcess> proxy_;
};

TEST_F(ConnectTimeoutTest, TheOnlyTargetIsTriedOnce) {
  SilentTarget silent;
  Start(ConfigFor({silent.port()}), 1);
  ExpectTimedOut(Get(proxy_->Port()));
  EXPECT_EQ(Attempts(), 1);
  EXPECT_EQ(Retries(), 0);
}

TEST_F(ConnectTimeoutTest, EachOfTwoIsTriedOnce) {
  SilentTarget one, two;
  Start(ConfigFor({one.port(), two.port()}), 2);
  ExpectTimedOut(Get(proxy_->Port()));
  EXPECT_EQ(Attempts(), 2);
  EXPECT_EQ(Retries(), 1);
  // As the target and in the list of all.
  const std::string line = LogLine();
  EXPECT_GE(CountOf(line, Endpoint(one.port())), 1) << line;
  EXPECT_GE(CountOf(line, Endpoint(two.port())), 1) << line;
}

TEST_F(ConnectTimeoutTest, OneThatWasNotTriedServes) {
  SilentTarget silent;
  ScriptedTarget live(ScriptedTarget::Answers("live"));
  Start(ConfigFor({silent.port(), live.port()}), 2);
  // In turn: one of two meets the silent one first.
  for (int i = 0; i < 2 && Retries() == 0; ++i) EXPECT_EQ(BodyOf(Get(proxy_->Port())), "live");
  EXPECT_EQ(Retries(), 1);
}

// Another kind of failure behind it does not bring the silent one back.
TEST_F(ConnectTimeoutTest, NorIsItTriedAfterAnotherOneFailed) {
  SilentTarget silent;
  ScriptedTarget closes([](const std::string&, RawSocket&) { return false; });
  Start(ConfigFor({silent.port(), closes.port()}), 2);
  for (int i = 0; i < 2; ++i) {
    Get(proxy_->Port());
    ASSERT_TRUE(proxy_->WaitHealthy(2));  // a check has brought the silent one back
  }
  // One request: silent, closes. The other: closes, silent.
  EXPECT_EQ(Attempts(), 4);
  EXPECT_EQ(closes.requests(), 2);
}

// A group with a limit has queues, but there is nothing to wait for.
TEST_F(ConnectTimeoutTest, WithAConcurrencyLimitNobodyQueuesForIt) {
  SilentTarget silent;
  Start(ConfigFor({silent.port()}, "    concurrencyLimit: { maxRequests: 1, queueTimeout: 60s }\n"),
        1);
  RawSocket first = RawSocket::Connect(proxy_->Port());
  first.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(WaitUntil([&] { return Attempts() == 1; }));
  RawSocket second = RawSocket::Connect(proxy_->Port());
  second.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ExpectTimedOut(first.ReadMessage());
  ExpectTimedOut(second.ReadMessage());
  EXPECT_EQ(Attempts(), 2);
  EXPECT_LE(proxy_->Metric("queued_request_count_total"), 1);  // the second, for its turn
}

TEST_F(ConnectTimeoutTest, OfATcpListenerTheOnlyTargetIsTriedOnce) {
  SilentTarget silent;
  Start(BytesConfigFor({.targets = {silent.port()}}), 1);
  RawSocket client = RawSocket::Connect(proxy_->Port());
  EXPECT_TRUE(client.WaitClosed());
  const std::string line = LogLine();
  EXPECT_NE(line.find("\"TargetConnectTimeout\""), std::string::npos) << line;
  EXPECT_EQ(Attempts(), 1);
  EXPECT_EQ(Retries(), 0);
}

TEST_F(ConnectTimeoutTest, OfATcpListenerOneThatWasNotTriedServes) {
  SilentTarget silent;
  RawTarget live([](RawSocket& connection) {
    connection.Send("live");
    connection.ReadToEnd();
  });
  Start(BytesConfigFor({.targets = {silent.port(), live.port()}}), 2);
  for (int i = 0; i < 2 && Retries() == 0; ++i)
    EXPECT_EQ(RawSocket::Connect(proxy_->Port()).ReadBytes(4), "live");
  EXPECT_EQ(Retries(), 1);
}

}  // namespace
}  // namespace remuda::proxy::testing
