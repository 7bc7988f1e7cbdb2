// Commands on hosts and proxies.
#include "controller/core/door/done.h"
#include "controller/core/model/words.h"

namespace remuda::core {
namespace {

template <class Request>
absl::StatusOr<v1::Host> SetSchedule(Draft& draft, const Request& request,
                                     v1::HostSchedule schedule, std::string_view verb,
                                     const Context& context) {
  const auto row = FindRowToWrite<v1::Host>(draft, request);
  if (!row.ok()) return row.status();
  v1::Host value = *row->value;
  if (value.schedule() != schedule) {
    value.set_schedule(schedule);
    NoteDone(draft, context,
             {.resource = value.name(),
              .description = absl::StrCat(std::string(verb), " ", value.name())});
    draft.Put(row->id, std::move(value));
  }
  return Answer<v1::Host>(draft, context, row->id);
}

// Records what the host still has as terminated. If the host comes back after all, its processes
// are ended. Answers how many there were.
int GiveUpInstances(Draft& draft, const std::string& host, const Context& context) {
  int count = 0;
  for (const auto& [id, before] : draft.InstancesOnHost(host)) {
    if (before->state() == v1::INSTANCE_STATE_TERMINATED) continue;
    ++count;
    const std::string cause = absl::StrCat("its host ", host, " was lost, and then deleted");
    if (const auto activity = draft.Find<v1::Activity>(before->activity());
        activity != nullptr && activity->status() == v1::ACTIVITY_STATUS_IN_PROGRESS) {
      v1::Activity ended = *activity;
      ended.set_status(v1::ACTIVITY_STATUS_CANCELLED);
      *ended.mutable_end_time() = ToProto(context.now);
      draft.Put(before->activity(), std::move(ended));
    }
    v1::Instance after = *before;
    after.set_state(v1::INSTANCE_STATE_TERMINATED);
    after.set_state_reason(cause);
    *after.mutable_state_time() = ToProto(context.now);
    after.clear_activity();
    after.clear_lifecycle_actions();
    after.clear_standby_requested();
    after.clear_detach_requested();
    after.clear_in_warm_pool();
    draft.Put(id, std::move(after));
    NoteDone(draft, context,
             {.resource = before->auto_scaling_group().empty()
                              ? before->name()
                              : NameOf<v1::AutoScalingGroup>(before->auto_scaling_group()),
              .description = absl::StrCat("Recorded instance ", id, " as terminated"),
              .cause = cause,
              .instance = id});
  }
  return count;
}

}  // namespace

absl::StatusOr<v1::Host> Execute(Draft& draft, const v1::CordonHostRequest& request,
                                 const Context& context) {
  return SetSchedule(draft, request, v1::HOST_SCHEDULE_CORDONED, "Cordoned", context);
}

absl::StatusOr<v1::Host> Execute(Draft& draft, const v1::UncordonHostRequest& request,
                                 const Context& context) {
  return SetSchedule(draft, request, v1::HOST_SCHEDULE_ACTIVE, "Uncordoned", context);
}

absl::StatusOr<v1::Host> Execute(Draft& draft, const v1::DrainHostRequest& request,
                                 const Context& context) {
  return SetSchedule(draft, request, v1::HOST_SCHEDULE_DRAINING, "Began to drain", context);
}

absl::StatusOr<Empty> Execute(Draft& draft, const v1::DeleteHostRequest& request,
                              const Context& context) {
  const auto row = FindRowToWrite<v1::Host>(draft, request);
  if (!row.ok()) return row.status();
  const std::string& full = row->value->name();
  const HostObservation* seen = FindObservation(context.seen.hosts, row->id);
  // A controller that has just begun has not heard from everyone: silence means something only
  // after a full patience.
  if ((seen != nullptr && seen->connected) ||
      LastSeen(context.seen, seen) + context.seen.patience.host_lost_after > context.now) {
    return FailedPrecondition("HOST_CONNECTED",
                              absl::StrCat(full, ": its agent is connected, or was less than ",
                                           DurationText(context.seen.patience.host_lost_after),
                                           " ago; stop it and wait until the host is lost"));
  }
  const int gone = GiveUpInstances(draft, row->id, context);
  draft.Delete<v1::Host>(row->id);
  NoteDone(draft, context,
           {.resource = full,
            .description =
                gone == 0 ? absl::StrCat("Forgot ", full)
                          : absl::StrCat("Forgot ", full, " and its ", Counted(gone, "instance")),
            .cause = "a person said that it is gone for good"});
  return Empty();
}

absl::StatusOr<Empty> Execute(Draft& draft, const v1::DeleteProxyRequest& request,
                              const Context& context) {
  const auto row = FindRowToWrite<v1::Proxy>(draft, request);
  if (!row.ok()) return row.status();
  const std::string& full = row->value->name();
  const ProxyObservation* seen = FindObservation(context.seen.proxies, row->id);
  if ((seen != nullptr && seen->connected) ||
      LastSeen(context.seen, seen) + context.seen.patience.proxy_lease > context.now) {
    return FailedPrecondition(
        "PROXY_LIVE",
        absl::StrCat(
            full,
            ": it is connected, or its lease is not over: it may be serving its last config"));
  }
  draft.Delete<v1::Proxy>(row->id);
  NoteDone(draft, context, {.resource = full, .description = absl::StrCat("Forgot ", full)});
  return Empty();
}

}  // namespace remuda::core
