#include "controller/core/door/begin_shift.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>

#include "controller/core/deployment/plan.h"
#include "controller/core/door/defaults.h"
#include "controller/core/door/done.h"
#include "controller/core/door/parts.h"
#include "controller/core/door/prepare.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/shift_row.h"
#include "controller/core/reconcile/sides.h"

namespace remuda::core {
namespace {

using google::protobuf::util::MessageDifferencer;

std::vector<std::string> GroupsOf(const Draft& draft, const std::string& target_group) {
  std::vector<std::string> out;
  draft.ForEach<v1::AutoScalingGroup>([&](const std::string& id, const v1::AutoScalingGroup& row) {
    const auto& ids = row.target_groups();
    if (std::find(ids.begin(), ids.end(), target_group) != ids.end()) out.push_back(id);
  });
  return out;
}

// The listener or rule by its full name, where the row has it.
absl::StatusOr<Part> FindAction(const Draft& draft, const v1::TrafficShift& shift) {
  switch (shift.action_case()) {
    case v1::TrafficShift::kListener:
      return FindListener(draft, "deployment.shift.listener", shift.listener());
    case v1::TrafficShift::kRule:
      return FindRule(draft, "deployment.shift.rule", shift.rule());
    case v1::TrafficShift::ACTION_NOT_SET:
      break;
  }
  Violations violations;
  violations.Add(FieldPath("deployment") / "shift", "must name a listener or a rule");
  return violations.ToStatus();
}

// Both target groups, known and named by the action or to be; what they weigh.
void CheckGroups(Violations& out, const FieldPath& at, const Draft& draft,
                 const v1::ForwardAction& action, v1::TrafficShift& shift) {
  const auto known = [&](const char* field, std::string& id) {
    if (!NormalizeReference(out, at / field, kTargetGroups, id)) return false;
    if (draft.Find<v1::TargetGroup>(id) != nullptr) return true;
    out.Add(at / field, absl::StrCat("there is no ", FullName(kTargetGroups, id)));
    return false;
  };
  if (!known("to_target_group", *shift.mutable_to_target_group())) return;
  const std::string& to = shift.to_target_group();
  std::vector<std::string> weighty;
  for (const v1::WeightedTargetGroup& group : action.target_groups()) {
    if (group.target_group() != to && WeightIn(action, group.target_group()) > 0) {
      weighty.push_back(group.target_group());
    }
  }
  if (shift.from_target_group().empty()) {
    if (weighty.empty() && WeightIn(action, to) > 0) {
      out.Add(at / "to_target_group", absl::StrCat(to, " has all of the traffic already"));
      return;
    }
    if (weighty.size() != 1) {
      out.Add(at / "from_target_group",
              absl::StrCat("must be given: the action has ", weighty.size(),
                           " target groups with a weight beside ", to));
      return;
    }
    shift.set_from_target_group(weighty[0]);
  } else if (!known("from_target_group", *shift.mutable_from_target_group())) {
    return;
  }
  const std::string& from = shift.from_target_group();
  if (from == to) {
    out.Add(at / "to_target_group", absl::StrCat(to, " is what the traffic is to be moved from"));
    return;
  }
  for (const std::string& other : weighty) {
    if (other == from) continue;
    out.Add(at, absl::StrCat("the action also forwards to ", other,
                             ": a shift moves the traffic between two target groups"));
  }
  shift.set_weight(WeightIn(action, from) + WeightIn(action, to));
  if (WeightIn(action, from) == 0) {
    out.Add(at / "from_target_group",
            absl::StrCat(from, " has no traffic of ", ActionName(shift), ": nothing to move"));
  } else if (WeightIn(action, to) > 0) {
    out.Add(at / "to_target_group", absl::StrCat(to, " has a part of the traffic already, weight ",
                                                 WeightIn(action, to), ": set it to 0 first"));
  }
  const auto from_row = draft.Find<v1::TargetGroup>(from);
  const auto to_row = draft.Find<v1::TargetGroup>(to);
  if (from_row->protocol() != to_row->protocol()) {
    out.Add(at / "to_target_group", absl::StrCat("has another protocol than ", from));
  }
}

// Another action that forwards to the target group; empty if none does.
std::string OtherUserOf(const Draft& draft, const std::string& target_group,
                        const v1::TrafficShift& shift) {
  std::string user;
  const auto look = [&](const std::string& name, const v1::Action& action) {
    if (name != ActionName(shift) && WeightIn(action.forward(), target_group) > 0) user = name;
  };
  draft.ForEach<v1::LoadBalancer>([&](const std::string&, const v1::LoadBalancer& row) {
    for (const v1::Listener& listener : row.listeners()) {
      look(listener.name(), listener.default_action());
      for (const v1::Rule& rule : listener.rules()) look(rule.name(), rule.action());
    }
  });
  return user;
}

void CheckScaling(Violations& out, const FieldPath& at, const Draft& draft,
                  v1::TrafficShift& shift) {
  if (!shift.scale_groups()) return;
  const std::string& used = shift.from_target_group();
  if (const std::string user = OtherUserOf(draft, used, shift); !user.empty()) {
    out.Add(at / "scale_groups",
            absl::StrCat(user, " forwards to ", used, " too: its group cannot be scaled down"));
  }
  const auto one = [&](const std::string& target_group, std::string* into, int* desired) {
    const std::vector<std::string> groups = GroupsOf(draft, target_group);
    if (groups.size() != 1) {
      out.Add(at / "scale_groups",
              absl::StrCat("target group ", target_group, " has ", groups.size(),
                           " groups behind it, and must have 1"));
      return;
    }
    *into = groups[0];
    *desired = DesiredOf(*draft.Find<v1::AutoScalingGroup>(groups[0]));
  };
  int from = 0;
  int to = 0;
  one(shift.from_target_group(), shift.mutable_from_auto_scaling_group(), &from);
  one(shift.to_target_group(), shift.mutable_to_auto_scaling_group(), &to);
  if (!shift.from_auto_scaling_group().empty() &&
      shift.from_auto_scaling_group() == shift.to_auto_scaling_group()) {
    out.Add(at / "scale_groups", absl::StrCat("both target groups have the same group, ",
                                              shift.from_auto_scaling_group()));
  }
  shift.set_from_desired(from);
  shift.set_to_desired(to);
}

// Text as a pattern that matches it alone.
std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_') out += '\\';
    out += c;
  }
  return out;
}

