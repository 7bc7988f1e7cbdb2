// What proxies say of their listeners becomes part of a load balancer's history.
#include "controller/core/door/done.h"

namespace remuda::core {

absl::StatusOr<Empty> Execute(Draft& draft, const NoteListener& command, const Context& context) {
  const auto& [balancer, port] = command.listener;
  // It may have been deleted since the proxy was told of it.
  if (draft.Find<v1::LoadBalancer>(balancer) == nullptr) return Empty();
  const bool listens = command.error.empty();
  v1::Activity activity;
  activity.set_resource(NameOf<v1::LoadBalancer>(balancer));
  activity.set_description(absl::StrCat("Listener ", port, listens ? " is open" : " is not open",
                                        " at proxy ", command.proxy,
                                        listens ? " again" : "; it tries again by itself"));
  activity.set_cause(listens ? "the proxy could open it after all" : command.error);
  activity.set_status(listens ? v1::ACTIVITY_STATUS_SUCCESSFUL : v1::ACTIVITY_STATUS_FAILED);
  *activity.mutable_start_time() = ToProto(context.now);
  *activity.mutable_end_time() = ToProto(context.now);
  draft.Note(std::move(activity));
  return Empty();
}

}  // namespace remuda::core
