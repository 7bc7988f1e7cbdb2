// remuda instance, hook: verbs on one instance.
#include <absl/strings/str_cat.h>

#include <functional>
#include <memory>
#include <ostream>

#include "cli/commands.h"
#include "cli/printing.h"
#include "cli/wait.h"

namespace remuda::cli {
namespace {

using Lifecycle = v1::LifecycleService::Stub;

struct InstanceOptions {
  std::string instance;
  std::string group;       // list, attach
  bool all = false;        // list
  bool decrement = false;  // terminate, standby, detach
  WaitTime wait{0};
  std::string hook;                 // hook
  std::string result = "continue";  // hook complete
};

ExitCode ListInstances(Context& context, const InstanceOptions& options) {
  ListFilter filter;
  filter.show_terminated = options.all;
  return ShowListOf(context, KindId::kInstance, KindId::kAutoScalingGroup, options.group, filter);
}

// What --wait waits for, of the instance by its id; null: nothing.
using AwaitedOf = Missing (*)(const ControllerClient& client, const std::string& id);

Missing InService(const ControllerClient& client, const std::string& id) {
  return InstanceIs(client, id, v1::INSTANCE_STATE_IN_SERVICE);
}

Missing StandsBy(const ControllerClient& client, const std::string& id) {
  return InstanceIs(client, id, v1::INSTANCE_STATE_STANDBY);
}

// `request` with its name, sent by `method` of `stub`; the instance is printed.
template <typename Stub, typename Method, typename Request>
ExitCode ChangeInstance(Context& context, const InstanceOptions& options,
                        const std::unique_ptr<Stub> ControllerClient::*stub, Method method,
                        Request request, AwaitedOf awaited = nullptr) {
  const auto id = ParseIdOf(KindId::kInstance, options.instance);
  if (!id.ok()) return FailUsage(context, std::string(id.status().message()));
  request.set_name(FullName(KindId::kInstance, *id));
  request.set_request_id(NewRequestId());
  const ControllerClient client(context.settings);
  const auto instance = client.Call<v1::Instance>(*(client.*stub), method, request);
  if (!instance.ok()) return Fail(context, instance.status());
  if (awaited == nullptr || options.wait == WaitTime(0)) {
    PrintResource(context, KindId::kInstance, *instance);
    return ExitCode::kOk;
  }
  const ExitCode code = Await(context, options.wait, awaited(client, *id));
  if (code != ExitCode::kOk) return code;
  PrintAsRead(context, client, KindId::kInstance, *id, *instance);
  return ExitCode::kOk;
}

ExitCode RunTerminate(Context& context, const InstanceOptions& options) {
  v1::TerminateInstanceRequest request;
  request.set_decrement_desired(options.decrement);
  return ChangeInstance(context, options, &ControllerClient::auto_scaling,
                        &v1::AutoScalingService::Stub::TerminateInstance, request, InstanceEnded);
}

ExitCode Protect(Context& context, const InstanceOptions& options, bool is_protected) {
  v1::SetInstanceProtectionRequest request;
  request.set_protected_from_scale_in(is_protected);
  return ChangeInstance(context, options, &ControllerClient::lifecycle,
                        &Lifecycle::SetInstanceProtection, request);
}

ExitCode RunStandby(Context& context, const InstanceOptions& options) {
  v1::EnterStandbyRequest request;
  request.set_decrement_desired(options.decrement);
  return ChangeInstance(context, options, &ControllerClient::lifecycle, &Lifecycle::EnterStandby,
                        request, StandsBy);
}

ExitCode RunActivate(Context& context, const InstanceOptions& options) {
  return ChangeInstance(context, options, &ControllerClient::lifecycle, &Lifecycle::ExitStandby,
                        v1::ExitStandbyRequest(), InService);
}

ExitCode RunDetach(Context& context, const InstanceOptions& options) {
  v1::DetachInstanceRequest request;
  request.set_decrement_desired(options.decrement);
  return ChangeInstance(context, options, &ControllerClient::lifecycle, &Lifecycle::DetachInstance,
                        request, InstanceDetached);
}

ExitCode RunAttach(Context& context, const InstanceOptions& options) {
  const auto group = ParseIdOf(KindId::kAutoScalingGroup, options.group);
  if (!group.ok()) return FailUsage(context, std::string(group.status().message()));
  v1::AttachInstanceRequest request;
  request.set_auto_scaling_group(FullName(KindId::kAutoScalingGroup, *group));
  return ChangeInstance(context, options, &ControllerClient::lifecycle, &Lifecycle::AttachInstance,
                        request, InService);
}

ExitCode CompleteHook(Context& context, const InstanceOptions& options) {
  v1::CompleteLifecycleActionRequest request;
  request.set_hook(options.hook);
  request.set_result(options.result == "abandon" ? v1::LIFECYCLE_ACTION_RESULT_ABANDON
                                                 : v1::LIFECYCLE_ACTION_RESULT_CONTINUE);
  return ChangeInstance(context, options, &ControllerClient::lifecycle,
                        &Lifecycle::CompleteLifecycleAction, request);
}

ExitCode BeatHook(Context& context, const InstanceOptions& options) {
  v1::RecordLifecycleActionHeartbeatRequest request;
  request.set_hook(options.hook);
  return ChangeInstance(context, options, &ControllerClient::lifecycle,
                        &Lifecycle::RecordLifecycleActionHeartbeat, request);
}

// Subcommands that name an instance first.
class InstanceVerbs {
 public:
  InstanceVerbs(CLI::App* command, Context& context) : command_(command), context_(context) {}