v1::Condition ConditionOf(const v1::PreviewRoute& route) {
  v1::Condition out;
  if (route.has_http_header()) {
    *out.mutable_http_header() = route.http_header();
    return out;
  }
  out.mutable_http_header()->set_http_header_name("cookie");
  out.mutable_http_header()->add_regex_values(
      absl::StrCat("(?:.*;\\s*)?", Escaped(route.cookie().name()), "=\"?",
                   Escaped(route.cookie().value()), "\"?(?:\\s*;.*)?"));
  return out;
}

// A priority that is tried right before the rule, or after all rules for the default action; 0 if
// none is free.
int FreePriority(const v1::Listener& listener, const v1::Rule* rule,
                 const v1::TrafficShift& shift) {
  std::map<int, std::string> taken;
  for (const v1::Rule& other : listener.rules()) taken.emplace(other.priority(), other.name());
  if (rule == nullptr) {
    const int after = taken.empty() ? 1 : taken.rbegin()->first + 1;
    return after <= limits::kMaxPriority ? after : 0;
  }
  const auto& ours = shift.preview_resources();
  int priority = rule->priority() - 1;
  while (priority >= 1 && taken.contains(priority) &&
         std::find(ours.begin(), ours.end(), taken[priority]) != ours.end()) {
    --priority;
  }
  return priority >= 1 && !taken.contains(priority) ? priority : 0;
}

// An id that no part of the prefix has.
template <class Parts>
std::string PreviewName(const std::string& prefix, const Parts& parts) {
  for (int i = 1;; ++i) {
    const std::string name = absl::StrCat(prefix, "preview-", i);
    const bool is_taken = std::any_of(parts.begin(), parts.end(),
                                      [&](const auto& part) { return part.name() == name; });
    if (!is_taken) return name;
  }
}

void AddPreview(Violations& out, const FieldPath& at, const v1::PreviewRoute& route,
                int listener_index, int rule_index, v1::TrafficShift& shift,
                v1::LoadBalancer& balancer) {
  v1::Action action;
  v1::WeightedTargetGroup& target_group = *action.mutable_forward()->add_target_groups();
  target_group.set_target_group(shift.to_target_group());
  target_group.set_weight(1);
  if (route.kind_case() == v1::PreviewRoute::kListenerPort) {
    v1::Listener added = balancer.listeners(listener_index);
    added.clear_rules();
    added.clear_etag();
    added.set_port(route.listener_port());
    added.set_name(PreviewName(absl::StrCat(balancer.name(), "/listeners/"), balancer.listeners()));
    *added.mutable_default_action() = std::move(action);
    shift.add_preview_resources(added.name());
    *balancer.add_listeners() = std::move(added);
    return;
  }
  v1::Listener& listener = *balancer.mutable_listeners(listener_index);
  v1::Rule added;
  if (rule_index >= 0) *added.mutable_conditions() = listener.rules(rule_index).conditions();
  *added.add_conditions() = ConditionOf(route);
  const int priority =
      FreePriority(listener, rule_index < 0 ? nullptr : &listener.rules(rule_index), shift);
  if (priority == 0) {
    out.Add(at, absl::StrCat(ActionName(shift),
                             ": no priority is free right before it for the preview's rule"));
    return;
  }
  added.set_priority(priority);
  added.set_name(PreviewName(absl::StrCat(listener.name(), "/rules/"), listener.rules()));
  *added.mutable_action() = std::move(action);
  shift.add_preview_resources(added.name());
  *listener.add_rules() = std::move(added);
}

