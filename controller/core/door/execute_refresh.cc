// Instance refresh: a rolling deployment to a copy of the version that the group runs.
#include "controller/core/door/begin_deployment.h"
#include "controller/core/door/done.h"
#include "controller/core/door/group_verbs.h"
#include "controller/core/door/templates.h"
#include "controller/core/door/validate_resources.h"
#include "controller/core/model/capacity.h"
#include "controller/core/model/launch_ref.h"

namespace remuda::core {
namespace {

constexpr int kMinHealthyPercent = 90;
constexpr int kMaxPercent = 110;

// Whether nothing stands against a refresh of the group as it is.
absl::Status CheckRefresh(const Draft& draft, const Row<v1::AutoScalingGroup>& row) {
  if (absl::Status deleting = RefuseDeleting(*row.value); !deleting.ok()) return deleting;
  if (absl::Status active = RefuseInDeployment(draft, row.id, "it can be refreshed");
      !active.ok()) {
    return active;
  }
  if (const std::string why = SuspendedText(*row.value, v1::SCALING_PROCESS_INSTANCE_REFRESH);
      !why.empty()) {
    return FailedPrecondition("SUSPENDED", absl::StrCat(row.value->name(), ": ", why));
  }
  // The copy becomes the newest: a manifest that describes another one would take it for a change.
  const v1::LaunchTemplateRef& runs = row.value->launch_template();
  const int newest = NewestVersion(draft, runs.launch_template());
  if (newest == runs.resolved_version()) return absl::OkStatus();
  return FailedPrecondition(
      "NOT_NEWEST",
      absl::StrCat(row.value->name(), " runs ", TextOf(runs), ", and the newest version is ",
                   newest, ": deploy a version, which replaces all instances as well"));
}

}  // namespace

absl::StatusOr<v1::Deployment> Execute(Draft& draft, const v1::StartInstanceRefreshRequest& request,
                                       const Context& context) {
  const auto row = FindRow<v1::AutoScalingGroup>(draft, "name", request.name());
  if (!row.ok()) return row.status();
  v1::Deployment wish;
  v1::RollingStrategy& rolling = *wish.mutable_strategy()->mutable_rolling();
  rolling.set_min_healthy_percent(request.has_min_healthy_percent() ? request.min_healthy_percent()
                                                                    : kMinHealthyPercent);
  rolling.set_max_percent(request.has_max_percent() ? request.max_percent() : kMaxPercent);
  Violations violations;
  CheckRange(violations, FieldPath("min_healthy_percent"), rolling.min_healthy_percent(), 0, 100);
  CheckRange(violations, FieldPath("max_percent"), rolling.max_percent(), 100, 200);
  if (!violations.empty()) return violations.ToStatus();
  if (absl::Status can = CheckRefresh(draft, *row); !can.ok()) return can;
  const std::string& id = row->value->launch_template().launch_template();
  if (absl::Status quota = CheckTemplateQuota(draft, id); !quota.ok()) return quota;
  Draft::Savepoint savepoint = draft.Save();
  const int version = CopyNewest(draft, id, context);
  *wish.mutable_to() = Numbered(id, version);
  CompleteWish(*row->value, wish);
  CheckDeployment(violations, FieldPath(), wish, context.analysis_commands);
  const absl::StatusOr<std::string> begun =
      violations.empty()
          ? BeginDeployment(draft, row->id, std::move(wish),
                            {.cause = "a person asked to refresh its instances"}, context)
          : absl::StatusOr<std::string>(violations.ToStatus());
  if (!begun.ok()) {
    draft.Restore(std::move(savepoint));
    return begun.status();
  }
  NoteDone(
      draft, context,
      {.resource = NameOf<v1::LaunchTemplate>(id),
       .description = absl::StrCat("Made version ", version, ", a copy of ",
                                   TextOf(row->value->launch_template())),
       .cause = absl::StrCat("a person asked to refresh the instances of ", row->value->name())});
  return Answer<v1::Deployment>(draft, context, *begun);
}

}  // namespace remuda::core
