// Blocks of addresses, and rules of security groups that the controller, the proxy and the agent
// share.
#include "common/traffic/ingress.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "remuda/v1/security_group.pb.h"

namespace remuda::traffic {
namespace {

Cidr Block(const std::string& text) {
  Cidr out;
  EXPECT_EQ(ParseBlock(text, out), "") << text;
  return out;
}

TEST(Cidr, HasOneSpelling) {
  const std::pair<const char*, const char*> cases[] = {
      {"10.0.0.0/8", "10.0.0.0/8"},
      {"10.0.0.1", "10.0.0.1"},
      {"10.0.0.1/32", "10.0.0.1"},
      {"0.0.0.0/0", "0.0.0.0/0"},
      {"::/0", "::/0"},
      {"2001:DB8:0::/32", "2001:db8::/32"},
      {"::1/128", "::1"},
      {"::ffff:10.0.0.0/104", "10.0.0.0/8"},
      {"::ffff:10.0.0.1", "10.0.0.1"},
  };
  for (const auto& [text, wanted] : cases) EXPECT_EQ(CidrText(Block(text)), wanted) << text;
}

TEST(Cidr, SaysWhatIsWrong) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "is not an address"},
      {"10.0.0.0/", "is not an address"},
      {"10.0.0.0/33", "is not an address"},
      {"10.0.0.0/-1", "is not an address"},
      {"10.0.0.0/8x", "is not an address"},
      {"10.0.0/8", "is not an address"},
      {"::/129", "is not an address"},
      {"shop.example", "is not an address"},
      {std::string("10.0.0.1\0/8", 11), "is not an address"},
      {"10.0.0.1/8", "has bits behind its prefix: 10.0.0.0/8 is meant"},
      {"10.0.0.0/0", "has bits behind its prefix: 0.0.0.0/0 is meant"},
      {"2001:db8::1/32", "has bits behind its prefix: 2001:db8::/32 is meant"},
  };
  for (const auto& [text, wanted] : cases) {
    Cidr out;
    EXPECT_EQ(ParseBlock(text, out).substr(0, std::string(wanted).size()), wanted) << text;
  }
}

std::string Texts(const std::vector<Cidr>& blocks) {
  std::string out;
  for (const Cidr& block : blocks) out += (out.empty() ? "" : " ") + CidrText(block);
  return out;
}

TEST(Cidr, MergedAreTheFewest) {
  const std::pair<std::vector<const char*>, const char*> cases[] = {
      {{}, ""},
      {{"10.0.0.1", "10.0.0.1"}, "10.0.0.1"},
      {{"10.1.0.0/16", "10.0.0.0/8", "10.1.2.3"}, "10.0.0.0/8"},
      {{"10.0.0.1", "10.0.0.0"}, "10.0.0.0/31"},
      {{"10.0.0.1", "10.0.0.2"}, "10.0.0.1 10.0.0.2"},
      {{"10.0.0.3", "10.0.0.2", "10.0.0.1", "10.0.0.0"}, "10.0.0.0/30"},
      {{"0.0.0.0/1", "128.0.0.0/1"}, "0.0.0.0/0"},
      // All of IPv6 holds no IPv4 address.
      {{"10.0.0.0/8", "::/0", "2001:db8::/32"}, "::/0 10.0.0.0/8"},
      {{"0.0.0.0/0", "::/1", "8000::/1"}, "::/1 0.0.0.0/0 8000::/1"},
  };
  for (const auto& [texts, wanted] : cases) {
    std::vector<Cidr> blocks;
    for (const char* text : texts) blocks.push_back(Block(text));
    EXPECT_EQ(Texts(Merged(blocks)), wanted);
  }
}

TEST(Cidr, MergedHoldTheSameAddresses) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<Cidr> blocks;
    for (int i = 0; i < 12; ++i) {
      const int bits = 24 + static_cast<int>(random() % 9);
      const unsigned base = random() % 256 & ~((1u << (32 - bits)) - 1);
      blocks.push_back(Block("10.0.0." + std::to_string(base) + "/" + std::to_string(bits)));
    }
    const auto holds = [](const std::vector<Cidr>& in, const IpBytes& address) {
      return std::any_of(in.begin(), in.end(), [&](const Cidr& block) {
        return block.address <= address && address <= LastOf(block);
      });
    };
    const std::vector<Cidr> merged = Merged(blocks);
    for (int last = 0; last < 256; ++last) {
      const IpBytes address = Block("10.0.0." + std::to_string(last)).address;
      EXPECT_EQ(holds(merged, address), holds(blocks, address)) << round << ", " << last;
    }
    for (size_t i = 1; i < merged.size(); ++i)
      EXPECT_LT(LastOf(merged[i - 1]), merged[i].address) << round;
  }
}

