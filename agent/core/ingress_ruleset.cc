#include "agent/core/ingress_ruleset.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>
#include <utility>

#include "common/traffic/cidr.h"
#include "common/traffic/ingress.h"

namespace remuda::agent {
namespace {

using traffic::Cidr;

std::vector<Cidr> BlocksFor(const v1::IngressFilter& filter, int port, bool is_udp) {
  std::vector<Cidr> out;
  for (const auto& rule : filter.rules()) {
    if (traffic::LetsIn(rule, is_udp, port)) traffic::AddBlocks(rule, out);
  }
  return traffic::Merged(std::move(out));
}

void AddAccept(const char* family, const std::vector<Cidr>& blocks, bool is_v4, std::string& out) {
  std::string list;
  for (const Cidr& block : blocks) {
    if (block.is_v4() != is_v4) continue;
    absl::StrAppend(&list, list.empty() ? "" : ", ", traffic::CidrText(block));
  }
  if (!list.empty()) absl::StrAppend(&out, "    ", family, " saddr { ", list, " } accept\n");
}

// Chains that let some blocks in and drop the rest; ports with the same blocks share one.
class Chains {
 public:
  // Its name.
  std::string For(const std::vector<Cidr>& blocks) {
    const auto [it, is_new] = names_.try_emplace(blocks);
    if (is_new) {
      it->second = absl::StrCat("allow_", names_.size());
      blocks_ += blocks.size();
    }
    return it->second;
  }
  size_t blocks() const { return blocks_; }
  std::string Text() const {
    std::string out;
    for (const auto& [blocks, name] : names_) {
      absl::StrAppend(&out, "  chain ", name, " {\n");
      AddAccept("ip", blocks, true, out);
      AddAccept("ip6", blocks, false, out);
      absl::StrAppend(&out, "    drop\n  }\n");
    }
    return out;
  }

 private:
  std::map<std::vector<Cidr>, std::string> names_;
  size_t blocks_ = 0;
};

std::string Jumps(const std::map<int, std::string>& chains) {
  std::string out;
  for (const auto& [port, chain] : chains)
    absl::StrAppend(&out, out.empty() ? "" : ", ", port, " : jump ", chain);
  return out;
}

// What is there of it goes, whether it was there or not.
std::string Removal(const std::string& table) {
  return absl::StrCat("table inet ", table, "\ndelete table inet ", table, "\n");
}

}  // namespace

std::string TableName(std::string_view host) {
  std::string out = absl::StrCat("remuda_", std::string(host));
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

std::string RulesetFor(const std::string& table, const std::vector<FilteredPort>& ports,
                       std::string& error) {
  error.clear();
  Chains chains;
  std::map<int, std::string> tcp, udp;
  for (const FilteredPort& filtered : ports) {
    tcp[filtered.port] = chains.For(BlocksFor(*filtered.filter, filtered.port, false));
    udp[filtered.port] = chains.For(BlocksFor(*filtered.filter, filtered.port, true));
  }
  if (chains.blocks() > kMaxRulesetBlocks) {
    error =
        absl::StrCat("the instances' filters have ", chains.blocks(),
                     " blocks of addresses, at most ", kMaxRulesetBlocks, " (kMaxRulesetBlocks)");
    return "";
  }
  std::string out = Removal(table);
  if (ports.empty()) return out;
  absl::StrAppend(&out, "table inet ", table, " {\n", chains.Text(),
                  "  chain input {\n"
                  "    type filter hook input priority filter; policy accept;\n"
                  "    iifname \"lo\" accept\n"
                  "    tcp flags & (syn | ack) == syn tcp dport vmap { ",
                  Jumps(tcp), " }\n    udp dport vmap { ", Jumps(udp), " }\n  }\n}\n");
  return out;
}

std::string RulesetToTry(const std::string& table) {
  v1::IngressFilter filter;
  auto& rule = *filter.add_rules();
  for (const char* block : {"192.0.2.0/24", "198.51.100.1", "2001:db8::/32"}) rule.add_cidrs(block);
  std::string error;
  return RulesetFor(table, {{.port = 1, .filter = &filter}, {.port = 2, .filter = &filter}}, error);
}

std::string WrongWithFilter(const v1::IngressFilter& filter) {
  size_t blocks = 0;
  for (int i = 0; i < filter.rules_size(); ++i) {
    const auto& rule = filter.rules(i);
    const std::string at = absl::StrCat("ingress_filter.rules[", i, "]");
    if (!rule.security_groups().empty())
      return absl::StrCat(at, ".security_groups: an agent knows addresses alone");
    for (const std::string& text : rule.cidrs()) {
      Cidr block;
      if (std::string fault = traffic::ParseBlock(text, block); !fault.empty())
        return absl::StrCat(at, ".cidrs: \"", text, "\" ", fault);
    }
    blocks += static_cast<size_t>(rule.cidrs_size());
  }
  if (blocks <= kMaxFilterBlocks) return "";
  return absl::StrCat("ingress_filter.rules: ", blocks, " blocks of addresses, at most ",
                      kMaxFilterBlocks);
}

}  // namespace remuda::agent
