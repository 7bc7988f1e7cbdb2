#include "proxy/core/rule_index.h"

#include <algorithm>

#include "proxy/core/condition.h"
#include "proxy/core/fault.h"
#include "proxy/core/query.h"
#include "proxy/core/wildcard.h"
#include "proxy/http/chars.h"

namespace remuda::proxy {

size_t RuleIndex::NamedTexts::BucketOf(std::string_view name) {
  if (name.empty()) return 0;
  const auto first = static_cast<uint8_t>(http::Lower(name.front()));
  const auto last = static_cast<uint8_t>(http::Lower(name.back()));
  return (name.size() * 7 + first * 31U + last) % kBuckets;
}

TextIndex& RuleIndex::NamedTexts::Make(std::string_view name) {
  for (Entry& entry : entries_) {
    if (http::EqualsIgnoreCase(entry.name, name)) return *entry.texts;
  }
  entries_.push_back({LowerCase(name), BucketOf(name),
                      std::make_unique<TextIndex>(AffixIndex::Side::kFront, true)});
  return *entries_.back().texts;
}

void RuleIndex::NamedTexts::Build() {
  std::stable_sort(entries_.begin(), entries_.end(),
                   [](const Entry& a, const Entry& b) { return a.bucket < b.bucket; });
  for (const Entry& entry : entries_) {
    entry.texts->Build();
    for (size_t bucket = entry.bucket + 1; bucket <= kBuckets; ++bucket) ++starts_[bucket];
  }
}

const TextIndex* RuleIndex::NamedTexts::Find(std::string_view name) const {
  const size_t bucket = BucketOf(name);
  for (size_t i = starts_[bucket]; i < starts_[bucket + 1]; ++i) {
    if (http::EqualsIgnoreCase(entries_[i].name, name)) return entries_[i].texts.get();
  }
  return nullptr;
}

RuleIndex::RuleIndex(const std::vector<Rule>& rules) : left_(rules.size()) {
  for (size_t rule = 0; rule < rules.size(); ++rule) {
    all_.Add(rule);
    // Of each kind the first condition is looked up; a second one is judged with the candidates.
    std::array<bool, kKinds> has{};
    const std::vector<Condition>& conditions = rules[rule].conditions;
    for (size_t i = 0; i < conditions.size(); ++i) {
      bool& seen = has[static_cast<size_t>(conditions[i].kind)];
      const bool is_decided = !seen && AddCondition(conditions[i], rule);
      if (!is_decided) left_[rule].push_back(static_cast<uint8_t>(i));
      seen = true;
    }
    for (size_t kind = 0; kind < kKinds; ++kind) {
      if (!has[kind]) shares_[kind].others.Add(rule);
    }
  }
  hosts_.Build();
  paths_.Build();
  headers_.Build();
  parameters_.Build();
  any_parameter_.Build();
}

bool RuleIndex::AddCondition(const Condition& condition, size_t rule) {
  ShareOf(condition.kind).users.Add(rule);
  switch (condition.kind) {
    case Condition::Kind::kHost:
      return hosts_.Add(condition, rule);
    case Condition::Kind::kPath:
      return paths_.Add(condition, rule);
    case Condition::Kind::kHeader:
      return headers_.Make(condition.header_name).Add(condition, rule);
    case Condition::Kind::kMethod:
      return AddMethods(condition, rule);
    case Condition::Kind::kQuery:
      return AddQueries(condition, rule);
    case Condition::Kind::kSourceIp:
      break;  // a few integers: judged with the candidates
  }
  ShareOf(condition.kind).others.Add(rule);
  return false;
}

bool RuleIndex::AddMethods(const Condition& condition, size_t rule) {
  bool is_decided = true;
  for (const std::string& name : condition.values) {
    const http::Method method = http::MethodOf(name);
    methods_[static_cast<size_t>(method)].Add(rule);
    is_decided &= method != http::Method::kOther;
  }
  return is_decided;
}

bool RuleIndex::AddQueries(const Condition& condition, size_t rule) {
  const auto has_wildcard = [](const std::string& key) { return LiteralFront(key) != key; };
  const bool has_wild_key =
      std::any_of(condition.queries.begin(), condition.queries.end(),
                  [&](const auto& query) { return has_wildcard(query.first); });
  if (has_wild_key) {
    ShareOf(Condition::Kind::kQuery).others.Add(rule);
    return false;
  }
  bool is_decided = true;
  for (const auto& [key, value] : condition.queries) {
    TextIndex& texts = key.empty() ? any_parameter_ : parameters_.Make(key);
    is_decided &= texts.AddPattern(value, rule);
  }
  return is_decided;
}

RuleSet RuleIndex::HeaderRules(const http::RequestHead& head, const RuleSet& wanted) const {
  RuleSet found;
  for (const http::Field& field : head.fields) {
    if (const TextIndex* texts = headers_.Find(field.name))
      found |= texts->Find(field.value, wanted);
  }
  return found;
}

RuleSet RuleIndex::QueryRules(const http::RequestHead& head, const RuleSet& wanted) const {
  RuleSet found;
  if (!head.has_query) return found;
  QueryReader reader(head.query);
  QueryPair pair;
  while (reader.Next(pair)) {
    found |= any_parameter_.Find(pair.value, wanted);
    if (const TextIndex* texts = parameters_.Find(pair.key))
      found |= texts->Find(pair.value, wanted);
  }
  return found;
}

size_t RuleIndex::Match(const std::vector<Rule>& rules, const http::RequestHead& head,
                        const IpBytes& source) const {
  RuleSet candidates = all_;
  const auto keep = [&](Condition::Kind kind, auto find) {
    const Share& share = ShareOf(kind);
    if (!candidates.Intersects(share.users)) return;
    RuleSet found = find();
    found |= share.others;
    candidates &= found;
  };
  keep(Condition::Kind::kHost, [&] { return hosts_.Find(HostName(head.host), candidates); });
  keep(Condition::Kind::kMethod, [&] { return methods_[static_cast<size_t>(head.method)]; });
  keep(Condition::Kind::kPath, [&] { return paths_.Find(head.path, candidates); });
  keep(Condition::Kind::kHeader, [&] { return HeaderRules(head, candidates); });
  keep(Condition::Kind::kQuery, [&] { return QueryRules(head, candidates); });
  for (size_t rule = candidates.Next(0); rule < rules.size(); rule = candidates.Next(rule + 1)) {
    const bool holds = std::all_of(left_[rule].begin(), left_[rule].end(), [&](uint8_t condition) {
      return Holds(rules[rule].conditions[condition], head, source);
    });
    if (holds) return rule;
  }
  return rules.size();
}

}  // namespace remuda::proxy
