// What is read of scaling policies: themselves, and what they decided.
#include "controller/core/door/read.h"
#include "controller/core/door/rows.h"
#include "controller/core/model/limits.h"

namespace remuda::core {

absl::StatusOr<v1::ListScalingPoliciesResponse> Read(
    const Snapshot& from, const v1::ListScalingPoliciesRequest& request) {
  const Draft draft(from.state);
  const auto row = FindRow<v1::AutoScalingGroup>(draft, "parent", request.parent());
  if (!row.ok()) return row.status();
  v1::ListScalingPoliciesResponse response;
  *response.mutable_policies() = row->value->policies();
  return response;
}

absl::StatusOr<v1::ListScalingEvaluationsResponse> Read(
    const Snapshot& from, const v1::ListScalingEvaluationsRequest& request) {
  const Draft draft(from.state);
  const auto row = FindRow<v1::AutoScalingGroup>(draft, "parent", request.parent());
  if (!row.ok()) return row.status();
  if (request.page_size() < 0 || request.page_size() > limits::kMaxPageSize) {
    return InvalidField(
        "page_size", absl::StrCat(request.page_size(), " is not within 0-", limits::kMaxPageSize));
  }
  const int most = request.page_size() == 0 ? limits::kDefaultPageSize : request.page_size();
  v1::ListScalingEvaluationsResponse response;
  const auto kept = from.seen.metrics.evaluations.find(row->id);
  if (kept == from.seen.metrics.evaluations.end()) return response;
  const auto& rows = kept->second.rows;
  for (auto it = rows.rbegin(); it != rows.rend() && response.evaluations_size() < most; ++it) {
    if (request.changes_only() && it->desired_before() == it->desired_after()) continue;
    *response.add_evaluations() = *it;
  }
  return response;
}

}  // namespace remuda::core
