// What a host's firewall is told of the ports of instances: a table of nftables that is ours alone,
// as text for `nft -f -`.
//
// Only what begins is judged: a TCP connection by its SYN, UDP by each packet. So connections that
// are open go on whatever the rules become, and nothing is tracked. What comes by the loopback
// interface, as all that the host sends to itself does, is let in. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "remuda/agent/v1/agent.pb.h"

namespace remuda::agent {

// Blocks of addresses of one table, over all ports; those that several ports share count once.
inline constexpr size_t kMaxRulesetBlocks = 65'536;
// Of one instance (agent.proto: IngressFilter.rules).
inline constexpr size_t kMaxFilterBlocks = 4'096;

// The port of an instance, and who may reach it. `filter` outlives the call.
struct FilteredPort {
  int port = 0;
  const v1::IngressFilter* filter = nullptr;
};

// Our table on the host of that name: `remuda_h1`. Agents of one network namespace have one each.
std::string TableName(std::string_view host);

// Puts the table in the place of the one before, in one transaction; without ports the table goes.
// Nothing where `error` is set: it would have more blocks than it may.
std::string RulesetFor(const std::string& table, const std::vector<FilteredPort>& ports,
                       std::string& error);

// A table with all that RulesetFor uses, to be checked and not applied.
std::string RulesetToTry(const std::string& table);

// What is wrong with a filter; empty: nothing.
std::string WrongWithFilter(const v1::IngressFilter& filter);

}  // namespace remuda::agent
