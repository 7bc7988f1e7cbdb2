#include "controller/core/analysis/side_traffic.h"

#include <string>

#include "controller/core/model/subset_name.h"

namespace remuda::core {
namespace {

using Ids = google::protobuf::RepeatedPtrField<std::string>;

SideTraffic TrafficOfShift(const Traffic& traffic, const v1::TrafficShift& shift) {
  const auto all_of = [&](const std::string& target_group) {
    Ids ids;
    *ids.Add() = target_group;
    return CountsOf(traffic, ids, [](std::string_view) { return true; });
  };
  return {.old_side = all_of(shift.from_target_group()),
          .new_side = all_of(shift.to_target_group())};
}

}  // namespace

SideTraffic TrafficOf(const Draft& draft, const Observations& seen,
                      const v1::Deployment& deployment) {
  if (deployment.has_shift()) return TrafficOfShift(seen.traffic, deployment.shift());
  const std::string& group = deployment.auto_scaling_group();
  const auto row = draft.Find<v1::AutoScalingGroup>(group);
  if (row == nullptr) return {};
  const std::string new_subset = SubsetOf(group, deployment.to());
  return {.old_side = CountsOf(seen.traffic, row->target_groups(),
                               [&](std::string_view subset) {
                                 return subset != new_subset && IsSubsetOf(subset, group);
                               }),
          .new_side = CountsOf(seen.traffic, row->target_groups(),
                               [&](std::string_view subset) { return subset == new_subset; })};
}

SideTraffic TrafficSinceShare(const Draft& draft, const Observations& seen,
                              const v1::Deployment& deployment) {
  if (!deployment.has_shift_confirmed_time()) return {};
  SideTraffic now = TrafficOf(draft, seen, deployment);
  if (FromProto(deployment.shift_confirmed_time()) < seen.start) return now;
  return {.old_side = Since(now.old_side, deployment.old_base()),
          .new_side = Since(now.new_side, deployment.new_base())};
}

void ShowTraffic(const v1::SideCounts& counts, v1::DeploymentSide& side) {
  side.set_requests(counts.requests());
  side.set_errors(counts.errors());
  if (const auto half = LatencyOf(counts, 0.5)) *side.mutable_latency_p50() = ToProto(*half);
  if (const auto most = LatencyOf(counts, 0.99)) *side.mutable_latency_p99() = ToProto(*most);
}

}  // namespace remuda::core
