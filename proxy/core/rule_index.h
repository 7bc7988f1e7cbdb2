// Finds the first rule whose conditions hold without judging each rule: host, path, method, headers
// and query are each looked up once, which leaves few candidates; what a lookup has decided is not
// judged again. Constant once made; any thread; no allocation when asked.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/rule.h"
#include "proxy/core/rule_set.h"
#include "proxy/core/text_index.h"
#include "proxy/http/head_parser.h"

namespace remuda::proxy {

class RuleIndex {
 public:
  // `rules`: by priority, at most RuleSet::kMaxSize.
  explicit RuleIndex(const std::vector<Rule>& rules);

  // The place of the first rule whose conditions all hold; rules.size() if none does. `rules` are
  // those that it was made of.
  size_t Match(const std::vector<Rule>& rules, const http::RequestHead& head,
               const IpBytes& source) const;

 private:
  // Rules that have a condition of some kind, and those that a lookup cannot rule out.
  struct Share {
    RuleSet users;
    RuleSet others;
  };
  // Texts by name: headers, parameters of the query. Names are compared without case.
  class NamedTexts {
   public:
    TextIndex& Make(std::string_view name);
    const TextIndex* Find(std::string_view name) const;
    void Build();

   private:
    static constexpr size_t kBuckets = 64;
    static size_t BucketOf(std::string_view name);
    struct Entry {
      std::string name;  // in lower case
      size_t bucket;
      std::unique_ptr<TextIndex> texts;
    };
    std::vector<Entry> entries_;                   // by bucket, once built
    std::array<uint16_t, kBuckets + 1> starts_{};  // of each bucket in entries_
  };

  // Each returns whether its lookup decides the condition for good.
  bool AddCondition(const Condition& condition, size_t rule);
  bool AddMethods(const Condition& condition, size_t rule);
  bool AddQueries(const Condition& condition, size_t rule);
  Share& ShareOf(Condition::Kind kind) { return shares_[static_cast<size_t>(kind)]; }
  const Share& ShareOf(Condition::Kind kind) const { return shares_[static_cast<size_t>(kind)]; }

  RuleSet HeaderRules(const http::RequestHead& head, const RuleSet& wanted) const;
  RuleSet QueryRules(const http::RequestHead& head, const RuleSet& wanted) const;

  static constexpr size_t kKinds = static_cast<size_t>(Condition::Kind::kSourceIp) + 1;
  static constexpr size_t kMethods = static_cast<size_t>(http::Method::kConnect) + 1;

  RuleSet all_;
  std::array<Share, kKinds> shares_;
  TextIndex hosts_{AffixIndex::Side::kBack, true};
  TextIndex paths_{AffixIndex::Side::kFront, false};
  std::array<RuleSet, kMethods> methods_;
  NamedTexts headers_;
  NamedTexts parameters_;
  TextIndex any_parameter_{AffixIndex::Side::kFront, true};
  // The conditions of each rule that are left to be judged when it is a candidate.
  std::vector<std::vector<uint8_t>> left_;
};

}  // namespace remuda::proxy
