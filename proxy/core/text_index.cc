#include "proxy/core/text_index.h"

#include <algorithm>

#include "proxy/core/wildcard.h"
#include "proxy/http/chars.h"

namespace remuda::proxy {
namespace {

// FNV-1a. What a client sends is only looked up, so it cannot make a bad table.
constexpr uint64_t kHashSeed = 14695981039346656037ULL;
constexpr uint64_t Mix(uint64_t hash, char c) {
  return (hash ^ static_cast<uint8_t>(c)) * 1099511628211ULL;
}
constexpr size_t SlotOf(uint64_t hash, size_t slots) {
  return static_cast<size_t>(hash ^ (hash >> 32)) & (slots - 1);
}

}  // namespace

char AffixIndex::At(std::string_view text, size_t i) const {
  const char c = side_ == Side::kFront ? text[i] : text[text.size() - 1 - i];
  return lower_ ? http::Lower(c) : c;
}

const AffixIndex::Entry* AffixIndex::Lookup(uint64_t hash, std::string_view text,
                                            size_t size) const {
  for (size_t slot = SlotOf(hash, slots_.size()); slots_[slot] != 0;
       slot = (slot + 1) & (slots_.size() - 1)) {
    const Entry& entry = entries_[slots_[slot] - 1U];
    if (entry.hash != hash || entry.literal.size() != size) continue;
    size_t same = 0;
    while (same < size && At(entry.literal, same) == At(text, same)) ++same;
    if (same == size) return &entry;
  }
  return nullptr;
}

void AffixIndex::Add(std::string_view literal, bool is_whole, size_t rule) {
  Entry* entry = &empty_;
  if (!literal.empty()) {
    uint64_t hash = kHashSeed;
    for (size_t i = 0; i < literal.size(); ++i) hash = Mix(hash, At(literal, i));
    const Entry* found = slots_.empty() ? nullptr : Lookup(hash, literal, literal.size());
    if (found == nullptr) {
      entries_.push_back({std::string(literal), hash, {}, {}});
      lengths_.set(literal.size());
      max_length_ = std::max(max_length_, literal.size());
      Rehash();
      found = &entries_.back();
    }
    entry = &entries_[static_cast<size_t>(found - entries_.data())];
  }
  (is_whole ? entry->whole : entry->affix).Add(rule);
}

void AffixIndex::Rehash() {
  size_t size = 4;
  while (size < entries_.size() * 2) size *= 2;
  slots_.assign(size, 0);
  for (size_t i = 0; i < entries_.size(); ++i) {
    size_t slot = SlotOf(entries_[i].hash, size);
    while (slots_[slot] != 0) slot = (slot + 1) & (size - 1);
    slots_[slot] = static_cast<uint16_t>(i + 1);
  }
}

RuleSet AffixIndex::Find(std::string_view text) const {
  RuleSet found = empty_.affix;
  if (text.empty()) found |= empty_.whole;
  const size_t end = std::min(text.size(), max_length_);
  uint64_t hash = kHashSeed;
  for (size_t i = 0; i < end; ++i) {
    hash = Mix(hash, At(text, i));
    if (!lengths_[i + 1]) continue;
    const Entry* entry = Lookup(hash, text, i + 1);
    if (entry == nullptr) continue;
    found |= entry->affix;
    if (i + 1 == text.size()) found |= entry->whole;
  }
  return found;
}

bool TextIndex::AddPattern(std::string_view compiled, size_t rule) {
  const bool is_front = side_ == AffixIndex::Side::kFront;
  const std::string_view literal = is_front ? LiteralFront(compiled) : LiteralBack(compiled);
  const bool is_whole = literal.size() == compiled.size();
  affixes_.Add(literal, is_whole, rule);
  // A literal and one run behind (before) it says no more than the literal itself.
  const std::string_view rest = is_front ? compiled.substr(literal.size())
                                         : compiled.substr(0, compiled.size() - literal.size());
  return is_whole || rest == std::string_view(&kAnyRun, 1);
}

bool TextIndex::Add(const std::vector<std::string>& patterns,
                    const std::vector<std::shared_ptr<const Regex>>& regexes, size_t rule) {
  bool decides = true;
  for (const std::string& pattern : patterns) decides &= AddPattern(pattern, rule);
  for (const auto& regex : regexes) regexes_.emplace_back(regex, rule);
  return decides;
}

std::unique_ptr<TextIndex::Node> TextIndex::MakeNode(size_t first, size_t last) const {
  if (first == last) return nullptr;
  auto node = std::make_unique<Node>();
  std::vector<std::shared_ptr<const Regex>> regexes;
  for (size_t i = first; i < last; ++i) {
    node->rules.Add(regexes_[i].second);
    regexes.push_back(regexes_[i].first);
  }
  if (last - first == 1) {
    node->regex = regexes.front().get();
    return node;
  }
  node->all = std::make_unique<RegexUnion>(regexes);
  const size_t middle = first + (last - first) / 2;
  node->left = MakeNode(first, middle);
  node->right = MakeNode(middle, last);
  return node;
}

void TextIndex::FindIn(const Node& node, std::string_view text, const RuleSet& wanted,
                       RuleSet& out) {
  if (!wanted.Intersects(node.rules)) return;
  if (node.regex != nullptr) {
    if (node.regex->MatchesWhole(text)) out |= node.rules;
    return;
  }
  if (!node.all->MayMatch(text)) return;
  FindIn(*node.left, text, wanted, out);
  FindIn(*node.right, text, wanted, out);
}

RuleSet TextIndex::Find(std::string_view text, const RuleSet& wanted) const {
  RuleSet found = affixes_.Find(text);
  if (tree_ != nullptr) FindIn(*tree_, text, wanted, found);
  return found;
}

}  // namespace remuda::proxy