v1::IngressRule Rule(v1::IpProtocol protocol, int from, int to) {
  v1::IngressRule rule;
  rule.set_ip_protocol(protocol);
  rule.set_from_port(from);
  rule.set_to_port(to);
  return rule;
}

TEST(Ingress, LetsInByProtocolAndPort) {
  struct Case {
    v1::IngressRule rule;
    bool is_udp;
    int port;
    bool lets_in;
  };
  const Case cases[] = {
      {Rule(v1::IP_PROTOCOL_UNSPECIFIED, 0, 0), false, 443, true},
      {Rule(v1::IP_PROTOCOL_UNSPECIFIED, 0, 0), true, 443, false},
      {Rule(v1::IP_PROTOCOL_TCP, 443, 443), false, 443, true},
      {Rule(v1::IP_PROTOCOL_TCP, 443, 0), false, 443, true},
      {Rule(v1::IP_PROTOCOL_TCP, 443, 0), false, 444, false},
      {Rule(v1::IP_PROTOCOL_TCP, 443, 445), false, 445, true},
      {Rule(v1::IP_PROTOCOL_TCP, 443, 445), false, 442, false},
      {Rule(v1::IP_PROTOCOL_UDP, 53, 53), false, 53, false},
      {Rule(v1::IP_PROTOCOL_UDP, 53, 53), true, 53, true},
      {Rule(v1::IP_PROTOCOL_ALL, 53, 53), false, 53, true},
      {Rule(v1::IP_PROTOCOL_ALL, 53, 53), true, 53, true},
  };
  for (const Case& c : cases)
    EXPECT_EQ(LetsIn(c.rule, c.is_udp, c.port), c.lets_in) << c.rule.ShortDebugString();
}

TEST(Ingress, NamesFieldValueAndRule) {
  v1::SecurityGroup group;
  *group.add_ingress() = Rule(static_cast<v1::IpProtocol>(9), 0, 80);
  *group.add_ingress() = Rule(v1::IP_PROTOCOL_TCP, 70000, 0);
  *group.add_ingress() = Rule(v1::IP_PROTOCOL_TCP, 90, 80);
  group.mutable_ingress(2)->add_cidrs("10.0.0.1/8");
  group.mutable_ingress(2)->set_description("a\nb");
  std::vector<std::string> told;
  for (const FieldFault& fault : CheckIngress(group, kCidrsARule))
    told.push_back(fault.field + ": " + fault.value.value_or("") + " " + fault.rule);
  EXPECT_EQ(told, (std::vector<std::string>{
                      "ingress[0].ip_protocol:  9 is not a protocol",
                      "ingress[0].from_port:  must be given with to_port 80; without both the rule "
                      "is for all ports",
                      "ingress[1].from_port:  70000 is not within 1-65535, or 0 for all ports",
                      "ingress[2].to_port:  80 is below from_port 90",
                      "ingress[2].cidrs[0]: 10.0.0.1/8 has bits behind its prefix: 10.0.0.0/8 is "
                      "meant",
                      "ingress[2].description: a\nb has a control character"}));
}

TEST(Ingress, IsBounded) {
  v1::SecurityGroup group;
  for (int i = 0; i <= kRulesASecurityGroup; ++i) group.add_ingress()->add_cidrs("10.0.0.1");
  for (int i = 0; i <= kCidrsARule; ++i) group.mutable_ingress(0)->add_cidrs("10.0.0.1");
  for (int i = 0; i <= kSourceGroupsARule; ++i) group.mutable_ingress(1)->add_security_groups("a");
  std::vector<std::string> fields;
  for (const FieldFault& fault : CheckIngress(group, kCidrsARule)) fields.push_back(fault.field);
  EXPECT_EQ(fields, (std::vector<std::string>{"ingress", "ingress[0].cidrs",
                                              "ingress[1].security_groups"}));
}

}  // namespace
}  // namespace remuda::traffic
