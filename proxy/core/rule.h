// A listener's rules as they are compiled: what must hold of a request, and what is done with it
// then. Constant after compilation, shared by all workers (but for the turns of a forward action).
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/traffic/cidr.h"
#include "common/traffic/redirect.h"
#include "proxy/core/target_state.h"

namespace remuda::proxy {

class Regex;
struct Rewrites;

// The bounds of rules, with the names that errors use.
inline constexpr int kMaxRules = 100;
inline constexpr int kMaxPriority = 50000;
inline constexpr int kMaxConditions = 5;
inline constexpr int kMaxConditionValues = 5;
inline constexpr int kMaxForwardGroups = 5;
inline constexpr int kMaxGroupWeight = 999;
inline constexpr size_t kMaxPatternBytes = 128;
inline constexpr size_t kMaxMethodNameBytes = 40;
inline constexpr size_t kMaxRegexBytes = 512;

// An IPv4 (mapped) or IPv6 address, for source-ip conditions.
using traffic::IpBytes;
std::optional<IpBytes> ParseIp(const std::string& text);

struct ForwardAction {
  struct Choice {
    std::shared_ptr<GroupState> group;
    int64_t weight = 1;
  };
  std::vector<Choice> groups;
  // A client stays with its group for so long after each response; 0: it does not.
  std::chrono::seconds stickiness{0};
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

using traffic::Redirect;
using traffic::Template;
using traffic::TemplatePart;

using RuleAction = std::variant<ForwardAction, FixedResponse, Redirect>;

using traffic::Cidr;

// Exactly one kind; any of its values will do.
struct Condition {
  enum class Kind : uint8_t { kHost, kPath, kHeader, kMethod, kQuery, kSourceIp };
  Kind kind = Kind::kPath;
  std::string header_name;
  // Compiled patterns (wildcard.h), in lower case where case does not count; of methods, names.
  std::vector<std::string> values;
  std::vector<std::shared_ptr<const Regex>> regexes;  // for the whole text; instead of `values`
  std::vector<std::pair<std::string, std::string>> queries;  // compiled (key, value) patterns
  std::vector<Cidr> sources;
};

struct Rule {
  int32_t priority = 0;  // 0: the default
  std::vector<Condition> conditions;
  RuleAction action;
  std::shared_ptr<const Rewrites> rewrites = {};  // null: what is forwarded is as it came
};

}  // namespace remuda::proxy
