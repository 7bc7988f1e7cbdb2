// A listener's rules as they are compiled: what must hold of a request, and what is done with it
// then. Constant after compilation, shared by all workers (but for the turns of a forward action).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "proxy/core/target_state.h"

namespace remuda::proxy {

// An IPv4 (mapped) or IPv6 address, for source-ip conditions.
using IpBytes = std::array<uint8_t, 16>;
std::optional<IpBytes> ParseIp(const std::string& text);

struct ForwardAction {
  struct Choice {
    std::shared_ptr<GroupState> group;
    int64_t weight = 1;
  };
  std::vector<Choice> groups;
  // Who takes which turn, as indexes into `groups`: smooth weighted round robin over one cycle.
  // Empty if no group has a weight, of length 1 if one alone has.
  std::vector<uint8_t> turns;
  // How many turns were taken, by all workers. Kept over tables as long as groups and weights stay
  // as they are (KeepTurns).
  std::shared_ptr<std::atomic<uint64_t>> taken;
};

struct FixedResponse {
  int status = 200;
  std::string content_type;
  std::string body;
};

struct Redirect {
  int status = 302;
  std::string protocol, host, port, path, query;  // templates; empty: as it came
};

using RuleAction = std::variant<ForwardAction, FixedResponse, Redirect>;

struct Cidr {
  IpBytes address{};
  int prefix_bits = 0;  // over the 128 bits of the mapped form
};

struct Condition {
  enum class Kind : uint8_t { kHost, kPath, kHeader, kMethod, kQuery, kSourceIp };
  Kind kind = Kind::kPath;
  std::string header_name;
  std::vector<std::string> values;  // patterns, lower case where case does not count
  std::vector<std::pair<std::string, std::string>> queries;  // (key, value pattern), lower case
  std::vector<Cidr> sources;
};

struct Rule {
  int32_t priority = 0;  // 0: the default
  std::vector<Condition> conditions;
  RuleAction action;
};

}  // namespace remuda::proxy
