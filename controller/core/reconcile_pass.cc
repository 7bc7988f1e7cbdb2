#include "controller/core/reconcile_pass.h"

#include <absl/strings/str_cat.h>

#include "controller/core/health.h"

namespace remuda::core {
namespace {

// Whole lines, so that no character is cut.
std::string LastLines(const std::string& text) {
  if (text.size() <= kLogTailBytes) return text;
  const size_t newline = text.find('\n', text.size() - kLogTailBytes);
  return newline == std::string::npos ? "" : text.substr(newline + 1);
}

}  // namespace

std::string Pass::Note(const Story& story) {
  v1::Activity activity;
  activity.set_resource(absl::StrCat("autoScalingGroups/", story.group));
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

void Pass::Close(std::string_view activity, v1::ActivityStatus status,
                 const std::string& log_tail) {
  const auto before = draft.Find<v1::Activity>(activity);
  if (before == nullptr || before->status() != v1::ACTIVITY_STATUS_IN_PROGRESS) return;
  v1::Activity after = *before;
  after.set_status(status);
  after.set_log_tail(log_tail);
  *after.mutable_end_time() = ToProto(now);
  Put(activity, std::move(after));
}

bool Pass::MassLoss() {
  if (mass_loss_.has_value()) return *mass_loss_;
  int known = 0;
  int lost = 0;
  draft.ForEach<v1::Host>([&](const std::string& id, const v1::Host&) {
    ++known;
    if (IsLost(seen, id, now)) ++lost;
  });
  mass_loss_ = known >= kMassLossMinHosts && 2 * lost > known;
  return *mass_loss_;
}

void Pass::Move(std::string_view id, v1::InstanceState state, std::string_view reason) {
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

void Pass::Drain(std::string_view id, std::string_view cause, bool unhealthy) {
  const auto before = draft.Find<v1::Instance>(id);
  if (before->state() == v1::INSTANCE_STATE_DRAINING ||
      before->state() == v1::INSTANCE_STATE_STOPPING ||
      before->state() == v1::INSTANCE_STATE_TERMINATED) {
    return;
  }
  Close(before->activity(), unhealthy ? v1::ACTIVITY_STATUS_FAILED : v1::ACTIVITY_STATUS_CANCELLED);
  v1::Instance after = *before;
  after.set_unhealthy(after.unhealthy() || unhealthy);
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

void Pass::Terminate(std::string_view id, std::string_view cause, bool unhealthy) {
  const auto before = draft.Find<v1::Instance>(id);
  const bool ending = before->state() == v1::INSTANCE_STATE_DRAINING ||
                      before->state() == v1::INSTANCE_STATE_STOPPING;
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
  draft.Put(id, std::move(after));
  Move(id, v1::INSTANCE_STATE_TERMINATED, cause);
}

}  // namespace remuda::core