// The action names both target groups, and the previews are there.
absl::Status EditBalancer(Draft& draft, const FieldPath& at, const Part& part,
                          v1::Deployment& value, const Context& context) {
  Violations violations;
  v1::LoadBalancer after = *part.row.value;
  v1::TrafficShift& shift = *value.mutable_shift();
  v1::ForwardAction& action = *ForwardOf(after, shift);
  if (WeightIn(action, shift.to_target_group()) == 0) {
    SetWeightIn(action, shift.to_target_group(), 0);
  }
  for (int i = 0; i < value.previews_size(); ++i) {
    AddPreview(violations, (at / "previews")[i], value.previews(i), part.listener_index,
               part.rule_index, shift, after);
  }
  if (!violations.empty()) return violations.ToStatus();
  Prepare(violations, FieldPath("load_balancer"),
          References{draft, {}, context.check_authorities, context.analysis_commands}, part.row.id,
          part.row.value.get(), context, after);
  CheckPortsFree(violations, FieldPath("load_balancer"), draft, part.row.id, after);
  if (!violations.empty()) return violations.ToStatus();
  draft.Put(part.row.id, std::move(after));
  return absl::OkStatus();
}

// The shift of the same action that is under way.
std::optional<Row<v1::Deployment>> ActiveOn(const Draft& draft, const std::string& balancer,
                                            const std::string& action) {
  for (const std::string& id : ShiftsOf(draft, balancer)) {
    auto row = draft.Find<v1::Deployment>(id);
    if (!HasEnded(StageOf(*row)) && ActionName(row->shift()) == action) {
      return Row<v1::Deployment>{id, std::move(row)};
    }
  }
  return std::nullopt;
}

void ForgetOldShifts(Draft& draft, const std::string& balancer) {
  std::vector<std::pair<Time, std::string>> ended;
  for (const std::string& id : ShiftsOf(draft, balancer)) {
    const auto row = draft.Find<v1::Deployment>(id);
    if (HasEnded(StageOf(*row))) ended.emplace_back(FromProto(row->create_time()), id);
  }
  std::sort(ended.begin(), ended.end());
  for (size_t i = 0; i + limits::kDeploymentsKeptAGroup < ended.size(); ++i) {
    draft.Delete<v1::Deployment>(ended[i].second);
  }
}

}  // namespace

v1::DeploymentStrategy WithoutWaits(const v1::DeploymentStrategy& strategy) {
  v1::DeploymentStrategy out = strategy;
  if (strategy.has_rolling()) {
    out.mutable_rolling()->clear_bake();
    out.mutable_rolling()->clear_checkpoint_percents();
    out.mutable_rolling()->clear_checkpoint_delay();
  } else if (strategy.has_in_place()) {
    out.mutable_in_place()->clear_bake();
  } else if (!strategy.has_blue_green()) {
    out.mutable_blue_green();
    out.clear_steps();
    for (const v1::DeploymentStep& step : strategy.steps()) {
      if (step.has_replace()) {
        auto& rolling = *out.mutable_rolling();
        if (step.replace().has_min_healthy_percent())
          rolling.set_min_healthy_percent(step.replace().min_healthy_percent());
        if (step.replace().has_max_percent()) rolling.set_max_percent(step.replace().max_percent());
      }
      if (step.has_update()) {
        auto& in_place = *out.mutable_in_place();
        if (step.update().has_min_healthy_percent())
          in_place.set_min_healthy_percent(step.update().min_healthy_percent());
      }
    }
  }
  return out;
}

