// Targets whose requests fail while their checks pass.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {
namespace {

// Answers with 503 while it is told to.
struct Moody {
  std::atomic<bool> is_failing{false};
  ScriptedTarget target{[this](const std::string&, RawSocket& connection) {
    return connection.Send(is_failing ? "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
                                      : "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  }};
};

TEST(OutlierTest, AFailingTargetIsOutForAWhileThoughItsChecksPass) {
  Moody good, bad;
  ServingProxy proxy(ConfigFor({good.target.port(), bad.target.port()},
                               "    passiveEjection: { consecutiveFailures: 3, baseTime: 1s }\n"),
                     {"--workers=2"});
  bad.is_failing = true;
  ASSERT_TRUE(WaitUntil([&] {
    Get(proxy.Port());
    return proxy.Admin("/targets").find("Remuda.PassiveEjection") != std::string::npos;
  }));
  EXPECT_EQ(proxy.Metric("healthy_host_count{target_group=\"blue\"}"), 1);
  EXPECT_EQ(proxy.Metric("passive_ejection_count_total"), 1);
  // Back by itself, and not out again while it serves.
  bad.is_failing = false;
  ASSERT_TRUE(proxy.WaitHealthy(2));
  const int before = bad.target.requests();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(StatusOf(Get(proxy.Port())), 200);
  EXPECT_GE(bad.target.requests(), before + 4);
  // The last healthy one stays, however it fails.
  good.is_failing = bad.is_failing = true;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(StatusOf(Get(proxy.Port())), 503);
  EXPECT_GE(proxy.Metric("healthy_host_count{target_group=\"blue\"}"), 1);
}

TEST(OutlierTest, AnOddTargetGetsLess) {
  Moody one, two, odd;
  ServingProxy proxy(ConfigFor({one.target.port(), two.target.port(), odd.target.port()},
                               "    algorithm: BALANCING_ALGORITHM_WEIGHTED_RANDOM\n"
                               "    anomalyMitigation: true\n"));
  odd.is_failing = true;
  RawSocket client = RawSocket::Connect(proxy.Port());
  const auto ask = [&] {
    client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    return client.ReadMessage();
  };
  ASSERT_TRUE(WaitUntil([&] {
    for (int i = 0; i < 20; ++i) ask();
    return proxy.Metric("mitigated_host_count{target_group=\"blue\"}") == 1;
  }));
  EXPECT_EQ(proxy.Metric("healthy_host_count{target_group=\"blue\"}"), 3);
}

}  // namespace
}  // namespace remuda::proxy::testing
