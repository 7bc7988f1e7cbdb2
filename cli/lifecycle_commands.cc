// remuda suspend, resume, asg, refresh: verbs on a group's own doings.
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <memory>
#include <optional>
#include <ostream>

#include "cli/commands.h"
#include "cli/deploy_command.h"
#include "cli/deploy_watch.h"
#include "cli/group_size.h"
#include "cli/printing.h"
#include "cli/scaling_processes.h"
#include "cli/wait.h"

namespace remuda::cli {
namespace {

struct GroupVerbOptions {
  std::string group;
  std::vector<std::string> processes;      // suspend, resume
  std::string reason;                      // suspend
  std::vector<std::string> target_groups;  // attach and detach target groups
};

struct RefreshOptions {
  std::string group;
  std::optional<int> min_healthy_percent;
  std::optional<int> max_percent;
  bool dry_run = false;
  bool detach = false;
  WaitTime limit{0};
};

// `request` with its name, sent; what the group is then is given to `print`.
template <typename Request, typename Method, typename Print>
ExitCode ChangeGroup(Context& context, const GroupVerbOptions& options, Method method,
                     Request request, Print print) {
  const auto id = ParseIdOf(KindId::kAutoScalingGroup, options.group);
  if (!id.ok()) return FailUsage(context, std::string(id.status().message()));
  request.set_name(FullName(KindId::kAutoScalingGroup, *id));
  request.set_request_id(NewRequestId());
  const ControllerClient client(context.settings);
  const auto group = client.Call<v1::AutoScalingGroup>(*client.lifecycle, method, request);
  if (!group.ok()) return Fail(context, group.status());
  print(client, *id, *group);
  return ExitCode::kOk;
}

template <typename Request, typename Method>
ExitCode ChangeProcesses(Context& context, const GroupVerbOptions& options, Method method,
                         Request request) {
  for (const std::string& word : options.processes) {
    const auto process = ParseProcess(word);
    if (!process.ok()) return FailUsage(context, std::string(process.status().message()));
    request.add_processes(*process);
  }
  return ChangeGroup(context, options, method, request,
                     [&](const ControllerClient& client, const std::string& id,
                         const v1::AutoScalingGroup& group) {
                       if (context.output != OutputFormat::kTable)
                         return PrintAsRead(context, client, KindId::kAutoScalingGroup, id, group);
                       const std::string suspended = SuspendedText(group);
                       context.out << group.name() << ": "
                                   << (suspended.empty() ? "nothing is suspended"
                                                         : "suspended: " + Printable(suspended))
                                   << std::endl;
                     });
}

ExitCode RunSuspend(Context& context, const GroupVerbOptions& options) {
  v1::SuspendProcessesRequest request;
  request.set_reason(options.reason);
  return ChangeProcesses(context, options, &v1::LifecycleService::Stub::SuspendProcesses, request);
}

ExitCode RunResume(Context& context, const GroupVerbOptions& options) {
  return ChangeProcesses(context, options, &v1::LifecycleService::Stub::ResumeProcesses,
                         v1::ResumeProcessesRequest());
}

template <typename Request, typename Method>
ExitCode ChangeTargetGroups(Context& context, const GroupVerbOptions& options, Method method) {
  Request request;
  for (const std::string& word : options.target_groups) {
    const auto id = ParseIdOf(KindId::kTargetGroup, word);
    if (!id.ok()) return FailUsage(context, std::string(id.status().message()));
    request.add_target_groups(FullName(KindId::kTargetGroup, *id));
  }
  return ChangeGroup(context, options, method, request,
                     [&context](const ControllerClient& client, const std::string& id,
                                const v1::AutoScalingGroup& group) {
                       PrintAsRead(context, client, KindId::kAutoScalingGroup, id, group);
                     });
}

ExitCode RunRefresh(Context& context, const RefreshOptions& options) {
  const auto id = ParseIdOf(KindId::kAutoScalingGroup, options.group);
  if (!id.ok()) return FailUsage(context, std::string(id.status().message()));
  v1::StartInstanceRefreshRequest request;
  request.set_name(FullName(KindId::kAutoScalingGroup, *id));
  if (options.min_healthy_percent.has_value())
    request.set_min_healthy_percent(*options.min_healthy_percent);
  if (options.max_percent.has_value()) request.set_max_percent(*options.max_percent);
  request.set_validate_only(options.dry_run);
  request.set_request_id(NewRequestId());
  InterruptFlag interrupt;
  const ControllerClient client(context.settings);
  const auto begun = client.Call<v1::Deployment>(
      *client.lifecycle, &v1::LifecycleService::Stub::StartInstanceRefresh, request);
  if (!begun.ok()) return Fail(context, begun.status());
  if (options.dry_run) {
    PrintPlan(context, *begun);
    return ExitCode::kOk;
  }
  if (options.detach) {
    PrintStarted(context, *begun);
    return ExitCode::kOk;
  }
  return WatchDeploymentToEnd(context, client, *begun, {.limit = options.limit}, interrupt);
}

CLI::App* AddProcessesCommand(CLI::App& app, Context& context, const char* name, const char* help,
                              const std::shared_ptr<GroupVerbOptions>& options) {
  auto* command = app.add_subcommand(name, help);
  command->add_option("group", options->group, "The group: asg/NAME")->required();
  command->add_option("processes", options->processes,
                      absl::StrCat(absl::StrJoin(ProcessWords(), ", "), "; none: all"));
  AddOutputFlag(command, context);
  SetExample(command, absl::StrCat("remuda ", name, " asg/blue launch terminate"));
  return command;
}

}  // namespace

void AddSuspendCommand(CLI::App& app, Context& context) {
  auto options = std::make_shared<GroupVerbOptions>();
  auto* command = AddProcessesCommand(app, context, "suspend",
                                      "Stop some of what a group does by itself", options);
  command->add_option("--reason", options->reason, "Why, for who looks at the group");
  SetExample(command, "remuda suspend asg/blue launch terminate --reason 'moving the database'");
  SetRun(command, context, [&context, options] { return RunSuspend(context, *options); });
}

void AddResumeCommand(CLI::App& app, Context& context) {
  auto options = std::make_shared<GroupVerbOptions>();
  auto* command = AddProcessesCommand(app, context, "resume",
                                      "Have a group do again what was suspended", options);
  SetRun(command, context, [&context, options] { return RunResume(context, *options); });
}

void AddAsgCommand(CLI::App& app, Context& context) {
  auto* command =
      app.add_subcommand("asg", "Change which target groups a group's instances are in");
  command->require_subcommand(1);
  auto options = std::make_shared<GroupVerbOptions>();
  const auto add = [&](const char* name, const char* help, auto run) {
    auto* sub = command->add_subcommand(name, help);
    sub->add_option("group", options->group, "The group: asg/NAME")->required();
    sub->add_option("target-groups", options->target_groups, "Target groups, one or more")
        ->required();
    AddOutputFlag(sub, context);
    SetExample(sub, absl::StrCat("remuda asg ", name, " asg/blue tg/admin"));
    SetRun(sub, context, run);
  };
  add("attach-target-group", "Register its instances in more target groups", [&context, options] {
    return ChangeTargetGroups<v1::AttachTargetGroupsRequest>(
        context, *options, &v1::LifecycleService::Stub::AttachTargetGroups);
  });
  add("detach-target-group", "Drain its instances from target groups", [&context, options] {
    return ChangeTargetGroups<v1::DetachTargetGroupsRequest>(
        context, *options, &v1::LifecycleService::Stub::DetachTargetGroups);
  });
  SetExample(command, "remuda asg attach-target-group asg/blue tg/admin");
}

void AddRefreshCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand(
      "refresh", "Replace all instances of a group by new ones of the same version");
  auto options = std::make_shared<RefreshOptions>();
  command->add_option("group", options->group, "The group: asg/NAME")->required();
  command->add_option("--min-healthy-percent,--min-healthy", options->min_healthy_percent,
                      "Per cent that stays in service (default 90)");
  command->add_option("--max-percent", options->max_percent,
                      "Per cent that may run at once (default 110)");
  command->add_flag("--dry-run", options->dry_run,
                    "Only check, and print the plan: its steps and what each waits for");
  command->add_flag("--detach", options->detach, "Do not watch");
  AddWatchLimit(command, options->limit);
  AddOutputFlag(command, context);
  SetExample(command, "remuda refresh asg/blue --min-healthy-percent 100");
  SetRun(command, context, [&context, options] { return RunRefresh(context, *options); });
}

}  // namespace remuda::cli
