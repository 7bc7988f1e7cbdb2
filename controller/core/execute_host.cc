// Commands on hosts and proxies.
#include "controller/core/execute_internal.h"

namespace remuda::core {
namespace {

absl::StatusOr<v1::Host> SetSchedule(Draft& draft, const std::string& name,
                                     v1::HostSchedule schedule, std::string_view verb,
                                     const Context& context) {
  const auto row = FindRow<v1::Host>(draft, "name", name);
  if (!row.ok()) return row.status();
  v1::Host value = *row->value;
  if (value.schedule() != schedule) {
    value.set_schedule(schedule);
    NoteDone(draft, context,
             {.resource = value.name(),
              .description = absl::StrCat(std::string(verb), " ", value.name())});
    draft.Put(row->id, value);
  }
  return value;
}

// Null if it has not reported.
template <class Table>
const typename Table::mapped_type* FindObservation(const Table& table, const std::string& id) {
  const auto it = table.find(id);
  return it == table.end() ? nullptr : &it->second;
}

}  // namespace

absl::StatusOr<v1::Host> Execute(Draft& draft, const v1::CordonHostRequest& request,
                                 const Context& context) {
  return SetSchedule(draft, request.name(), v1::HOST_SCHEDULE_CORDONED, "Cordoned", context);
}

absl::StatusOr<v1::Host> Execute(Draft& draft, const v1::UncordonHostRequest& request,
                                 const Context& context) {
  return SetSchedule(draft, request.name(), v1::HOST_SCHEDULE_ACTIVE, "Uncordoned", context);
}

absl::StatusOr<v1::Host> Execute(Draft& draft, const v1::DrainHostRequest& request,
                                 const Context& context) {
  return SetSchedule(draft, request.name(), v1::HOST_SCHEDULE_DRAINING, "Began to drain", context);
}

absl::StatusOr<v1::DeleteHostResponse> Execute(Draft& draft, const v1::DeleteHostRequest& request,
                                               const Context& context) {
  const auto row = FindRow<v1::Host>(draft, "name", request.name());
  if (!row.ok()) return row.status();
  const std::string& full = row->value->name();
  const HostObservation* seen = FindObservation(context.seen.hosts, row->id);
  // A controller that has just begun has not heard from everyone: silence means something only
  // after a full patience.
  if ((seen != nullptr && seen->connected) ||
      LastSeen(context.seen, seen) + context.seen.patience.host_lost_after > context.now) {
    return FailedPrecondition(
        "HOST_CONNECTED",
        absl::StrCat(full, ": its agent is, or was just, connected; stop it first"));
  }
  for (const auto& [id, instance] : draft.InstancesOnHost(row->id)) {
    if (instance->state() != v1::INSTANCE_STATE_TERMINATED) {
      return FailedPrecondition(
          "HOST_IN_USE", absl::StrCat(full, ": it has instances, for example ", instance->name()));
    }
  }
  draft.Delete<v1::Host>(row->id);
  NoteDone(draft, context, {.resource = full, .description = absl::StrCat("Forgot ", full)});
  return v1::DeleteHostResponse();
}

absl::StatusOr<v1::DeleteProxyResponse> Execute(Draft& draft, const v1::DeleteProxyRequest& request,
                                                const Context& context) {
  const auto row = FindRow<v1::Proxy>(draft, "name", request.name());
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
  return v1::DeleteProxyResponse();
}

}  // namespace remuda::core
