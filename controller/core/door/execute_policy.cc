// Commands on scaling policies: each changes the group's list, as an update of the group would.
#include <google/protobuf/util/message_differencer.h>

#include "controller/core/door/done.h"
#include "controller/core/door/prepare.h"

namespace remuda::core {
namespace {

// Where the policy is among the group's; -1: it has none of the name.
int PolicyIndexOf(const v1::AutoScalingGroup& group, const std::string& name) {
  for (int i = 0; i < group.policies_size(); ++i) {
    if (group.policies(i).name() == name) return i;
  }
  return -1;
}

absl::StatusOr<Row<v1::AutoScalingGroup>> FindGroup(const Draft& draft, const std::string& name) {
  auto row = FindRow<v1::AutoScalingGroup>(draft, "auto_scaling_group", name);
  if (!row.ok()) return row;
  if (row->value->deleting()) {
    return FailedPrecondition(
        "GROUP_DELETING",
        absl::StrCat(row->value->name(), ": it is being deleted and takes no changes"));
  }
  return row;
}

}  // namespace

absl::StatusOr<v1::ScalingPolicy> Execute(Draft& draft, const v1::PutScalingPolicyRequest& request,
                                          const Context& context) {
  const auto row = FindGroup(draft, request.auto_scaling_group());
  if (!row.ok()) return row.status();
  if (!request.has_policy()) return InvalidField("policy", "must be given");
  v1::AutoScalingGroup value = *row->value;
  int index = PolicyIndexOf(value, request.policy().name());
  const bool is_new = index < 0;
  if (is_new) {
    index = value.policies_size();
    value.add_policies();
  }
  *value.mutable_policies(index) = request.policy();
  Violations violations;
  Prepare(violations, FieldPath("auto_scaling_group"),
          References{draft, {}, context.check_authorities, context.analysis_commands}, row->id,
          row->value.get(), context, value);
  violations.Rename((FieldPath("auto_scaling_group") / "policies")[index], FieldPath("policy"));
  if (!violations.empty()) return violations.ToStatus();
  v1::ScalingPolicy answer = value.policies(index);
  if (!google::protobuf::util::MessageDifferencer::Equals(value, *row->value)) {
    NoteDone(draft, context,
             {.resource = value.name(),
              .description = absl::StrCat(is_new ? "Added" : "Changed", " scaling policy ",
                                          answer.name(), " of ", value.name())});
    draft.Put(row->id, std::move(value));
  }
  return answer;
}

absl::StatusOr<Empty> Execute(Draft& draft, const v1::DeleteScalingPolicyRequest& request,
                              const Context& context) {
  const auto row = FindGroup(draft, request.auto_scaling_group());
  if (!row.ok()) return row.status();
  v1::AutoScalingGroup value = *row->value;
  const int index = PolicyIndexOf(value, request.policy());
  if (index < 0) {
    return NotFound(absl::StrCat(value.name(), "/policies/", request.policy()));
  }
  value.mutable_policies()->DeleteSubrange(index, 1);
  Violations violations;
  Prepare(violations, FieldPath("auto_scaling_group"),
          References{draft, {}, context.check_authorities, context.analysis_commands}, row->id,
          row->value.get(), context, value);
  if (!violations.empty()) return violations.ToStatus();
  NoteDone(draft, context,
           {.resource = value.name(),
            .description =
                absl::StrCat("Deleted scaling policy ", request.policy(), " of ", value.name())});
  draft.Put(row->id, std::move(value));
  return Empty();
}

}  // namespace remuda::core
