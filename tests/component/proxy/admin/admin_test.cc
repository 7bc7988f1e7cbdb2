// The admin pages of the real program: /metrics as strict Prometheus text with every name of
// docs/proxy.md, /targets in both forms, /readyz with its reasons.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iterator>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/metrics_text.h"
#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/updates.h"

namespace remuda::proxy::testing {
namespace {

constexpr const char* kRules =
    "        rules:\n"
    "          - { priority: 5, conditions: [{ pathPattern: { values: [/gone] } }],\n"
    "              action: { fixedResponse: { status: 410, body: gone } } }\n"
    "          - { priority: 6, conditions: [{ pathPattern: { values: [/old] } }],\n"
    "              action: { redirect: { path: /new } } }\n";

std::string JoinProblems(const MetricsText& metrics) {
  std::string out;
  for (const std::string& problem : metrics.problems) out += problem + "\n";
  return out;
}

TEST(MetricsTextTest, FindsWhatIsWrong) {
  EXPECT_TRUE(ParseMetrics("# HELP a_total x\n# TYPE a_total counter\na_total{b=\"c\"} 1\n")
                  .problems.empty());
  for (const char* text :
       {"a_total 1\n", "# HELP a x\n# TYPE a counter\na 1\n",
        "# HELP a_total x\n# TYPE a_total counter\na_total 1\na_total 1\n",
        "# HELP a_total x\n# TYPE a_total counter\na_total{b=\"c} 1\n",
        "# HELP a_total x\n# TYPE a_total counter\na_total 1",
        "# HELP a x\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\n"
        "a_sum 1\na_count 1\n"}) {
    EXPECT_FALSE(ParseMetrics(text).problems.empty()) << text;
  }
}

TEST(AdminTest, MetricsCountWhatHappened) {
  ScriptedTarget target(ScriptedTarget::Answers("hello"));
  ServingProxy proxy(ConfigFor({target.port()}, "", "", kRules), {"--workers=2"});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(StatusOf(Get(proxy.Port())), 200);
  Get(proxy.Port(), "/gone");
  Get(proxy.Port(), "/old");
  RawSocket bad = RawSocket::Connect(proxy.Port());
  bad.Send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n");
  EXPECT_EQ(StatusOf(bad.ReadMessage()), 400);
  RawSocket open = RawSocket::Connect(proxy.Port());
  open.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  open.ReadMessage();
  bad.Close();
  EXPECT_TRUE(WaitUntil(
      [&] { return proxy.Metric("active_connection_count{load_balancer=\"shop\"}") == 1; }));

  const MetricsText metrics = ParseMetrics(proxy.Admin("/metrics"));
  EXPECT_EQ(JoinProblems(metrics), "");
  const std::pair<const char*, double> kWanted[] = {
      {"request_count_total{load_balancer=\"shop\"}", 9},
      {"new_connection_count_total{load_balancer=\"shop\"}", 9},
      {"rejected_connection_count_total{load_balancer=\"shop\"}", 0},
      {"http_code_elb_total{load_balancer=\"shop\",class=\"3XX\"}", 1},
      {"http_code_elb_total{load_balancer=\"shop\",class=\"4XX\"}", 2},
      {"http_code_elb_total{load_balancer=\"shop\",class=\"5XX\"}", 0},
      {"http_fixed_response_count_total{load_balancer=\"shop\"}", 1},
      {"http_redirect_count_total{load_balancer=\"shop\"}", 1},
      {"desync_mitigation_mode_non_compliant_total{load_balancer=\"shop\"}", 1},
      {"target_group_request_count_total{target_group=\"blue\"}", 6},
      {"http_code_target_total{target_group=\"blue\",class=\"2XX\"}", 6},
      {"target_response_time_seconds_count{target_group=\"blue\"}", 6},
      {"target_connection_error_count_total{target_group=\"blue\"}", 0},
      {"healthy_host_count{target_group=\"blue\"}", 1},
      {"un_healthy_host_count{target_group=\"blue\"}", 0},
      {"request_count_per_target{target_group=\"blue\"}", 6},
      {"target_request_count_total{target_group=\"blue\"}", 6},
      {"target_healthy{target_group=\"blue\"}", 1},
      {"target_in_flight_count{target_group=\"blue\"}", 0},
      {"target_series_omitted", 0},
      {"answer_reason_total{reason=\"BadContentLength\"}", 1},
      {"retry_count_total", 0},
      {"config_nack_total", 0},
      {"access_log_lost_lines_total", 0},
      {"controller_connected", 0},
  };
  for (const auto& [selector, value] : kWanted) EXPECT_EQ(metrics.Sum(selector), value) << selector;
  for (const char* selector :
       {"processed_bytes_total{direction=\"received\"}",
        "processed_bytes_total{direction=\"sent\"}", "target_response_time_seconds_sum",
        "target_connections_made_total", "config_age_seconds", "adopt_seconds_count"}) {
    EXPECT_GT(metrics.Sum(selector), 0) << selector;
  }
  EXPECT_NEAR(metrics.Sum("target_connection_reuse_ratio"),
              metrics.Sum("target_connections_reused_total") / 6, 1e-9);
}

// Every family is in docs/proxy.md by its name without prefix and _total.
TEST(AdminTest, MetricsAreDocumented) {
  std::ifstream file(REMUDA_SOURCE_DIR "/docs/proxy.md");
  const std::string docs{std::istreambuf_iterator<char>(file), {}};
  ASSERT_FALSE(docs.empty());
  ScriptedTarget target(ScriptedTarget::Answers("hello"));
  ProxyProcess proxy(ConfigFor({target.port()}), {"--workers=1"});
  ASSERT_TRUE(proxy.WaitReady());
  for (const auto& [name, family] : ParseMetrics(proxy.Admin("/metrics")).families) {
    std::string stem = name.substr(std::string("remuda_proxy_").size());
    if (family.type == "counter") stem.resize(stem.size() - std::string("_total").size());
    EXPECT_TRUE(docs.find("`" + stem + "`") != std::string::npos ||
                docs.find("`" + stem + "{") != std::string::npos)
        << stem;
  }
}

// What leaves the config leaves the page, and what stays keeps its counts.
TEST(AdminTest, SeriesGoWithTheirTargets) {
  ScriptedTarget target(ScriptedTarget::Answers("hello"));
  FakeController controller(1);
  ProxyProcess proxy("", ControllerFlags(controller));
  v1::ConfigUpdate first = Update(1);
  for (const char* id : {"blue", "green"}) {
    auto& group = *first.mutable_upserts()->add_target_groups();
    group.set_name(id);
    AddTarget(first, std::string(id) + "-1", target.port(), id);
    AddTarget(first, std::string(id) + "-2\"\\", target.port(), id);
  }
  controller.Begin(first);
  controller.ExpectAck(1);
  MetricsText metrics = ParseMetrics(proxy.Admin("/metrics"));
  EXPECT_EQ(JoinProblems(metrics), "");
  EXPECT_EQ(metrics.Sum("target_request_count_total{target=\"blue-1\"}"), 0);
  EXPECT_EQ(metrics.Sum("target_request_count_total{target=\"green-2\\\"\\\\\"}"), 0);
  EXPECT_TRUE(
      WaitUntil([&] { return proxy.Metric("healthy_host_count{target_group=\"green\"}") == 2; }));

  v1::ConfigUpdate second = Update(2, 1);
  second.add_removed_target_groups("green");
  second.add_removed_targets("blue/blue-2\"\\");
  controller.Send(second);
  controller.ExpectAck(2);
  metrics = ParseMetrics(proxy.Admin("/metrics"));
  EXPECT_EQ(JoinProblems(metrics), "");
  EXPECT_EQ(metrics.Sum("target_request_count_total{target=\"blue-1\"}"), 0);
  EXPECT_EQ(metrics.Sum("target_request_count_total{target=\"blue-2\\\"\\\\\"}"), -1);
  EXPECT_EQ(metrics.Sum("target_request_count_total{target_group=\"green\"}"), -1);
  EXPECT_EQ(metrics.Sum("healthy_host_count{target_group=\"green\"}"), -1);
}

TEST(AdminTest, TargetsAsJsonAndAsATable) {
  ScriptedTarget target(ScriptedTarget::Answers("hello"));
  ScriptedTarget sick(ScriptedTarget::Answers("hello"));
  sick.SetHealth(500);
  ProxyProcess proxy(ConfigFor({target.port(), sick.port()}), {"--workers=2"});
  ASSERT_TRUE(proxy.WaitReady());
  ASSERT_TRUE(proxy.WaitHealthy(1));
  ASSERT_TRUE(WaitUntil([&] {
    return proxy.Admin("/targets").find("Target.ResponseCodeMismatch") != std::string::npos;
  }));
  Get(proxy.Port());
  std::string json;
  EXPECT_TRUE(WaitUntil([&] {  // the answer is there before its request is counted as over
    json = proxy.Admin("/targets?target_group=blue");
    return json.find("\"in_flight\":1") == std::string::npos;
  }));
  EXPECT_NE(json.find("\"target\":\"" + target.endpoint() + "\""), std::string::npos) << json;
  EXPECT_NE(json.find("\"share_percent\":100,\"in_flight\":0,\"requests\":1,\"server_errors\":0,"),
            std::string::npos)
      << json;
  const std::string table = proxy.Admin("/targets?format=text");
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 3) << table;
  EXPECT_EQ(table.rfind("GROUP", 0), 0U) << table;
  EXPECT_NE(table.find("unhealthy"), std::string::npos) << table;
  EXPECT_NE(proxy.Admin("/targets?target_group=none").find("no such"), std::string::npos);
}

// More targets than have series of their own: the page stays bounded and says so.
TEST(AdminTest, TargetSeriesAreBounded) {
  constexpr int kTargets = 1100;
  std::string config = ConfigFor({});
  config += "targets:\n";
  for (int i = 0; i < kTargets; ++i) {
    config += "  - { targetGroup: blue, address: 127.0." + std::to_string(1 + i / 250) + "." +
              std::to_string(1 + i % 250) + ", port: 1 }\n";
  }
  ProxyProcess proxy(config, {"--workers=1"});
  ASSERT_TRUE(proxy.WaitReady());
  const MetricsText metrics = ParseMetrics(proxy.Admin("/metrics"));
  EXPECT_EQ(JoinProblems(metrics), "");
  EXPECT_EQ(metrics.Sum("target_series_omitted"), 100);
  EXPECT_EQ(metrics.families.at("remuda_proxy_target_in_flight_count").series.size(), 1000U);
  EXPECT_EQ(metrics.Sum("un_healthy_host_count"), kTargets);
}

TEST(AdminTest, ReadyzSaysWhyNot) {
  std::atomic<bool> may_answer{false};
  ScriptedTarget target([&](const std::string& head, RawSocket& connection) {
    WaitUntil([&] { return may_answer.load(); });
    return ScriptedTarget::Answers("late")(head, connection);
  });
  ServingProxy proxy(ConfigFor({target.port()}));
  EXPECT_EQ(proxy.Admin("/readyz"), "ok\n");
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(WaitUntil([&] { return target.requests() == 1; }));
  proxy.Signal(SIGTERM);
  EXPECT_TRUE(WaitUntil([&] { return proxy.Admin("/readyz") == "draining\n"; }));
  may_answer = true;
  EXPECT_EQ(BodyOf(client.ReadMessage()), "late");
  EXPECT_EQ(proxy.WaitExit(), 0);
}

}  // namespace
}  // namespace remuda::proxy::testing
