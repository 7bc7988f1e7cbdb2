// Commands on one listener of a load balancer, and what proxies say of their listeners, which
// becomes part of a load balancer's history.
#include "controller/core/door/begin_shift.h"
#include "controller/core/door/done.h"
#include "controller/core/door/field_mask.h"
#include "controller/core/door/parts.h"
#include "controller/core/door/prepare.h"

namespace remuda::core {
namespace {

const std::vector<std::string_view>& ListenerReadOnly() {
  static const auto* const kFields = new std::vector<std::string_view>{"name", "etag", "rules"};
  return *kFields;
}

FieldPath ListenerAt(int index) { return FieldPath("listeners")[index]; }

// That no other listener of the load balancer has the port.
void CheckPort(Violations& out, const v1::LoadBalancer& value, int index) {
  const int port = value.listeners(index).port();
  for (int i = 0; i < value.listeners_size(); ++i) {
    if (i == index || value.listeners(i).port() != port) continue;
    out.AddTaken(FieldPath("listener.port"),
                 absl::StrCat(port, " is the port of ", value.listeners(i).name(), " already"));
  }
}

v1::Listener AnswerListener(const Draft& draft, const std::string& balancer, int index) {
  v1::Listener out = draft.Find<v1::LoadBalancer>(balancer)->listeners(index);
  ShowPartEtags(out);
  return out;
}

}  // namespace

absl::StatusOr<v1::Listener> Execute(Draft& draft, const v1::CreateListenerRequest& request,
                                     const Context& context) {
  const auto row = FindRow<v1::LoadBalancer>(draft, "parent", request.parent());
  if (!row.ok()) return row.status();
  Violations violations;
  const std::string name =
      NewPartName(violations, ListenerName(row->id, ""), FieldPath("listener_id"),
                  request.listener_id(), FieldPath("listener.name"), request.listener().name());
  for (const v1::Listener& listener : row->value->listeners()) {
    if (listener.name() == name)
      return AlreadyExists(name, "exists already; update it, or take another name");
  }
  const int index = row->value->listeners_size();
  if (index >= limits::kListenersALoadBalancer) {
    return LimitExceeded("listeners_a_load_balancer",
                         absl::StrCat(row->value->name(), ": it has ", index,
                                      " listeners already, as many as it may have"));
  }
  v1::LoadBalancer value = *row->value;
  *value.add_listeners() = request.listener();
  value.mutable_listeners(index)->set_name(name);
  CheckPort(violations, value, index);
  if (!violations.empty()) return violations.ToStatus();
  if (absl::Status right = PrepareWithPart(violations, ListenerAt(index), FieldPath("listener"),
                                           draft, *row->value, context, value);
      !right.ok()) {
    return right;
  }
  NoteDone(draft, context,
           {.resource = value.name(),
            .description = absl::StrCat("Created ", value.listeners(index).name())});
  draft.Put(row->id, std::move(value));
  return AnswerListener(draft, row->id, index);
}

absl::StatusOr<v1::Listener> Execute(Draft& draft, const v1::UpdateListenerRequest& request,
                                     const Context& context) {
  const v1::Listener& wish = request.listener();
  const auto part = FindListener(draft, "listener.name", wish.name());
  if (!part.ok()) return part.status();
  Violations violations;
  CheckMask(violations, FieldPath("update_mask"), request.update_mask(), wish, ListenerReadOnly());
  if (!violations.empty()) return violations.ToStatus();
  const v1::Listener& before = part->listener();
  if (absl::Status etag = CheckPartEtag(before.name(), EtagOf(before), wish.etag()); !etag.ok())
    return etag;
  v1::LoadBalancer value = *part->row.value;
  v1::Listener& listener = *value.mutable_listeners(part->listener_index);
  if (TakesAll(request.update_mask())) {
    listener = wish;
    *listener.mutable_rules() = before.rules();
    listener.set_name(before.name());
  } else {
    CopyMasked(request.update_mask(), wish, listener);
  }
  CheckPort(violations, value, part->listener_index);
  if (!violations.empty()) return violations.ToStatus();
  if (absl::Status right =
          PrepareWithPart(violations, ListenerAt(part->listener_index), FieldPath("listener"),
                          draft, *part->row.value, context, value);
      !right.ok()) {
    return right;
  }
  const std::vector<std::string> changes =
      Differences(before, value.listeners(part->listener_index));
  if (!changes.empty()) {
    NoteDone(draft, context,
             {.resource = value.name(),
              .description = absl::StrCat("Updated ", before.name(), ": ", Joined(changes))});
    draft.Put(part->row.id, std::move(value));
  }
  return AnswerListener(draft, part->row.id, part->listener_index);
}

absl::StatusOr<Empty> Execute(Draft& draft, const v1::DeleteListenerRequest& request,
                              const Context& context) {
  const auto part = FindListener(draft, "name", request.name());
  if (!part.ok()) return part.status();
  const v1::Listener& listener = part->listener();
  if (absl::Status etag = CheckPartEtag(listener.name(), EtagOf(listener), request.etag());
      !etag.ok()) {
    return etag;
  }
  v1::LoadBalancer value = *part->row.value;
  if (value.listeners_size() == 1) {
    return FailedPrecondition("LAST_LISTENER",
                              absl::StrCat(listener.name(), ": it is the only listener of ",
                                           value.name(), ", which needs one; delete that"));
  }
  value.mutable_listeners()->DeleteSubrange(part->listener_index, 1);
  Violations violations;
  CheckShiftsKept(violations, FieldPath("name"), draft, part->row.id, *part->row.value, value);
  if (!violations.empty()) return violations.ToStatus();
  NoteDone(draft, context,
           {.resource = value.name(), .description = absl::StrCat("Deleted ", listener.name())});
  draft.Put(part->row.id, std::move(value));
  return Empty();
}

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
