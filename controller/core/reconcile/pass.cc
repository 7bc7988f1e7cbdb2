#include "controller/core/reconcile/pass.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controller/core/model/instance_state.h"
#include "controller/core/reconcile/health.h"
#include "controller/core/reconcile/hosts.h"

namespace remuda::core {
namespace {

// Whole lines, so that no character is cut.
std::string LastLines(const std::string& text) {
  if (text.size() <= kLogTailBytes) return text;
  const size_t newline = text.find('\n', text.size() - kLogTailBytes);
  return newline == std::string::npos ? "" : text.substr(newline + 1);
}

// Hosts that were lost within one span of time in which more than half of those that were there
// until then were lost. A span is as long as a loss takes to be noticed and answered: what was lost
// before it was dealt with on its own.
std::set<std::string, std::less<>> LostWithMost(const Draft& draft, const Observations& seen,
                                                Time now) {
  std::vector<std::pair<Time, std::string>> lost;
  size_t known = 0;
  ForEachHost(draft, seen, [&](const std::string& id, const auto& row, const auto* observed) {
    ++known;
    if (row->has_lost_time()) {
      lost.emplace_back(FromProto(row->lost_time()), id);
    } else if (observed == nullptr || !observed->connected) {
      if (IsLost(seen, id, now)) lost.emplace_back(LostAt(seen, id), id);
    }
  });
  const Duration span = seen.patience.host_lost_after + seen.patience.replace_lost_after;
  return LostTogether(std::move(lost), known, span, kMassLossMinHosts);
}

}  // namespace

std::string Edits::Note(const Story& story) {
  v1::Activity activity;
  activity.set_resource(!story.resource.empty() ? story.resource
                        : story.group.empty()   ? absl::StrCat("instances/", story.instance)
                                                : absl::StrCat("autoScalingGroups/", story.group));
  activity.set_instance(story.instance);
  activity.set_deployment(story.deployment);
  activity.set_description(story.description);
  activity.set_cause(story.cause);
  activity.set_log_tail(story.log_tail);
  activity.set_status(story.status);
  *activity.mutable_start_time() = ToProto(now);
  if (story.status != v1::ACTIVITY_STATUS_IN_PROGRESS) {
    *activity.mutable_end_time() = ToProto(now);
  }
  changed_ = true;
  return draft.Note(std::move(activity));
}

void Edits::Close(std::string_view activity, v1::ActivityStatus status,
                  const std::string& log_tail) {
  const auto before = draft.Find<v1::Activity>(activity);
  if (before == nullptr || before->status() != v1::ACTIVITY_STATUS_IN_PROGRESS) return;
  v1::Activity after = *before;
  after.set_status(status);
  after.set_log_tail(log_tail);
  *after.mutable_end_time() = ToProto(now);
  Put(activity, std::move(after));
}

bool Pass::WasLostWithMost(std::string_view host) {
  WaitForHosts();
  if (!lost_with_most_.has_value()) lost_with_most_ = LostWithMost(draft, seen, now);
  return lost_with_most_->contains(host);
}

const std::map<std::string, Pass::Hosts>& Pass::HostsByZone() {
  if (hosts_by_zone_.has_value()) return *hosts_by_zone_;
  hosts_by_zone_.emplace();
  ForEachHost(draft, seen, [&](const std::string&, const auto& row, const auto* observed) {
    if (observed == nullptr || !observed->connected ||
        row->schedule() == v1::HOST_SCHEDULE_CORDONED ||
        row->schedule() == v1::HOST_SCHEDULE_DRAINING) {
      return;
    }
    (*hosts_by_zone_)[row->zone()].push_back(row);
  });
  return *hosts_by_zone_;
}

void Edits::Move(std::string_view id, v1::InstanceState state, std::string_view reason) {
  v1::Instance after = *draft.Find<v1::Instance>(id);
  after.set_state(state);
  after.set_state_reason(std::string(reason));
  *after.mutable_state_time() = ToProto(now);
  if (state == v1::INSTANCE_STATE_IN_SERVICE) {
    *after.mutable_in_service_time() = ToProto(now);
    Close(after.activity(), v1::ACTIVITY_STATUS_SUCCESSFUL);
    after.clear_activity();
  }
  Put(id, std::move(after));
}

void Edits::Drain(std::string_view id, std::string_view cause, bool unhealthy) {
  const auto before = draft.Find<v1::Instance>(id);
  if (IsLeavingState(before->state())) return;
  Close(before->activity(), unhealthy ? v1::ACTIVITY_STATUS_FAILED : v1::ACTIVITY_STATUS_CANCELLED);
  v1::Instance after = *before;
  after.set_unhealthy(after.unhealthy() || unhealthy);
  after.clear_lifecycle_actions();
  after.set_activity(
      Note({.group = before->auto_scaling_group(),
            .instance = std::string(id),
            .description = absl::StrCat("Draining and ending instance ", std::string(id),
                                        " on host ", before->host()),
            .cause = std::string(cause),
            .status = v1::ACTIVITY_STATUS_IN_PROGRESS}));
  draft.Put(id, std::move(after));
  Move(id, v1::INSTANCE_STATE_DRAINING, cause);
}

void Edits::Terminate(std::string_view id, std::string_view cause, bool unhealthy) {
  const auto before = draft.Find<v1::Instance>(id);
  const bool ending = IsLeavingState(before->state()) && !DrainsToStay(*before);
  // What it printed last goes with the news of its end: the launch's that failed, and the end's
  // own.
  const ProcessFact fact = ProcessOf(seen, id, *before);
  const std::string log_tail =
      unhealthy && fact.status != nullptr ? LastLines(fact.status->log_tail()) : "";
  Close(before->activity(), unhealthy ? v1::ACTIVITY_STATUS_FAILED : v1::ACTIVITY_STATUS_SUCCESSFUL,
        log_tail);
  if (!ending) {
    Note({.group = before->auto_scaling_group(),
          .instance = std::string(id),
          .description = absl::StrCat("Took instance ", std::string(id), " on host ",
                                      before->host(), " out of service: its process is gone"),
          .cause = std::string(cause),
          .log_tail = log_tail});
  }
  v1::Instance after = *before;
  after.set_unhealthy(after.unhealthy() || unhealthy);
  after.clear_activity();
  after.clear_lifecycle_actions();
  draft.Put(id, std::move(after));
  Move(id, v1::INSTANCE_STATE_TERMINATED, cause);
}

}  // namespace remuda::core
