// What a host's firewall is told of the ports of instances.
#include "agent/core/ingress_ruleset.h"

#include <gtest/gtest.h>

namespace remuda::agent {
namespace {

v1::IngressFilter Filter(const std::vector<std::string>& cidrs,
                         remuda::v1::IpProtocol protocol = remuda::v1::IP_PROTOCOL_TCP,
                         int from = 0, int to = 0) {
  v1::IngressFilter out;
  auto& rule = *out.add_rules();
  rule.set_ip_protocol(protocol);
  rule.set_from_port(from);
  rule.set_to_port(to);
  for (const std::string& cidr : cidrs) rule.add_cidrs(cidr);
  return out;
}

TEST(IngressRuleset, LetsInWhatRulesNameAndDropsTheRest) {
  const v1::IngressFilter both = Filter({"10.0.0.0/8", "10.1.0.0/16", "2001:db8::1"});
  v1::IngressFilter udp = Filter({"192.0.2.1"}, remuda::v1::IP_PROTOCOL_UDP, 8000, 8100);
  *udp.add_rules() = Filter({"192.0.2.2"}, remuda::v1::IP_PROTOCOL_ALL, 9000).rules(0);
  std::string error = "before";
  EXPECT_EQ(RulesetFor("remuda_h1",
                       {{.port = 8001, .filter = &both},
                        {.port = 8002, .filter = &both},
                        {.port = 8003, .filter = &udp}},
                       error),
            "table inet remuda_h1\n"
            "delete table inet remuda_h1\n"
            "table inet remuda_h1 {\n"
            "  chain allow_2 {\n"
            "    drop\n"
            "  }\n"
            "  chain allow_1 {\n"
            "    ip saddr { 10.0.0.0/8 } accept\n"
            "    ip6 saddr { 2001:db8::1 } accept\n"
            "    drop\n"
            "  }\n"
            "  chain allow_3 {\n"
            "    ip saddr { 192.0.2.1 } accept\n"
            "    drop\n"
            "  }\n"
            "  chain input {\n"
            "    type filter hook input priority filter; policy accept;\n"
            "    iifname \"lo\" accept\n"
            "    tcp flags & (syn | ack) == syn tcp dport vmap { 8001 : jump allow_1, 8002 : jump "
            "allow_1, 8003 : jump allow_2 }\n"
            "    udp dport vmap { 8001 : jump allow_2, 8002 : jump allow_2, 8003 : jump allow_3 }\n"
            "  }\n"
            "}\n");
  EXPECT_EQ(error, "");
}

TEST(IngressRuleset, WithoutPortsTheTableGoes) {
  std::string error;
  EXPECT_EQ(RulesetFor("remuda_h1", {}, error),
            "table inet remuda_h1\ndelete table inet remuda_h1\n");
}

TEST(IngressRuleset, IsNamedAfterTheHost) { EXPECT_EQ(TableName("rack-7"), "remuda_rack_7"); }

TEST(IngressRuleset, IsBounded) {
  std::vector<v1::IngressFilter> filters;
  for (int f = 0; f < 17; ++f) {
    std::vector<std::string> cidrs;
    for (int i = 0; i < 4096; ++i) {
      cidrs.push_back("10." + std::to_string(f) + "." + std::to_string(i / 100) + "." +
                      std::to_string(i % 100 * 2));
    }
    filters.push_back(Filter(cidrs));
  }
  std::vector<FilteredPort> ports;
  for (int f = 0; f < 17; ++f)
    ports.push_back({.port = 8000 + f, .filter = &filters[static_cast<size_t>(f)]});
  std::string error;
  EXPECT_EQ(RulesetFor("remuda_h1", ports, error), "");
  EXPECT_NE(error.find("at most 65536 (kMaxRulesetBlocks)"), std::string::npos) << error;
  // Those that share a filter count once.
  for (FilteredPort& port : ports) port.filter = &filters[0];
  EXPECT_NE(RulesetFor("remuda_h1", ports, error), "");
}

TEST(IngressRuleset, AFilterThatIsNotRightIsRefused) {
  v1::IngressFilter filter = Filter({"10.0.0.1/8"});
  EXPECT_EQ(WrongWithFilter(filter),
            "ingress_filter.rules[0].cidrs: \"10.0.0.1/8\" has bits behind its prefix: 10.0.0.0/8 "
            "is meant");
  // What would end the list, and the rule, of the text that it becomes.
  filter = Filter({"10.0.0.1 } accept; ip saddr { 0.0.0.0/0"});
  EXPECT_NE(WrongWithFilter(filter), "");
  filter = Filter({});
  filter.mutable_rules(0)->add_security_groups("web");
  EXPECT_EQ(WrongWithFilter(filter),
            "ingress_filter.rules[0].security_groups: an agent knows addresses alone");
  filter = Filter(std::vector<std::string>(4097, "10.0.0.1"));
  EXPECT_EQ(WrongWithFilter(filter),
            "ingress_filter.rules: 4097 blocks of addresses, at most 4096");
}

}  // namespace
}  // namespace remuda::agent