absl::StatusOr<std::string> BeginShift(Draft& draft, const FieldPath& at, v1::Deployment value,
                                       const DeploymentOptions& options, const Context& context) {
  const FieldPath shift_at = at / "shift";
  Violations violations;
  ApplyDefaults(value);
  CheckDeployment(violations, at, value, context.analysis_commands);
  if (options.supersede) violations.Add(FieldPath("supersede"), "is of deployments of a group");
  if (options.refuse_failed) {
    violations.Add(FieldPath("refuse_failed"), "is of deployments of a group");
  }
  if (!violations.empty()) return violations.ToStatus();
  const auto part = FindAction(draft, value.shift());
  if (!part.ok()) return part.status();
  v1::TrafficShift& shift = *value.mutable_shift();
  shift.clear_preview_resources();
  const std::string& balancer = part->row.id;
  const v1::ForwardAction* action = ForwardOf(*part->row.value, shift);
  if (action == nullptr) {
    violations.Add(shift_at, absl::StrCat(ActionName(shift), " does not forward"));
    return violations.ToStatus();
  }
  const auto active = ActiveOn(draft, balancer, ActionName(shift));
  if (active.has_value()) {
    return FailedPrecondition(
        "DEPLOYMENT_ACTIVE",
        absl::StrCat(NameOf<v1::Deployment>(active->id), " is under way (",
                     StageText(StageOf(*active->value)), ") on ", ActionName(shift),
                     ": wait for it, or roll it back; shifts do not take over from one another"));
  }
  CheckGroups(violations, shift_at, draft, *action, shift);
  if (violations.empty()) CheckScaling(violations, shift_at, draft, shift);
  if (!violations.empty()) return violations.ToStatus();
  const std::string id =
      absl::StrCat(balancer, "-", draft.Next(absl::StrCat("deployment/", balancer)));
  if (absl::Status edited = EditBalancer(draft, at, *part, value, context); !edited.ok())
    return edited;
  value.set_name(NameOf<v1::Deployment>(id));
  *value.mutable_create_time() = ToProto(context.now);
  BeginSteps(value, PlanOf(value, false), context.now);
  NoteDeployment(draft, context, id, value,
                 absl::StrCat("Began ", value.name(), ": ", ActionName(shift), ", target group ",
                              shift.from_target_group(), " -> ", shift.to_target_group()),
                 options.cause);
  draft.Put(id, std::move(value));
  ForgetOldShifts(draft, balancer);
  return id;
}

absl::StatusOr<std::string> UndoShift(Draft& draft, const std::string& id,
                                      const v1::Deployment& done, const std::string& cause,
                                      const Context& context) {
  v1::Deployment value;
  v1::TrafficShift& shift = *value.mutable_shift();
  if (done.shift().action_case() == v1::TrafficShift::kRule) {
    shift.set_rule(done.shift().rule());
  } else {
    shift.set_listener(done.shift().listener());
  }
  shift.set_from_target_group(done.shift().to_target_group());
  shift.set_to_target_group(done.shift().from_target_group());
  shift.set_scale_groups(done.shift().scale_groups());
  *value.mutable_strategy() = WithoutWaits(done.strategy());
  *value.mutable_health_deadline() = done.health_deadline();
  value.set_automatic_rollback(done.automatic_rollback());
  value.set_rollback_of(id);
  return BeginShift(draft, FieldPath("deployment"), std::move(value), {.cause = cause}, context);
}

void CheckShiftsKept(Violations& out, const FieldPath& at, const Draft& draft, std::string_view id,
                     const v1::LoadBalancer& before, const v1::LoadBalancer& value) {
  for (const std::string& shift_id : ShiftsOf(draft, id)) {
    const auto row = draft.Find<v1::Deployment>(shift_id);
    if (HasEnded(StageOf(*row))) continue;
    const v1::ForwardAction* was = ForwardOf(before, row->shift());
    const v1::ForwardAction* is = ForwardOf(value, row->shift());
    if (was == nullptr) continue;  // gone already: the shift ends by itself
    if (is == nullptr || !MessageDifferencer::Equals(*was, *is)) {
      out.Add(at, absl::StrCat(NameOf<v1::Deployment>(shift_id), " moves the traffic of ",
                               ActionName(row->shift()),
                               ": its action cannot be changed until that has ended"));
    }
    for (const std::string& added : row->shift().preview_resources()) {
      bool is_there = false;
      for (const v1::Listener& listener : value.listeners()) {
        is_there = is_there || listener.name() == added;
        for (const v1::Rule& rule : listener.rules()) is_there = is_there || rule.name() == added;
      }
      if (!is_there) {
        out.Add(at, absl::StrCat(added, " is a preview of ", NameOf<v1::Deployment>(shift_id),
                                 ", which takes it away itself"));
      }
    }
  }
}

std::string ActiveShiftOf(const Draft& draft, std::string_view balancer) {
  for (const std::string& id : ShiftsOf(draft, balancer)) {
    if (!HasEnded(StageOf(*draft.Find<v1::Deployment>(id)))) return id;
  }
  return "";
}

}  // namespace remuda::core
