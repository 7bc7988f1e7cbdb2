// Which rules a text may meet, for many patterns at a time. Constant after Build; any thread; no
// allocation when asked.
#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/core/regex.h"
#include "proxy/core/rule.h"
#include "proxy/core/rule_set.h"

namespace remuda::proxy {

// Finds literals that a text begins (or ends) with, in one pass over as many bytes of it as the
// longest literal has: a running hash is looked up wherever a literal of that length exists.
class AffixIndex {
 public:
  enum class Side : uint8_t { kFront, kBack };
  AffixIndex(Side side, bool lower) : side_(side), lower_(lower) {}

  // At most kMaxPatternBytes. `is_whole`: the text must be the literal, not only begin with it.
  void Add(std::string_view literal, bool is_whole, size_t rule);
  RuleSet Find(std::string_view text) const;

 private:
  struct Entry {
    std::string literal;
    uint64_t hash = 0;
    RuleSet affix;  // rules that need the literal at the side
    RuleSet whole;  // rules that need nothing else
  };
  char At(std::string_view text, size_t i) const;
  const Entry* Lookup(uint64_t hash, std::string_view text, size_t size) const;
  void Rehash();

  const Side side_;
  const bool lower_;
  Entry empty_;
  std::vector<Entry> entries_;
  std::vector<uint16_t> slots_;  // index + 1 into entries_; 0: free. A power of two.
  std::bitset<kMaxPatternBytes + 1> lengths_;
  size_t max_length_ = 0;
};

// One kind of text (host, path, one header's values): its patterns and its regexes.
class TextIndex {
 public:
  TextIndex(AffixIndex::Side side, bool lower) : affixes_(side, lower), side_(side) {}

  // Adds the values of one condition of `rule`. Returns whether Find alone decides the condition;
  // otherwise it says "maybe".
  bool Add(const Condition& condition, size_t rule) {
    return Add(condition.values, condition.regexes, rule);
  }
  // A single compiled pattern.
  bool AddPattern(std::string_view compiled, size_t rule);
  // Call once all is added.
  void Build() { tree_ = MakeNode(0, regexes_.size()); }

  // Every rule of `wanted` with a value that matches `text`, and perhaps rules whose patterns only
  // might.
  RuleSet Find(std::string_view text, const RuleSet& wanted) const;

 private:
  // Half of the half ... of the regexes: most of them are ruled out by a few passes.
  struct Node {
    RuleSet rules;
    std::unique_ptr<RegexUnion> all;  // null: a leaf
    const Regex* regex = nullptr;
    std::unique_ptr<Node> left, right;
  };
  bool Add(const std::vector<std::string>& patterns,
           const std::vector<std::shared_ptr<const Regex>>& regexes, size_t rule);
  std::unique_ptr<Node> MakeNode(size_t first, size_t last) const;
  static void FindIn(const Node& node, std::string_view text, const RuleSet& wanted, RuleSet& out);

  AffixIndex affixes_;
  const AffixIndex::Side side_;
  std::vector<std::pair<std::shared_ptr<const Regex>, size_t>> regexes_;  // (regex, rule)
  std::unique_ptr<Node> tree_;                                            // null: no regexes
};

}  // namespace remuda::proxy
