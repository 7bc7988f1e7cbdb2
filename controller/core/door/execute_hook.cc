// Commands on what instances wait for, by people and by the instances' own apps.
#include <algorithm>

#include "controller/core/door/done.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/lifecycle_hooks.h"

namespace remuda::core {
namespace {

using v1::LifecycleActionResult;

constexpr std::string_view kPerson = "a person";
constexpr std::string_view kApp = "its app";

// Index of the action that the name says.
absl::StatusOr<int> FindHeld(const v1::Instance& row, const std::string& hook) {
  const auto& actions = row.lifecycle_actions();
  const v1::InstanceState life = LifeOf(row);  // its host may be silent
  const bool waits =
      life == v1::INSTANCE_STATE_PENDING_WAIT || life == v1::INSTANCE_STATE_TERMINATING_WAIT;
  if (!waits || actions.empty()) {
    return FailedPrecondition("NOT_WAITING",
                              absl::StrCat(row.name(), ": it waits for no hook now"));
  }
  if (hook.empty()) {
    if (actions.size() == 1) return 0;
    return InvalidField("hook", absl::StrCat("must be given: ", row.name(), " waits for ",
                                             actions.size(), " hooks"));
  }
  const auto it = std::find_if(actions.begin(), actions.end(),
                               [&](const auto& action) { return action.hook() == hook; });
  if (it != actions.end()) return static_cast<int>(it - actions.begin());
  return FailedPrecondition("NOT_WAITING",
                            absl::StrCat(row.name(), ": it does not wait for hook ", Quoted(hook)));
}

absl::Status Complete(Draft& draft, const Context& context, const Row<v1::Instance>& row,
                      const std::string& hook, bool abandon, std::string_view asker) {
  const absl::StatusOr<int> index = FindHeld(*row.value, hook);
  if (!index.ok()) return index.status();
  v1::Instance value = *row.value;
  const std::string name = value.lifecycle_actions(*index).hook();
  value.mutable_lifecycle_actions()->DeleteSubrange(*index, 1);
  const std::string done =
      absl::StrCat(abandon ? "Abandoned" : "Completed", " hook ", name, " of ", value.name());
  if (abandon) {
    value.clear_lifecycle_actions();
    // One that launches is ended for it; one that ends does so at once.
    if (LifeOf(value) == v1::INSTANCE_STATE_PENDING_WAIT) {
      value.set_unhealthy(true);
      value.set_state_reason(absl::StrCat(std::string(asker), " abandoned it at hook ", name));
    }
  }
  NoteDone(draft, context,
           {.resource = NameOf<v1::AutoScalingGroup>(value.auto_scaling_group()),
            .description = done,
            .cause = absl::StrCat(std::string(asker), " asked for it"),
            .instance = row.id});
  draft.Put(row.id, std::move(value));
  return absl::OkStatus();
}

absl::Status Beat(Draft& draft, const Context& context, const Row<v1::Instance>& row,
                  const std::string& name) {
  const absl::StatusOr<int> index = FindHeld(*row.value, name);
  if (!index.ok()) return index.status();
  v1::Instance value = *row.value;
  v1::LifecycleAction& action = *value.mutable_lifecycle_actions(*index);
  const auto group = draft.Find<v1::AutoScalingGroup>(value.auto_scaling_group());
  const v1::LifecycleHook* hook = group == nullptr ? nullptr : FindHook(*group, action.hook());
  if (hook == nullptr) return absl::OkStatus();  // it holds nobody any more
  const Time deadline = DeadlineAfterBeat(*hook, action, context.now);
  // One that moves it by little is no edit: apps beat as often as they like.
  const Duration least = FromProto(hook->heartbeat_timeout()) / kBeatsATimeout;
  if (deadline < FromProto(action.heartbeat_deadline()) + least) return absl::OkStatus();
  *action.mutable_heartbeat_deadline() = ToProto(deadline);
  draft.Put(row.id, std::move(value));
  return absl::OkStatus();
}

// Without an activity: workers do so for each job, and the history would hold nothing else.
void Protect(Draft& draft, const Row<v1::Instance>& row, bool on) {
  if (row.value->app_protected() == on) return;
  v1::Instance value = *row.value;
  value.set_app_protected(on);
  draft.Put(row.id, std::move(value));
}

}  // namespace

absl::StatusOr<v1::Instance> Execute(Draft& draft,
                                     const v1::CompleteLifecycleActionRequest& request,
                                     const Context& context) {
  if (request.result() != v1::LIFECYCLE_ACTION_RESULT_CONTINUE &&
      request.result() != v1::LIFECYCLE_ACTION_RESULT_ABANDON) {
    return InvalidField("result", "must be CONTINUE or ABANDON");
  }
  const auto row = FindRow<v1::Instance>(draft, "name", request.name());
  if (!row.ok()) return row.status();
  const bool abandon = request.result() == v1::LIFECYCLE_ACTION_RESULT_ABANDON;
  if (absl::Status done = Complete(draft, context, *row, request.hook(), abandon, kPerson);
      !done.ok()) {
    return done;
  }
  return Answer<v1::Instance>(draft, context, row->id);
}

absl::StatusOr<v1::Instance> Execute(Draft& draft,
                                     const v1::RecordLifecycleActionHeartbeatRequest& request,
                                     const Context& context) {
  const auto row = FindRow<v1::Instance>(draft, "name", request.name());
  if (!row.ok()) return row.status();
  if (absl::Status done = Beat(draft, context, *row, request.hook()); !done.ok()) return done;
  return Answer<v1::Instance>(draft, context, row->id);
}

absl::StatusOr<AppState> Execute(Draft& draft, const AppWish& wish, const Context& engine) {
  const std::string actor = absl::StrCat("agent/", wish.host);
  Context context = engine;
  context.who = {.actor = actor};
  const agent::v1::AppCall& call = wish.call;
  const auto found = draft.Find<v1::Instance>(call.instance());
  // An agent speaks for what it runs, and for nothing else.
  if (found == nullptr || found->host() != wish.host ||
      found->state() == v1::INSTANCE_STATE_TERMINATED) {
    return NotFound(NameOf<v1::Instance>(call.instance()));
  }
  const Row<v1::Instance> row{call.instance(), found};
  absl::Status done;
  switch (call.call_case()) {
    case agent::v1::AppCall::kSetProtection:
      Protect(draft, row, call.set_protection());
      break;
    case agent::v1::AppCall::kComplete:
      done = Complete(draft, context, row, call.complete().hook(), call.complete().abandon(), kApp);
      break;
    case agent::v1::AppCall::kHeartbeat:
      done = Beat(draft, context, row, call.heartbeat().hook());
      break;
    case agent::v1::AppCall::kDescribe:
      break;
    case agent::v1::AppCall::CALL_NOT_SET:
      return InvalidField("call", "must be given");
  }
  if (!done.ok()) return done;
  return AppState{*draft.Find<v1::Instance>(call.instance())};
}

}  // namespace remuda::core
