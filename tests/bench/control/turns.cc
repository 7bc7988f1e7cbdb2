#include "tests/bench/control/turns.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace remuda::bench {
namespace {

constexpr char kTurns[] = "remuda_controller_turn_seconds";

}  // namespace

double MetricOf(const std::string& page, const std::string& name) {
  const std::string line = "\n" + name + " ";
  const size_t at = page.find(line);
  if (at == std::string::npos) throw std::runtime_error(name + " is not on the page");
  return std::atof(page.c_str() + at + line.size());
}

Turns Turns::Of(const std::string& page) {
  Turns turns;
  const std::string name = kTurns;
  turns.count = static_cast<int64_t>(MetricOf(page, name + "_count"));
  turns.sum_seconds = MetricOf(page, name + "_sum");
  turns.longest_seconds = MetricOf(page, "remuda_controller_turn_max_seconds");
  const std::string bucket = "\n" + name + "_bucket{le=\"";
  for (size_t at = page.find(bucket); at != std::string::npos; at = page.find(bucket, at + 1)) {
    const char* const bound = page.c_str() + at + bucket.size();
    if (*bound == '+') continue;
    turns.up_to[std::atof(bound)] = std::atoll(page.c_str() + page.find("} ", at) + 2);
  }
  return turns;
}

double LongestBetween(const Turns& before, const Turns& after) {
  if (after.longest_seconds > before.longest_seconds) return after.longest_seconds;
  const int64_t turns = after.count - before.count;
  for (const auto& [bound, count] : after.up_to) {
    const auto it = before.up_to.find(bound);
    if (count - (it == before.up_to.end() ? 0 : it->second) >= turns)
      return std::min(bound, after.longest_seconds);
  }
  return after.longest_seconds;
}

}  // namespace remuda::bench
