// Commands on one rule of a listener, and on the order of several.
#include <absl/strings/match.h>

#include <algorithm>
#include <map>
#include <set>

#include "controller/core/door/begin_shift.h"
#include "controller/core/door/done.h"
#include "controller/core/door/field_mask.h"
#include "controller/core/door/parts.h"
#include "controller/core/door/prepare.h"

namespace remuda::core {
namespace {

const std::vector<std::string_view>& RuleReadOnly() {
  static const auto* const kFields = new std::vector<std::string_view>{"name", "etag"};
  return *kFields;
}

FieldPath RulesAt(int listener) { return FieldPath("listeners")[listener] / "rules"; }

// That no other rule of the listener has the priority.
void CheckPriority(Violations& out, const v1::Listener& listener, int index) {
  const int priority = listener.rules(index).priority();
  for (int i = 0; i < listener.rules_size(); ++i) {
    if (i == index || listener.rules(i).priority() != priority) continue;
    out.AddTaken(FieldPath("rule.priority"), absl::StrCat(priority, " is the priority of ",
                                                          listener.rules(i).name(), " already"));
  }
}

v1::Rule AnswerRule(const Draft& draft, const Part& part) {
  v1::Rule out = draft.Find<v1::LoadBalancer>(part.row.id)
                     ->listeners(part.listener_index)
                     .rules(part.rule_index);
  out.set_etag(EtagOf(out));
  return out;
}

// The listener's rules that a request names, each once and as its etag says; by their index.
absl::StatusOr<std::vector<int>> FindRules(const v1::Listener& listener,
                                           const v1::SetRulePrioritiesRequest& request) {
  const FieldPath at("priorities");
  Violations violations;
  CheckCount(violations, at, request.priorities_size(), 1, limits::kRulesAListener);
  std::map<std::string, int> by_name;
  for (int i = 0; i < listener.rules_size(); ++i) by_name.emplace(listener.rules(i).name(), i);
  std::vector<int> found;
  std::set<int> seen;
  absl::Status etag;
  for (int i = 0; i < request.priorities_size(); ++i) {
    const v1::RulePriority& wish = request.priorities(i);
    const FieldPath here = at[i] / "rule";
    const std::optional<std::string> name =
        PartNameFrom(violations, here, absl::StrCat(listener.name(), "/rules/"), wish.rule());
    CheckRange(violations, at[i] / "priority", wish.priority(), 1, limits::kMaxPriority);
    if (!name.has_value()) continue;
    const auto it = by_name.find(*name);
    if (it == by_name.end()) {
      violations.Add(here, absl::StrCat("there is no ", *name));
      continue;
    }
    if (!seen.insert(it->second).second)
      violations.Add(here, absl::StrCat(*name, " is named twice"));
    if (etag.ok()) etag = CheckPartEtag(*name, EtagOf(listener.rules(it->second)), wish.etag());
    found.push_back(it->second);
  }
  if (!violations.empty()) return violations.ToStatus();
  if (!etag.ok()) return etag;
  return found;
}

// That each priority is there once, of those that changed and the rest.
absl::Status CheckPriorities(const v1::Listener& listener, const std::vector<int>& changed) {
  Violations violations;
  std::map<int, const v1::Rule*> by_priority;
  for (int i = 0; i < listener.rules_size(); ++i) {
    if (std::find(changed.begin(), changed.end(), i) == changed.end())
      by_priority.emplace(listener.rules(i).priority(), &listener.rules(i));
  }
  for (size_t i = 0; i < changed.size(); ++i) {
    const v1::Rule& rule = listener.rules(changed[i]);
    const auto [other, is_new] = by_priority.emplace(rule.priority(), &rule);
    if (is_new) continue;
    violations.Add(
        FieldPath("priorities")[static_cast<int>(i)] / "priority",
        absl::StrCat(rule.priority(), " would be the priority of ", other->second->name(), " too"));
  }
  return violations.ToStatus();
}

}  // namespace

absl::StatusOr<v1::Rule> Execute(Draft& draft, const v1::CreateRuleRequest& request,
                                 const Context& context) {
  absl::StatusOr<Part> part = FindListener(draft, "parent", request.parent());
  if (!part.ok()) return part.status();
  const v1::Listener& before = part->listener();
  Violations violations;
  const std::string name =
      NewPartName(violations, absl::StrCat(before.name(), "/rules/"), FieldPath("rule_id"),
                  request.rule_id(), FieldPath("rule.name"), request.rule().name());
  for (const v1::Rule& rule : before.rules()) {
    if (rule.name() == name)
      return AlreadyExists(name, "exists already; update it, or take another name");
  }
  part->rule_index = before.rules_size();
  if (part->rule_index >= limits::kRulesAListener) {
    return LimitExceeded("rules_a_listener",
                         absl::StrCat(before.name(), ": it has ", part->rule_index,
                                      " rules already, as many as it may have"));
  }
  v1::LoadBalancer value = *part->row.value;
  v1::Listener& listener = *value.mutable_listeners(part->listener_index);
  *listener.add_rules() = request.rule();
  listener.mutable_rules(part->rule_index)->set_name(name);
  CheckPriority(violations, listener, part->rule_index);
  if (!violations.empty()) return violations.ToStatus();
  const FieldPath rules = RulesAt(part->listener_index);
  if (!PrepareWithPart(violations, rules[part->rule_index], FieldPath("rule"), draft,
                       *part->row.value, context, value)
           .ok()) {
    // That the listener takes none.
    violations.Rename(rules, FieldPath("parent"));
    return violations.ToStatus();
  }
  NoteDone(draft, context,
           {.resource = value.name(),
            .description = absl::StrCat("Created ", listener.rules(part->rule_index).name())});
  draft.Put(part->row.id, std::move(value));
  return AnswerRule(draft, *part);
}

absl::StatusOr<v1::Rule> Execute(Draft& draft, const v1::UpdateRuleRequest& request,
                                 const Context& context) {
  const v1::Rule& wish = request.rule();
  const auto part = FindRule(draft, "rule.name", wish.name());
  if (!part.ok()) return part.status();
  Violations violations;
  CheckMask(violations, FieldPath("update_mask"), request.update_mask(), wish, RuleReadOnly());
  if (!violations.empty()) return violations.ToStatus();
  const v1::Rule& before = part->rule();
  if (absl::Status etag = CheckPartEtag(before.name(), EtagOf(before), wish.etag()); !etag.ok())
    return etag;
  v1::LoadBalancer value = *part->row.value;
  v1::Listener& listener = *value.mutable_listeners(part->listener_index);
  v1::Rule& rule = *listener.mutable_rules(part->rule_index);
  if (TakesAll(request.update_mask())) {
    rule = wish;
    rule.set_name(before.name());
  } else {
    CopyMasked(request.update_mask(), wish, rule);
  }
  CheckPriority(violations, listener, part->rule_index);
  if (!violations.empty()) return violations.ToStatus();
  if (absl::Status right =
          PrepareWithPart(violations, RulesAt(part->listener_index)[part->rule_index],
                          FieldPath("rule"), draft, *part->row.value, context, value);
      !right.ok()) {
    return right;
  }
  const std::vector<std::string> changes = Differences(before, rule);
  if (!changes.empty()) {
    NoteDone(draft, context,
             {.resource = value.name(),
              .description = absl::StrCat("Updated ", before.name(), ": ", Joined(changes))});
    draft.Put(part->row.id, std::move(value));
  }
  return AnswerRule(draft, *part);
}

absl::StatusOr<Empty> Execute(Draft& draft, const v1::DeleteRuleRequest& request,
                              const Context& context) {
  const auto part = FindRule(draft, "name", request.name());
  if (!part.ok()) return part.status();
  const v1::Rule& rule = part->rule();
  if (absl::Status etag = CheckPartEtag(rule.name(), EtagOf(rule), request.etag()); !etag.ok())
    return etag;
  v1::LoadBalancer value = *part->row.value;
  value.mutable_listeners(part->listener_index)
      ->mutable_rules()
      ->DeleteSubrange(part->rule_index, 1);
  Violations violations;
  CheckShiftsKept(violations, FieldPath("name"), draft, part->row.id, *part->row.value, value);
  if (!violations.empty()) return violations.ToStatus();
  NoteDone(draft, context,
           {.resource = value.name(), .description = absl::StrCat("Deleted ", rule.name())});
  draft.Put(part->row.id, std::move(value));
  return Empty();
}

absl::StatusOr<v1::SetRulePrioritiesResponse> Execute(Draft& draft,
                                                      const v1::SetRulePrioritiesRequest& request,
                                                      const Context& context) {
  const auto part = FindListener(draft, "listener", request.listener());
  if (!part.ok()) return part.status();
  const absl::StatusOr<std::vector<int>> found = FindRules(part->listener(), request);
  if (!found.ok()) return found.status();
  v1::LoadBalancer value = *part->row.value;
  v1::Listener& listener = *value.mutable_listeners(part->listener_index);
  std::vector<std::string> changes;
  for (size_t i = 0; i < found->size(); ++i) {
    v1::Rule& rule = *listener.mutable_rules((*found)[i]);
    const int priority = request.priorities(static_cast<int>(i)).priority();
    if (rule.priority() != priority) {
      changes.push_back(absl::StrCat("rules/", std::string(IdOf(rule.name())), " ", rule.priority(),
                                     " -> ", priority));
    }
    rule.set_priority(priority);
  }
  if (absl::Status right = CheckPriorities(listener, *found); !right.ok()) return right;
  v1::SetRulePrioritiesResponse response;
  *response.mutable_rules() = listener.rules();
  std::sort(response.mutable_rules()->begin(), response.mutable_rules()->end(),
            [](const v1::Rule& a, const v1::Rule& b) { return a.priority() < b.priority(); });
  for (v1::Rule& rule : *response.mutable_rules()) rule.set_etag(EtagOf(rule));
  if (changes.empty()) return response;
  NoteDone(draft, context,
           {.resource = value.name(),
            .description = absl::StrCat("Changed the priorities of ", listener.name(), ": ",
                                        Joined(changes))});
  draft.Put(part->row.id, std::move(value));
  return response;
}

}  // namespace remuda::core
