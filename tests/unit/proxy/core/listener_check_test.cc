// Which protocols of listeners and target groups go together, and what only some of them have.
#include <gtest/gtest.h>

#include "common/message_yaml.h"
#include "tests/unit/proxy/core/tables.h"

namespace remuda::proxy::testing {
namespace {

struct Case {
  const char* name;
  std::string listener;  // fields beside port and default action
  std::string group;     // fields beside the name
  std::string error;     // empty: taken
  std::string action = "{forward: {target_groups: [{target_group: blue}]}}";
};

class ListenerCheckTest : public ::testing::TestWithParam<Case> {};

TEST_P(ListenerCheckTest, IsTakenOrRefused) {
  const Case& c = GetParam();
  v1::ConfigUpdate update;
  const std::string text = "load_balancers: [{name: shop, listeners: [{port: 8080, " + c.listener +
                           "default_action: " + c.action + "}]}]\ntarget_groups: [{name: blue, " +
                           c.group + "}]\n";
  const absl::Status status = ParseMessageYaml(text, "test", update.mutable_upserts());
  ASSERT_TRUE(status.ok()) << status;
  const CompileResult result = TryCompile(update);
  const auto* error = std::get_if<ConfigError>(&result);
  EXPECT_EQ(error == nullptr ? "" : error->reason, c.error);
}

INSTANTIATE_TEST_SUITE_P(
    Table, ListenerCheckTest,
    ::testing::Values(
        Case{"Http", "", "", ""}, Case{"Tcp", "protocol: TCP, ", "protocol: TCP", ""},
        Case{"TcpIdleTimeout", "protocol: TCP, tcp_idle_timeout: 60s, ", "protocol: TCP", ""},
        Case{"ShortTcpIdleTimeout", "protocol: TCP, tcp_idle_timeout: 59s, ", "protocol: TCP",
             "listener 8080: tcp_idle_timeout: 59.0s is not within 60000ms-6000000ms"},
        Case{"TcpIdleTimeoutOfHttp", "tcp_idle_timeout: 60s, ", "",
             "listener 8080: tcp_idle_timeout: is for TCP and TLS listeners, this one is HTTP"},
        Case{"TcpToHttp", "protocol: TCP, ", "",
             "listener 8080: forward: a listener of TCP cannot forward to target group 'blue' of "
             "HTTP"},
        Case{"HttpToTcp", "", "protocol: TCP",
             "listener 8080: forward: a listener of HTTP cannot forward to target group 'blue' of "
             "TCP"},
        Case{"Rules",
             "protocol: TCP, rules: [{priority: 1, conditions: [{path_pattern: {values: [/a]}}], "
             "action: "
             "{forward: {target_groups: [{target_group: blue}]}}}], ",
             "protocol: TCP",
             "listener 8080: rules: a TCP listener has none, there is no request to match"},
        Case{"FixedResponse", "protocol: TCP, ", "protocol: TCP",
             "listener 8080: default_action: a TCP listener can only forward",
             "{fixed_response: {status: 200}}"},
        Case{"Sources", "proxy_protocol_sources: [10.0.0.0/8, '::1'], ", "", ""},
        Case{"BadSource", "proxy_protocol_sources: [10.0.0.0/33], ", "",
             "listener 8080: proxy_protocol_sources: '10.0.0.0/33' is not an address or CIDR "
             "block"},
        Case{"SourcesOfTcp", "protocol: TCP, proxy_protocol_sources: ['::/0'], ", "protocol: TCP",
             ""},
        Case{"Version1", "", "proxy_protocol: 1", ""},
        Case{"Version2", "", "proxy_protocol: 2", ""}),
    [](const auto& param) { return param.param.name; });

TEST(ListenerCheck, TcpGroupsAreCheckedByConnecting) {
  v1::ProxyConfig config;
  ASSERT_TRUE(ParseMessageYaml("target_groups: [{name: a, protocol: TCP}, {name: b}, {name: c, "
                               "protocol: TCP, health_check: {protocol: HTTP}}]",
                               "test", &config)
                  .ok());
  const auto table = Compile(config);
  ASSERT_NE(table, nullptr);
  EXPECT_TRUE(table->groups.at("a")->health_check.is_tcp);
  EXPECT_FALSE(table->groups.at("b")->health_check.is_tcp);
  EXPECT_FALSE(table->groups.at("c")->health_check.is_tcp);
}

TEST(ListenerCheck, DefaultsOfATcpListener) {
  v1::ProxyConfig config;
  ASSERT_TRUE(
      ParseMessageYaml("load_balancers: [{name: shop, listeners: [{port: 1, protocol: TCP, "
                       "default_action: {forward: {target_groups: [{target_group: a}]}}}]}]\n"
                       "target_groups: [{name: a, protocol: TCP}]",
                       "test", &config)
          .ok());
  const auto table = Compile(config);
  ASSERT_NE(table, nullptr);
  const ListenerSpec& listener = table->load_balancers.at("shop")->listeners.front();
  EXPECT_EQ(listener.protocol, ListenerProtocol::kTcp);
  EXPECT_EQ(listener.tcp_idle_timeout, std::chrono::seconds(350));
}

}  // namespace
}  // namespace remuda::proxy::testing
