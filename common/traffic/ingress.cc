#include "common/traffic/ingress.h"

#include <algorithm>

#include "remuda/v1/security_group.pb.h"

namespace remuda::traffic {
namespace {

constexpr int kMaxPort = 65535;

std::string In(std::string_view list, int index) {
  return std::string(list) + "[" + std::to_string(index) + "]";
}

void CheckCount(const std::string& field, int count, int max, FieldFaults& out) {
  if (count <= max) return;
  out.push_back({field, std::nullopt,
                 "has " + std::to_string(count) + " entries, at most " + std::to_string(max)});
}

void CheckPorts(const std::string& at, const v1::IngressRule& rule, FieldFaults& out) {
  const int from = rule.from_port(), to = rule.to_port();
  if (from < 0 || from > kMaxPort) {
    out.push_back({at + ".from_port", std::nullopt,
                   std::to_string(from) + " is not within 1-65535, or 0 for all ports"});
  } else if (to < 0 || to > kMaxPort) {
    out.push_back({at + ".to_port", std::nullopt, std::to_string(to) + " is not within 1-65535"});
  } else if (from == 0 && to != 0) {
    out.push_back({at + ".from_port", std::nullopt,
                   "must be given with to_port " + std::to_string(to) +
                       "; without both the rule is for all ports"});
  } else if (to != 0 && to < from) {
    out.push_back({at + ".to_port", std::nullopt,
                   std::to_string(to) + " is below from_port " + std::to_string(from)});
  }
}

void CheckText(const std::string& field, const std::string& text, FieldFaults& out) {
  if (text.size() > kIngressDescriptionBytes) {
    out.push_back({field, std::nullopt,
                   "has " + std::to_string(text.size()) + " bytes, at most " +
                       std::to_string(kIngressDescriptionBytes)});
  }
  const bool is_plain = std::none_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (!is_plain) out.push_back({field, text, "has a control character"});
}

void CheckRule(const std::string& at, const v1::IngressRule& rule, int max_cidrs,
               FieldFaults& out) {
  if (!v1::IpProtocol_IsValid(rule.ip_protocol())) {
    out.push_back({at + ".ip_protocol", std::nullopt,
                   std::to_string(rule.ip_protocol()) + " is not a protocol"});
  }
  CheckPorts(at, rule, out);
  CheckCount(at + ".cidrs", rule.cidrs_size(), max_cidrs, out);
  for (int i = 0; i < rule.cidrs_size() && i < max_cidrs; ++i) {
    Cidr block;
    if (std::string fault = ParseBlock(rule.cidrs(i), block); !fault.empty())
      out.push_back({at + "." + In("cidrs", i), rule.cidrs(i), std::move(fault)});
  }
  CheckCount(at + ".security_groups", rule.security_groups_size(), kSourceGroupsARule, out);
  CheckText(at + ".description", rule.description(), out);
}

}  // namespace

FieldFaults CheckIngress(const v1::SecurityGroup& group, int max_cidrs) {
  FieldFaults out;
  CheckCount("ingress", group.ingress_size(), kRulesASecurityGroup, out);
  for (int i = 0; i < group.ingress_size() && i < kRulesASecurityGroup; ++i)
    CheckRule(In("ingress", i), group.ingress(i), max_cidrs, out);
  CheckText("description", group.description(), out);
  return out;
}

bool LetsIn(const v1::IngressRule& rule, bool is_udp, int port) {
  const bool is_wanted = rule.ip_protocol() == v1::IP_PROTOCOL_ALL ||
                         is_udp == (rule.ip_protocol() == v1::IP_PROTOCOL_UDP);
  if (!is_wanted) return false;
  if (rule.from_port() == 0) return true;
  return port >= rule.from_port() && port <= std::max(rule.from_port(), rule.to_port());
}

void AddBlocks(const v1::IngressRule& rule, std::vector<Cidr>& out) {
  for (const std::string& text : rule.cidrs()) {
    Cidr block;
    if (ParseBlock(text, block).empty()) out.push_back(block);
  }
}

}  // namespace remuda::traffic
