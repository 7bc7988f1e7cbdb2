// Security groups as listeners hold them: who is let in, what an update of them alone changes, and
// what is refused.
#include "common/traffic/ingress.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "proxy/core/condition.h"
#include "proxy/core/ingress_set.h"
#include "tests/unit/proxy/core/tables.h"

namespace remuda::proxy {
namespace {

using testing::Compile;
using testing::TryCompile;

std::vector<Cidr> Blocks(const std::vector<std::string>& texts) {
  std::vector<Cidr> out;
  for (const std::string& text : texts) {
    EXPECT_EQ(traffic::ParseBlock(text, out.emplace_back()), "") << text;
  }
  return out;
}

TEST(IngressSet, HoldsWhatItsBlocksHold) {
  const IngressSet set(Blocks({"10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "192.0.2.6"}));
  for (const char* in : {"10.0.0.0", "10.255.255.255", "192.0.2.7", "192.0.2.6",
                         "2001:db8::", "2001:db8:ffff::1", "::ffff:10.1.2.3"})
    EXPECT_TRUE(set.Contains(*ParseIp(in))) << in;
  for (const char* out : {"9.255.255.255", "11.0.0.0", "192.0.2.5", "192.0.2.8",
                          "2001:db9::", "2001:db7:ffff::", "::1", "0.0.0.0", "::"})
    EXPECT_FALSE(set.Contains(*ParseIp(out))) << out;
  // Two that touch are one range.
  EXPECT_EQ(set.range_count(), 3U);
}

TEST(IngressSet, TheWidestBlocks) {
  const IngressSet nobody, v4(Blocks({"0.0.0.0/0"})), v6(Blocks({"::/0"}));
  for (const char* address : {"0.0.0.0", "255.255.255.255", "10.0.0.1"}) {
    EXPECT_FALSE(nobody.Contains(*ParseIp(address)));
    EXPECT_TRUE(v4.Contains(*ParseIp(address))) << address;
    EXPECT_FALSE(v6.Contains(*ParseIp(address))) << address;
  }
  for (const char* address : {"::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::1"}) {
    EXPECT_FALSE(v4.Contains(*ParseIp(address))) << address;
    EXPECT_TRUE(v6.Contains(*ParseIp(address))) << address;
  }
}

// As a look at each block would have it, with as many as there may be.
TEST(IngressSet, AgreesWithALookAtEachBlock) {
  std::mt19937 random(3);
  const auto address = [&](bool is_v4) {
    IpBytes out{};
    if (is_v4) {
      out[10] = out[11] = 0xff;
      out[12] = 10;
      for (size_t i = 13; i < 16; ++i) out[i] = static_cast<uint8_t>(random() % 4);
    } else {
      out[0] = 0x20;
      for (size_t i = 1; i < 16; ++i) out[i] = static_cast<uint8_t>(random() % 2);
    }
    return out;
  };
  for (const size_t count : {1U, 10U, 4096U}) {
    std::vector<Cidr> blocks;
    while (blocks.size() < count) {
      const bool is_v4 = random() % 2 == 0;
      Cidr block{address(is_v4), 128 - static_cast<int>(random() % (is_v4 ? 20 : 100))};
      Cidr parsed;
      // What lies behind the prefix is 0 in each block there is.
      const std::string text = traffic::CidrText(block);
      const std::string fault = traffic::ParseBlock(text, parsed);
      if (fault.empty()) blocks.push_back(parsed);
    }
    const IngressSet set(blocks);
    for (int i = 0; i < 3000; ++i) {
      const IpBytes wanted = address(random() % 2 == 0);
      const bool is_in = std::any_of(blocks.begin(), blocks.end(),
                                     [&](const Cidr& block) { return Contains(block, wanted); });
      ASSERT_EQ(set.Contains(wanted), is_in) << count;
    }
  }
}

v1::ProxyConfig ConfigWith(const std::string& groups, const std::string& attached) {
  v1::ProxyConfig config;
  const std::string text =
      "security_groups: " + groups +
      "\nload_balancers: [{name: shop, security_groups: " + attached +
      ", listeners: [{port: 8080, default_action: {fixed_response: {status: 200}}}, "
      "{port: 9090, default_action: {fixed_response: {status: 200}}}]}]\n";
  const absl::Status status = ParseMessageYaml(text, "test", &config);
  EXPECT_TRUE(status.ok()) << status;
  return config;
}

bool LetsIn(const RoutingTable& table, size_t listener, const std::string& address) {
  const auto& ingress = table.load_balancers.at("shop")->listeners[listener].ingress;
  return ingress == nullptr || ingress->Contains(*ParseIp(address));
}

TEST(SecurityGroups, SayWhoReachesWhichListener) {
  const auto table = Compile(ConfigWith(
      "[{name: web, ingress: [{from_port: 8080, cidrs: [10.0.0.0/8]}, "
      "{ip_protocol: UDP, cidrs: ['0.0.0.0/0']}]}, "
      "{name: securityGroups/ops, ingress: [{from_port: 9000, to_port: 9100, ip_protocol: ALL, "
      "cidrs: [192.0.2.1]}, {cidrs: ['2001:db8::/32']}]}]",
      "[web, securityGroups/ops]"));
  EXPECT_TRUE(LetsIn(*table, 0, "10.1.1.1"));
  EXPECT_FALSE(LetsIn(*table, 1, "10.1.1.1"));
  EXPECT_FALSE(LetsIn(*table, 0, "192.0.2.1"));
  EXPECT_TRUE(LetsIn(*table, 1, "192.0.2.1"));
  EXPECT_TRUE(LetsIn(*table, 0, "2001:db8::1"));
  EXPECT_TRUE(LetsIn(*table, 1, "2001:db8::1"));
  EXPECT_FALSE(LetsIn(*table, 0, "198.51.100.1"));
}

TEST(SecurityGroups, NoneIsEverybodyAndOneWithoutRulesIsNobody) {
  const auto open = Compile(ConfigWith("[{name: web}]", "[]"));
  EXPECT_EQ(open->load_balancers.at("shop")->listeners[0].ingress, nullptr);
  const auto closed = Compile(ConfigWith("[{name: web}]", "[web]"));
  EXPECT_FALSE(LetsIn(*closed, 0, "127.0.0.1"));
}

TEST(SecurityGroups, ListenersThatTheSameRulesSpeakOfShareASet) {
  const auto table =
      Compile(ConfigWith("[{name: web, ingress: [{cidrs: [10.0.0.0/8]}]}]", "[web]"));
  const auto& listeners = table->load_balancers.at("shop")->listeners;
  EXPECT_EQ(listeners[0].ingress, listeners[1].ingress);
}

TEST(SecurityGroups, AnUpdateOfOneAloneReachesItsLoadBalancers) {
  v1::ProxyConfig config =
      ConfigWith("[{name: web, ingress: [{cidrs: [10.0.0.0/8]}]}, {name: other}]", "[web]");
  *config.add_load_balancers() = config.load_balancers(0);
  auto& second = *config.mutable_load_balancers(1);
  second.set_name("second");
  second.set_security_groups(0, "other");
  second.mutable_listeners(0)->set_port(81);
  second.mutable_listeners(1)->set_port(82);
  const auto first = Compile(config);
  v1::ConfigUpdate update;
  update.mutable_base()->set_epoch(1);
  auto& changed = *update.mutable_upserts()->add_security_groups();
  changed.set_name("securityGroups/web");
  changed.add_ingress()->add_cidrs("192.0.2.0/24");
  CompileResult result = TryCompile(update, first);
  const auto table = std::get<std::shared_ptr<const RoutingTable>>(result);
  EXPECT_FALSE(LetsIn(*table, 0, "10.1.1.1"));
  EXPECT_TRUE(LetsIn(*table, 0, "192.0.2.1"));
  // What goes on stays, with its counts; whoever does not name it is not touched.
  EXPECT_EQ(table->load_balancers.at("shop")->state, first->load_balancers.at("shop")->state);
  EXPECT_EQ(table->load_balancers.at("shop")->listeners[0].Key(),
            first->load_balancers.at("shop")->listeners[0].Key());
  EXPECT_EQ(table->load_balancers.at("second"), first->load_balancers.at("second"));
  // The same once more changes nothing.
  const auto again = std::get<std::shared_ptr<const RoutingTable>>(TryCompile(update, table));
  EXPECT_EQ(again->load_balancers.at("shop"), table->load_balancers.at("shop"));
  // Kept on disk with the rest.
  EXPECT_EQ(ConfigOf(*table).security_groups_size(), 2);
  // One that is named cannot go.
  v1::ConfigUpdate removal;
  removal.mutable_base()->set_epoch(1);
  removal.add_removed_security_groups("web");
  const CompileResult refused = TryCompile(removal, table);
  const auto* error = std::get_if<ConfigError>(&refused);
  ASSERT_NE(error, nullptr);
  EXPECT_EQ(error->resource, "loadBalancers/shop");
  EXPECT_EQ(error->reason, "security_groups: there is no security group 'web'");
}

TEST(SecurityGroups, WhatIsWrongIsNamed) {
  struct Case {
    const char* groups;
    const char* attached;
    const char* resource;
    const char* reason;
  };
  const Case cases[] = {
      {"[]", "[web]", "loadBalancers/shop", "security_groups: there is no security group 'web'"},
      {"[{name: web}, {name: securityGroups/web}]", "[]", "securityGroups/web",
       "name: there are two of it"},
      {"[{name: Web}]", "[]", "Web", "name: 'Web' is not an id ([a-z0-9-], at most 63)"},
      {"[{name: web, ingress: [{cidrs: [10.0.0.1/8]}]}]", "[]", "securityGroups/web",
       "ingress[0].cidrs[0]: '10.0.0.1/8' has bits behind its prefix: 10.0.0.0/8 is meant"},
      {"[{name: web, ingress: [{cidrs: [10.0.0.1], to_port: 5}]}]", "[]", "securityGroups/web",
       "ingress[0].from_port: must be given with to_port 5; without both the rule is for all "
       "ports"},
      {"[{name: web, ingress: [{security_groups: [app]}]}]", "[]", "securityGroups/web",
       "ingress[0].security_groups: a proxy knows addresses alone; a controller puts them in"},
      {"[{name: web}]", "[web, web, web, web, web, web]", "loadBalancers/shop",
       "security_groups: 6 is not within 0-5"},
  };
  for (const Case& c : cases) {
    v1::ConfigUpdate update;
    *update.mutable_upserts() = ConfigWith(c.groups, c.attached);
    const CompileResult result = TryCompile(update);
    const auto* error = std::get_if<ConfigError>(&result);
    ASSERT_NE(error, nullptr) << c.reason;
    EXPECT_EQ(error->resource, c.resource);
    EXPECT_EQ(error->reason, c.reason);
  }
}

}  // namespace
}  // namespace remuda::proxy
