#include "controller/core/deployment/deployment_room.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controller/core/deployment/plan.h"
#include "controller/core/deployment/replacement.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/words.h"
#include "controller/core/reconcile/host_rooms.h"
#include "controller/core/reconcile/placement.h"
#include "controller/core/reconcile/sides.h"

namespace remuda::core {
namespace {

// Instances that run the version already and stay.
int MatchingOf(const Draft& draft, const std::string& group, const v1::LaunchTemplateRef& to) {
  int out = 0;
  for (const auto& [id, row] : draft.InstancesOfGroup(group)) {
    out += IsUp(row->state()) && !IsApart(*row) && IsSame(row->launch_template(), to);
  }
  return out;
}

// How many of the new version the plan has beside the others at most.
int WantedBeside(const v1::Deployment& deployment, int desired, int matching) {
  const int missing = std::max(0, desired - matching);
  for (const v1::DeploymentStep& step : PlanOf(deployment, false)) {
    if (step.has_update()) return 0;
    if (step.has_replace()) {
      return std::min(missing, BoundsOf(step.replace(), desired).ceiling - desired);
    }
  }
  return missing;
}

}  // namespace

DeploymentRoom RoomFor(const Draft& draft, const Observations& seen, Time now,
                       const std::string& group_id, const v1::AutoScalingGroup& group,
                       const v1::Deployment& deployment) {
  DeploymentRoom out;
  const int desired = DesiredOf(group);
  out.wanted = WantedBeside(deployment, desired, MatchingOf(draft, group_id, deployment.to()));
  const auto launch = draft.Find<v1::LaunchTemplateVersion>(
      LaunchTemplateKey(deployment.to().launch_template(), deployment.to().resolved_version()));
  if (out.wanted <= 0 || launch == nullptr) {
    out.wanted = out.fits = std::max(0, out.wanted);
    if (out.wanted == 0) out.fits = 1;  // nothing is asked for
    return out;
  }
  Rooms rooms(draft, seen, now);
  const InstanceList none;
  Placement placement(
      rooms, {.group = group, .launch = deployment.to(), .wanted = *launch, .spread = none});
  for (; out.fits < out.wanted; ++out.fits) {
    if (!placement.Take().empty()) continue;
    // A host that may come back is no reason to end what runs.
    if (placement.awaited_until() > now) {
      out.fits = out.wanted;
      break;
    }
    out.why_no = placement.WhyNone();
    break;
  }
  return out;
}

std::vector<std::string> WarningsOf(const v1::AutoScalingGroup& group,
                                    const v1::Deployment& deployment, const DeploymentRoom& room) {
  std::vector<std::string> out;
  const int desired = DesiredOf(group);
  if (desired == 0) {
    out.push_back(
        "the group's desired number is 0: no instance is launched, and nothing is checked");
  }
  bool replaces = false;
  for (const v1::DeploymentStep& step : deployment.steps()) {
    if (!step.has_replace() && !step.has_update()) continue;
    if (std::exchange(replaces, true)) continue;
    const ReplaceBounds bounds =
        step.has_replace() ? BoundsOf(step.replace(), desired) : BoundsOf(step.update(), desired);
    if (step.has_replace() && step.replace().terminate_first()) {
      out.push_back(absl::StrCat(
          "an instance is ended before the one in its place is launched",
          room.fits == 0 && !room.why_no.empty() ? absl::StrCat(": ", room.why_no) : "", "; ",
          desired - bounds.floor, " of ", Counted(desired, "instance"), " may be missing at once"));
    }
    if (bounds.floor == 0 && desired > 0) {
      out.push_back(
          "for a moment no instance serves: requests are answered with 502 or 503 until the first "
          "is "
          "back");
    }
  }
  if (!replaces && room.fits < room.wanted) {
    out.push_back(absl::StrCat("there is room for ", room.fits, " of ",
                               Counted(room.wanted, "new instance"),
                               " beside those that run: ", room.why_no,
                               "; the deployment waits for room, and is rolled back at its "
                               "deadline; `--strategy rolling` needs less"));
  }
  if (group.target_groups().empty() && desired > 0) {
    out.push_back(
        "the group has no target groups, so no check tells that a new instance works: it counts as "
        "ready when it has lived for 10 s");
  }
  return out;
}

}  // namespace remuda::core
