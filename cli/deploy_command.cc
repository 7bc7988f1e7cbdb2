// remuda deploy, shift: from one launch template version to another, or from one target group to
// another; watched.
#include "cli/deploy_command.h"

#include <memory>
#include <ostream>

#include "cli/commands.h"
#include "cli/deploy_watch.h"
#include "cli/deploy_words.h"
#include "cli/find_deployment.h"
#include "cli/printing.h"
#include "cli/strategy_flags.h"
#include "cli/wait.h"

namespace remuda::cli {
namespace {

struct BeginOptions {
  std::string subject;  // the group; or the listener or rule
  std::string to;       // template, or target group
  std::string from;     // target group
  bool scales = false;  // shift: the groups behind, too
  StrategyFlags strategy;
  bool supersede = false;
  bool refuses_failed = false;
  bool dry_run = false;
  bool detach = false;
  WaitTime limit{0};
};

// The group and the version. Without a template the group's own is asked for.
absl::Status SetGroup(const BeginOptions& options, v1::Deployment* out) {
  const auto group = ParseIdOf(KindId::kAutoScalingGroup, options.subject);
  if (!group.ok()) return group.status();
  out->set_auto_scaling_group(*group);
  if (options.to.empty()) return absl::OkStatus();
  const auto to = ParseTemplateRef(options.to);
  if (!to.ok()) return to.status();
  out->mutable_to()->set_launch_template(to->id);
  out->mutable_to()->set_version(to->version);
  return absl::OkStatus();
}

absl::Status SetShift(const BeginOptions& options, v1::Deployment* out) {
  const auto action = ParseAction(options.subject);
  if (!action.ok()) return action.status();
  v1::TrafficShift& shift = *out->mutable_shift();
  if (action->kind->id == KindId::kRule) {
    shift.set_rule(FullName(KindId::kRule, action->id));
  } else {
    shift.set_listener(FullName(KindId::kListener, action->id));
  }
  const auto to = ParseIdOf(KindId::kTargetGroup, options.to);
  if (!to.ok()) return to.status();
  shift.set_to_target_group(*to);
  shift.set_scale_groups(options.scales);
  if (options.from.empty()) return absl::OkStatus();
  const auto from = ParseIdOf(KindId::kTargetGroup, options.from);
  if (!from.ok()) return from.status();
  shift.set_from_target_group(*from);
  return absl::OkStatus();
}

absl::Status SetTemplateOfGroup(const ControllerClient& client, v1::Deployment* out) {
  const auto found =
      GetResource(client, KindId::kAutoScalingGroup, ShortId(out->auto_scaling_group()));
  if (!found.ok()) return found.status();
  const auto& group = static_cast<const v1::AutoScalingGroup&>(**found);
  out->mutable_to()->set_launch_template(ShortId(group.launch_template().launch_template()));
  return absl::OkStatus();
}

ExitCode RunBegin(Context& context, const BeginOptions& options, FlagsOf what) {
  v1::CreateDeploymentRequest request;
  v1::Deployment& deployment = *request.mutable_deployment();
  const absl::Status subject =
      what == FlagsOf::kGroup ? SetGroup(options, &deployment) : SetShift(options, &deployment);
  if (!subject.ok()) return FailUsage(context, std::string(subject.message()));
  const auto file = ReadSettingsFile(options.strategy.file);
  if (!file.ok()) return Fail(context, file.status());
  const absl::Status settings = SetSettings(options.strategy, *file, &deployment);
  if (!settings.ok()) return FailUsage(context, std::string(settings.message()));
  request.set_supersede(options.supersede);
  request.set_refuse_failed(options.refuses_failed);
  request.set_validate_only(options.dry_run);
  request.set_request_id(NewRequestId());

  InterruptFlag interrupt;
  const ControllerClient client(context.settings);
  if (what == FlagsOf::kGroup && options.to.empty()) {
    const absl::Status found = SetTemplateOfGroup(client, &deployment);
    if (!found.ok()) return Fail(context, found);
  }
  const auto begun = client.Call<v1::Deployment>(
      *client.deployments, &v1::DeploymentService::Stub::CreateDeployment, request);
  if (!begun.ok()) return FailSettings(context, *file, begun.status());
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

void AddBeginFlags(CLI::App* command, Context& context, FlagsOf what, BeginOptions& options) {
  AddStrategyFlags(command, what, options.strategy);
  if (what == FlagsOf::kGroup) {
    command->add_flag("--supersede", options.supersede, "Replace a deployment that is under way");
    command->add_flag("--unchanged", options.refuses_failed,
                      "Nothing has changed since: refuse what failed or was rolled back last time");
  }
  command->add_flag("--dry-run", options.dry_run,
                    "Only check, and print the plan: its steps and what each waits for");
  command->add_flag("--detach", options.detach, "Do not watch");
  AddWatchLimit(command, options.limit);
  AddOutputFlag(command, context);
}

}  // namespace

void PrintPlan(Context& context, const v1::Deployment& deployment) {
  if (!IsTable(context.output)) return PrintResource(context, KindId::kDeployment, deployment);
  for (const std::string& line : PlanLines(deployment)) context.out << Printable(line) << "\n";
  context.out.flush();
}

void PrintStarted(Context& context, const v1::Deployment& deployment) {
  if (context.output == OutputFormat::kTable || context.output == OutputFormat::kName) {
    context.out << deployment.name() << std::endl;
  } else {
    PrintResource(context, KindId::kDeployment, deployment);
  }
  context.err << "Watch it: `remuda deployment watch " << ShortId(deployment.name()) << "`"
              << std::endl;
}

void AddDeployCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("deploy", "Move a group to another template version");
  auto options = std::make_shared<BeginOptions>();
  command->add_option("group", options->subject, "The group: asg/NAME")->required();
  command->add_option("--template", options->to,
                      "TEMPLATE:VERSION, TEMPLATE:latest or :default; without a version the "
                      "newest; left out: the newest of the group's own");
  AddBeginFlags(command, context, FlagsOf::kGroup, *options);
  SetExample(command,
             "remuda deploy asg/blue --template shop:2 --bake 30s\n"
             "  remuda deploy asg/blue --strategy canary --percent 5 --interval 10m --dry-run\n"
             "  remuda deploy asg/blue --file steps.yaml");
  SetRun(command, context,
         [&context, options] { return RunBegin(context, *options, FlagsOf::kGroup); });
}

void AddShiftCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand(
      "shift", "Move a listener's or rule's traffic from one target group to another");
  auto options = std::make_shared<BeginOptions>();
  command
      ->add_option("action", options->subject,
                   "The listener or rule: lb/LOAD-BALANCER/LISTENER[/RULE]")
      ->required();
  command->add_option("--to", options->to, "The target group to move it to")->required();
  command->add_option("--from", options->from,
                      "The one that has it; left out: the only other one with a weight");
  command->add_flag("--scale", options->scales,
                    "First bring the group behind the new one up to as many instances as the old "
                    "one's has, and at the end the old one's down to its min");
  AddBeginFlags(command, context, FlagsOf::kShift, *options);
  SetExample(
      command,
      "remuda shift lb/shop/8080 --to green --scale --bake 5m\n"
      "  remuda shift lb/shop/8080/10 --to green --strategy canary --percent 5 --interval 10m "
      "--preview-header x-canary=yes");
  SetRun(command, context,
         [&context, options] { return RunBegin(context, *options, FlagsOf::kShift); });
}

}  // namespace remuda::cli
