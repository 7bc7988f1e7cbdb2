// Commands on what groups do by themselves, and on the target groups that they register in.
#include <absl/strings/str_join.h>

#include <algorithm>
#include <set>

#include "controller/core/door/done.h"
#include "controller/core/door/group_verbs.h"
#include "controller/core/model/capacity.h"

namespace remuda::core {
namespace {

template <class Request>
absl::StatusOr<std::set<v1::ScalingProcess>> ProcessesOf(const Request& request) {
  Violations violations;
  std::set<v1::ScalingProcess> out;
  for (int i = 0; i < request.processes_size(); ++i) {
    const v1::ScalingProcess process = request.processes(i);
    if (!IsKnown(process) || process == v1::SCALING_PROCESS_UNSPECIFIED) {
      violations.Add(FieldPath("processes")[i],
                     absl::StrCat(static_cast<int>(process), " is not a process"));
    }
    out.insert(process);
  }
  if (!violations.empty()) return violations.ToStatus();
  if (!out.empty()) return out;
  const auto* all = v1::ScalingProcess_descriptor();
  for (int i = 1; i < all->value_count(); ++i) {
    out.insert(static_cast<v1::ScalingProcess>(all->value(i)->number()));
  }
  return out;
}

std::string NamesOf(const std::vector<v1::ScalingProcess>& processes) {
  constexpr std::string_view kPrefix = "SCALING_PROCESS_";
  std::vector<std::string> names;
  names.reserve(processes.size());
  for (const v1::ScalingProcess process : processes) {
    names.push_back(v1::ScalingProcess_Name(process).substr(kPrefix.size()));
  }
  return absl::StrJoin(names, ", ");
}

// References to target groups as ids; INVALID_ARGUMENT naming the first that is none.
absl::StatusOr<std::vector<std::string>> TargetGroupsIn(
    const Draft& draft, const google::protobuf::RepeatedPtrField<std::string>& names) {
  Violations violations;
  const FieldPath at("target_groups");
  CheckCount(violations, at, names.size(), 1, limits::kTargetGroupsAnAsg);
  std::vector<std::string> out(names.begin(), names.end());
  for (size_t i = 0; i < out.size(); ++i) {
    const FieldPath field = at[static_cast<int>(i)];
    if (!NormalizeReference(violations, field, kTargetGroups, out[i])) continue;
    if (draft.Find<v1::TargetGroup>(out[i]) == nullptr) {
      violations.Add(field, absl::StrCat("there is no ", FullName(kTargetGroups, out[i])));
    }
  }
  if (!violations.empty()) return violations.ToStatus();
  return out;
}

absl::StatusOr<v1::AutoScalingGroup> SetTargetGroups(Draft& draft, const Context& context,
                                                     const Row<v1::AutoScalingGroup>& row,
                                                     const std::vector<std::string>& ids,
                                                     const std::string& done) {
  const auto& before = row.value->target_groups();
  if (std::equal(before.begin(), before.end(), ids.begin(), ids.end())) {
    return Answer<v1::AutoScalingGroup>(draft, context, row.id);
  }
  v1::AutoScalingGroup value = *row.value;
  value.mutable_target_groups()->Assign(ids.begin(), ids.end());
  draft.Put(row.id, std::move(value));
  NoteDone(draft, context, {.resource = row.value->name(), .description = done});
  return Answer<v1::AutoScalingGroup>(draft, context, row.id);
}

// What was due while they were suspended is past, as in AWS.
void PassOverSchedules(Time now, v1::AutoScalingGroup& group) {
  if (!group.has_capacity()) return;
  for (const v1::ScalingPolicy& policy : group.policies()) {
    if (!policy.has_scheduled()) continue;
    (*group.mutable_capacity()->mutable_policy_times())[policy.name()] = ToProto(now);
  }
}

}  // namespace

absl::StatusOr<v1::AutoScalingGroup> Execute(Draft& draft,
                                             const v1::SuspendProcessesRequest& request,
                                             const Context& context) {
  Violations violations;
  CheckText(violations, FieldPath("reason"), request.reason(), limits::kReasonBytes);
  if (!violations.empty()) return violations.ToStatus();
  const auto processes = ProcessesOf(request);
  if (!processes.ok()) return processes.status();
  const auto row = FindRow<v1::AutoScalingGroup>(draft, "name", request.name());
  if (!row.ok()) return row.status();
  if (absl::Status deleting = RefuseDeleting(*row->value); !deleting.ok()) return deleting;
  v1::AutoScalingGroup value = *row->value;
  std::vector<v1::ScalingProcess> added;
  for (const v1::ScalingProcess process : *processes) {
    if (IsSuspended(value, process)) continue;
    v1::SuspendedProcess& suspended = *value.add_suspended_processes();
    suspended.set_process(process);
    suspended.set_reason(request.reason());
    *suspended.mutable_time() = ToProto(context.now);
    added.push_back(process);
  }
  if (!added.empty()) {
    draft.Put(row->id, std::move(value));
    NoteDone(draft, context,
             {.resource = row->value->name(),
              .description = absl::StrCat("Suspended ", NamesOf(added), " of ", row->value->name()),
              .cause = absl::StrCat("a person asked for it", request.reason().empty() ? "" : ": ",
                                    request.reason())});
  }
  return Answer<v1::AutoScalingGroup>(draft, context, row->id);
}

absl::StatusOr<v1::AutoScalingGroup> Execute(Draft& draft,
                                             const v1::ResumeProcessesRequest& request,
                                             const Context& context) {
  const auto processes = ProcessesOf(request);
  if (!processes.ok()) return processes.status();
  const auto row = FindRow<v1::AutoScalingGroup>(draft, "name", request.name());
  if (!row.ok()) return row.status();
  v1::AutoScalingGroup value = *row->value;
  std::vector<v1::ScalingProcess> resumed;
  auto& all = *value.mutable_suspended_processes();
  for (int i = all.size() - 1; i >= 0; --i) {
    if (!processes->contains(all[i].process())) continue;
    resumed.push_back(all[i].process());
    if (resumed.back() == v1::SCALING_PROCESS_SCHEDULED_ACTIONS) {
      PassOverSchedules(context.now, value);
    }
    all.DeleteSubrange(i, 1);
  }
  if (!resumed.empty()) {
    draft.Put(row->id, std::move(value));
    NoteDone(
        draft, context,
        {.resource = row->value->name(),
         .description = absl::StrCat("Resumed ", NamesOf(resumed), " of ", row->value->name())});
  }
  return Answer<v1::AutoScalingGroup>(draft, context, row->id);
}

absl::StatusOr<v1::AutoScalingGroup> Execute(Draft& draft,
                                             const v1::AttachTargetGroupsRequest& request,
                                             const Context& context) {
  const auto row = FindRowToWrite<v1::AutoScalingGroup>(draft, request);
  if (!row.ok()) return row.status();
  if (absl::Status deleting = RefuseDeleting(*row->value); !deleting.ok()) return deleting;
  const auto named = TargetGroupsIn(draft, request.target_groups());
  if (!named.ok()) return named.status();
  const auto& has = row->value->target_groups();
  std::vector<std::string> ids(has.begin(), has.end());
  std::vector<std::string> added;
  for (const std::string& id : *named) {
    if (std::find(ids.begin(), ids.end(), id) != ids.end()) continue;
    ids.push_back(id);
    added.push_back(id);
  }
  if (ids.size() > static_cast<size_t>(limits::kTargetGroupsAnAsg)) {
    return InvalidField("target_groups",
                        absl::StrCat(row->value->name(), " would have ", ids.size(),
                                     " target groups, and may have ", limits::kTargetGroupsAnAsg));
  }
  return SetTargetGroups(draft, context, *row, ids,
                         absl::StrCat("Attached target groups ", absl::StrJoin(added, ", "), " to ",
                                      row->value->name()));
}

absl::StatusOr<v1::AutoScalingGroup> Execute(Draft& draft,
                                             const v1::DetachTargetGroupsRequest& request,
                                             const Context& context) {
  const auto row = FindRowToWrite<v1::AutoScalingGroup>(draft, request);
  if (!row.ok()) return row.status();
  if (absl::Status deleting = RefuseDeleting(*row->value); !deleting.ok()) return deleting;
  const auto named = TargetGroupsIn(draft, request.target_groups());
  if (!named.ok()) return named.status();
  const auto& has = row->value->target_groups();
  std::vector<std::string> ids(has.begin(), has.end());
  for (size_t i = 0; i < named->size(); ++i) {
    if (std::find(has.begin(), has.end(), (*named)[i]) == has.end()) {
      return InvalidField(
          absl::StrCat("target_groups[", i, "]"),
          absl::StrCat(FullName(kTargetGroups, (*named)[i]), " is none of ", row->value->name()));
    }
    std::erase(ids, (*named)[i]);
  }
  return SetTargetGroups(draft, context, *row, ids,
                         absl::StrCat("Detached target groups ", absl::StrJoin(*named, ", "),
                                      " from ", row->value->name()));
}

}  // namespace remuda::core