  template <typename Run>
  CLI::App* Add(const char* verb, const char* help, const char* rest, Run run) {
    auto* sub = command_->add_subcommand(verb, help);
    sub->add_option("id", options_->instance, "The instance")->required();
    AddOutputFlag(sub, context_);
    SetExample(sub,
               absl::StrCat("remuda ", command_->get_name(), " ", verb, " i-000000000c", rest));
    SetRun(sub, context_,
           [&context = context_, options = options_, run] { return run(context, *options); });
    return sub;
  }
  // Of those that take an instance from those in service.
  void AddDecrement(CLI::App* sub) {
    sub->add_flag("--decrement", options_->decrement,
                  "Lower the group's desired by one instead of replacing it");
  }
  void AddWait(CLI::App* sub, const char* until) { AddWaitFlag(sub, options_->wait, until); }
  InstanceOptions& options() { return *options_; }

 private:
  CLI::App* command_;
  Context& context_;
  std::shared_ptr<InstanceOptions> options_ = std::make_shared<InstanceOptions>();
};

void AddMoving(InstanceVerbs& verbs) {
  auto* standby =
      verbs.Add("standby", "Take an instance out of rotation; it runs on", "", RunStandby);
  verbs.AddDecrement(standby);
  verbs.AddWait(standby, "it stands by");
  auto* activate =
      verbs.Add("activate", "Bring one that stands by back; desired rises by one", "", RunActivate);
  verbs.AddWait(activate, "it is in service");
  auto* detach = verbs.Add("detach", "Take an instance out of its group; it runs on, of no group",
                           " --wait", RunDetach);
  verbs.AddDecrement(detach);
  verbs.AddWait(detach, "it is of no group");
  auto* attach = verbs.Add("attach", "Give a detached instance to a group; desired rises by one",
                           " asg/blue", RunAttach);
  attach->add_option("group", verbs.options().group, "The group: asg/NAME")->required();
  verbs.AddWait(attach, "it is in service");
}

}  // namespace

void AddInstanceCommand(CLI::App& app, Context& context) {
  auto* command =
      app.add_subcommand("instance", "List instances, protect them, move them, and end them");
  command->require_subcommand(1);
  InstanceVerbs verbs(command, context);
  auto* terminate = verbs.Add("terminate", "Drain an instance and end it; it is replaced",
                              " --decrement", RunTerminate);
  verbs.AddDecrement(terminate);
  verbs.AddWait(terminate, "it is terminated");
  verbs.Add("protect", "Keep an instance from scale-in", "",
            [](Context& called, const InstanceOptions& given) {
              return Protect(called, given, /*is_protected=*/true);
            });
  verbs.Add("unprotect", "Keep it from scale-in no more", "",
            [](Context& called, const InstanceOptions& given) {
              return Protect(called, given, /*is_protected=*/false);
            });
  AddMoving(verbs);
  auto options = std::make_shared<InstanceOptions>();
  auto* list = command->add_subcommand("list", "Show instances");
  list->add_option("group", options->group, "Only of this auto scaling group; none: all");
  list->add_flag("--all", options->all, "Also those that are terminated");
  AddOutputFlag(list, context);
  SetExample(list, "remuda instance list blue");
  SetRun(list, context, [&context, options] { return ListInstances(context, *options); });
  SetExample(command,
             "remuda instance terminate i-000000000c\n  remuda instance standby i-000000000c "
             "--decrement");
}

void AddHookCommand(CLI::App& app, Context& context) {
  auto* command =
      app.add_subcommand("hook", "End an instance's wait for a lifecycle hook, or lengthen it");
  command->require_subcommand(1);
  InstanceVerbs verbs(command, context);
  auto* complete =
      verbs.Add("complete", "End the wait", " --hook warm-up --result continue", CompleteHook);
  complete
      ->add_option("--result", verbs.options().result,
                   "continue: it goes on; abandon: it is ended, and another launched in its place")
      ->check(CLI::IsMember({"continue", "abandon"}))
      ->capture_default_str();
  auto* heartbeat = verbs.Add("heartbeat", "Begin the hook's timeout anew", "", BeatHook);
  for (CLI::App* sub : {complete, heartbeat}) {
    sub->add_option("--hook", verbs.options().hook,
                    "The hook's name; left out: the only one that it waits for");
  }
  SetExample(command, "remuda hook complete i-000000000c\n  remuda hook heartbeat i-000000000c");
}

}  // namespace remuda::cli
