// remuda deploy, deployment: from one template version to another, watched.
#include <absl/strings/str_cat.h>

#include <memory>
#include <optional>
#include <ostream>

#include "cli/commands.h"
#include "cli/deploy_progress.h"
#include "cli/deploy_trouble.h"
#include "cli/deploy_watch.h"
#include "cli/printing.h"
#include "cli/table_layout.h"
#include "common/duration_text.h"

namespace remuda::cli {
namespace {

struct DeployOptions {
  std::string group;
  std::string to;
  std::string strategy = "blue-green";
  std::optional<std::string> bake;
  std::optional<std::string> interval;
  std::optional<int> percent;
  std::optional<int> min_healthy_percent;
  std::optional<int> max_percent;
  std::optional<std::string> health_deadline;
  bool no_automatic_rollback = false;
  bool detach = false;
  bool supersede = false;
};

absl::Status Usage(const std::string& message) { return absl::InvalidArgumentError(message); }

absl::Status SetDuration(const std::optional<std::string>& text, const char* flag,
                         google::protobuf::Duration* out) {
  if (!text.has_value()) return absl::OkStatus();
  const auto wrong = ParseDuration(*text, out);
  return wrong.has_value() ? Usage(absl::StrCat(flag, ": ", *wrong)) : absl::OkStatus();
}

// Flags that the chosen strategy has no use for are mistakes, not decoration.
absl::Status CheckStrategyFlags(const DeployOptions& options) {
  const std::string& strategy = options.strategy;
  const bool is_stepped = strategy == "canary" || strategy == "linear";
  const auto misplaced = [&](bool given, bool fits, const char* flag) {
    return given && !fits ? Usage(absl::StrCat(flag, " is not for --strategy ", strategy))
                          : absl::OkStatus();
  };
  for (const absl::Status& status :
       {misplaced(options.bake.has_value(), strategy != "in-place", "--bake"),
        misplaced(options.interval.has_value(), is_stepped, "--interval"),
        misplaced(options.percent.has_value(), is_stepped, "--percent"),
        misplaced(options.min_healthy_percent.has_value(),
                  strategy == "rolling" || strategy == "in-place", "--min-healthy"),
        misplaced(options.max_percent.has_value(), strategy == "rolling", "--max-percent")}) {
    if (!status.ok()) return status;
  }
  if (is_stepped && !options.percent.has_value()) {
    return Usage("--strategy " + strategy + " needs --percent, the share of the traffic of a step");
  }
  return absl::OkStatus();
}

absl::Status SetStrategy(const DeployOptions& options, v1::DeploymentStrategy* out) {
  if (auto status = CheckStrategyFlags(options); !status.ok()) return status;
  const std::string& strategy = options.strategy;
  if (strategy == "in-place") {
    auto* in_place = out->mutable_in_place();
    if (options.min_healthy_percent.has_value())
      in_place->set_min_healthy_percent(*options.min_healthy_percent);
    return absl::OkStatus();
  }
  if (strategy == "rolling") {
    auto* rolling = out->mutable_rolling();
    if (options.min_healthy_percent.has_value())
      rolling->set_min_healthy_percent(*options.min_healthy_percent);
    if (options.max_percent.has_value()) rolling->set_max_percent(*options.max_percent);
    return options.bake.has_value() ? SetDuration(options.bake, "--bake", rolling->mutable_bake())
                                    : absl::OkStatus();
  }
  google::protobuf::Duration bake, interval;
  if (auto status = SetDuration(options.bake, "--bake", &bake); !status.ok()) return status;
  if (auto status = SetDuration(options.interval, "--interval", &interval); !status.ok())
    return status;
  if (strategy == "canary") {
    out->mutable_canary()->set_percent(*options.percent);
    if (options.interval.has_value()) *out->mutable_canary()->mutable_interval() = interval;
    if (options.bake.has_value()) *out->mutable_canary()->mutable_bake() = bake;
  } else if (strategy == "linear") {
    out->mutable_linear()->set_step_percent(*options.percent);
    if (options.interval.has_value()) *out->mutable_linear()->mutable_interval() = interval;
    if (options.bake.has_value()) *out->mutable_linear()->mutable_bake() = bake;
  } else {
    out->mutable_blue_green();
    if (options.bake.has_value()) *out->mutable_blue_green()->mutable_bake() = bake;
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::CreateDeploymentRequest> RequestOf(const DeployOptions& options) {
  const auto group = ParseIdOf(KindId::kAutoScalingGroup, options.group);
  if (!group.ok()) return group.status();
  const auto to = ParseTemplateRef(options.to);
  if (!to.ok()) return to.status();
  v1::CreateDeploymentRequest request;
  auto& deployment = *request.mutable_deployment();
  deployment.set_auto_scaling_group(*group);
  deployment.mutable_to()->set_launch_template(to->id);
  deployment.mutable_to()->set_version(to->version);
  if (options.no_automatic_rollback) deployment.set_automatic_rollback(false);
  if (auto status = SetStrategy(options, deployment.mutable_strategy()); !status.ok())
    return status;
  if (options.health_deadline.has_value()) {
    auto status = SetDuration(options.health_deadline, "--health-deadline",
                              deployment.mutable_health_deadline());
    if (!status.ok()) return status;
  }
  request.set_supersede(options.supersede);
  request.set_request_id(NewRequestId());
  return request;
}

// Of one that is not watched: its name is what a script goes on with.
void PrintStarted(Context& context, const v1::Deployment& deployment) {
  if (context.output == OutputFormat::kTable || context.output == OutputFormat::kName) {
    context.out << deployment.name() << std::endl;
  } else {
    PrintResource(context, KindId::kDeployment, deployment);
  }
}

ExitCode RunDeploy(Context& context, const DeployOptions& options) {
  const auto request = RequestOf(options);
  if (!request.ok()) return FailUsage(context, std::string(request.status().message()));
  InterruptFlag interrupt;
  const ControllerClient client(context.settings);
  const auto deployment = client.Call<v1::Deployment>(
      *client.deployments, &v1::DeploymentService::Stub::CreateDeployment, *request);
  if (!deployment.ok()) return Fail(context, deployment.status());
  if (options.detach) {
    PrintStarted(context, *deployment);
    context.err << "Watch it: `remuda deployment status " << ShortId(deployment->name())
                << " --watch`" << std::endl;
    return ExitCode::kOk;
  }
  return WatchDeploymentToEnd(context, client, *deployment, v1::DEPLOYMENT_STATE_SUCCEEDED,
                              interrupt);
}

// --- remuda deployment ---

struct SteerOptions {
  std::string name;
  std::string reason;
  bool watch = false;
  bool detach = false;
};

absl::StatusOr<std::string> NewestOf(const ControllerClient& client, const std::string& group) {
  ListFilter filter;
  filter.of = FullName(KindId::kAutoScalingGroup, group);
  filter.limit = 1;
  const auto newest = ListResources(client, KindId::kDeployment, filter);
  if (!newest.ok()) return newest.status();
  if (newest->empty()) return absl::NotFoundError(filter.of + " has had no deployment");
  return static_cast<const v1::Deployment&>(*newest->front()).name();
}

// `blue-3`, `deployments/blue-3`; or `blue`, `asg/blue`: the newest of that group.
absl::StatusOr<std::string> FindDeployment(const ControllerClient& client,
                                           const std::string& word) {
  const bool is_bare = word.find('/') == std::string::npos;
  const auto ref = is_bare ? ParseRef("deployment", word) : ParseRef(word);
  if (!ref.ok()) return ref.status();
  if (ref->kind->id == KindId::kAutoScalingGroup) return NewestOf(client, ref->id);
  const auto id = ParseIdOf(KindId::kDeployment, word);
  if (!id.ok()) return id.status();
  if (is_bare) {
    // A group's name may look like a deployment's: the deployment goes first.
    const auto found = GetResource(client, KindId::kDeployment, *id);
    if (found.status().code() == absl::StatusCode::kNotFound &&
        GetResource(client, KindId::kAutoScalingGroup, word).ok()) {
      return NewestOf(client, word);
    }
  }
  return FullName(KindId::kDeployment, *id);
}

ExitCode RunStatus(Context& context, const SteerOptions& options) {
  InterruptFlag interrupt;
  const ControllerClient client(context.settings);
  const auto name = FindDeployment(client, options.name);
  if (!name.ok()) return Fail(context, name.status());
  const auto found = GetResource(client, KindId::kDeployment, ShortId(*name));
  if (!found.ok()) return Fail(context, found.status());
  const auto& deployment = static_cast<const v1::Deployment&>(**found);
  if (options.watch) {
    return WatchDeploymentToEnd(context, client, deployment, v1::DEPLOYMENT_STATE_SUCCEEDED,
                                interrupt);
  }
  if (context.output != OutputFormat::kTable && context.output != OutputFormat::kWide) {
    PrintResource(context, KindId::kDeployment, deployment);
    return ExitCode::kOk;
  }
  constexpr size_t kUncut = 10'000;
  for (const std::string& line : ProgressPanel(
           deployment, SystemNow(), {.width = kUncut, .with_colours = context.out_has_colours})) {
    context.out << line << "\n";
  }
  if (HasEnded(deployment)) context.out << OutcomeText(deployment) << "\n";
  PrintTrouble(context, client, deployment);
  context.out.flush();
  return ExitCode::kOk;
}

template <typename Request, typename Method>
ExitCode Steer(Context& context, const SteerOptions& options, Method method) {
  const ControllerClient client(context.settings);
  const auto name = FindDeployment(client, options.name);
  if (!name.ok()) return Fail(context, name.status());
  Request request;
  request.set_name(*name);
  request.set_request_id(NewRequestId());
  const auto deployment = client.Call<v1::Deployment>(*client.deployments, method, request);
  if (!deployment.ok()) return Fail(context, deployment.status());
  PrintResource(context, KindId::kDeployment, *deployment);
  return ExitCode::kOk;
}

// What a rollback of the group comes to while one of its deployments is being undone: that goes on.
// Who names it itself wants it to go back; who names the group asks for the same again. Nothing if
// it is to be asked for.
absl::StatusOr<std::optional<v1::Deployment>> UndoneAlready(const ControllerClient& client,
                                                            const std::string& word,
                                                            const std::string& name) {
  if (word.ends_with(ShortId(name))) return std::nullopt;
  const auto found = GetResource(client, KindId::kDeployment, ShortId(name));
  if (!found.ok()) return found.status();
  const auto& newest = static_cast<const v1::Deployment&>(**found);
  if (newest.rollback_of().empty() || HasEnded(newest)) return std::nullopt;
  return newest;
}

ExitCode RunRollback(Context& context, const SteerOptions& options) {
  InterruptFlag interrupt;
  const ControllerClient client(context.settings);
  const auto name = FindDeployment(client, options.name);
  if (!name.ok()) return Fail(context, name.status());
  const auto undone = UndoneAlready(client, options.name, *name);
  if (!undone.ok()) return Fail(context, undone.status());
  if (undone->has_value()) {
    if (options.detach) {
      PrintStarted(context, **undone);
      return ExitCode::kOk;
    }
    return WatchDeploymentToEnd(context, client, **undone, v1::DEPLOYMENT_STATE_SUCCEEDED,
                                interrupt);
  }
  v1::RollbackDeploymentRequest request;
  request.set_name(*name);
  request.set_reason(options.reason);
  request.set_request_id(NewRequestId());
  const auto deployment = client.Call<v1::Deployment>(
      *client.deployments, &v1::DeploymentService::Stub::RollbackDeployment, request);
  if (!deployment.ok()) return Fail(context, deployment.status());
  if (options.detach) {
    PrintStarted(context, *deployment);
    return ExitCode::kOk;
  }
  // One that had ended is undone by a new deployment, which is to succeed; a running one goes back
  // itself.
  const auto wanted = deployment->name() == *name ? v1::DEPLOYMENT_STATE_ROLLED_BACK
                                                  : v1::DEPLOYMENT_STATE_SUCCEEDED;
  return WatchDeploymentToEnd(context, client, *deployment, wanted, interrupt);
}

}  // namespace

void AddDeployCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("deploy", "Move a group to another template version");
  auto options = std::make_shared<DeployOptions>();
  command->add_option("group", options->group, "The group: asg/NAME")->required();
  command
      ->add_option("--template", options->to,
                   "TEMPLATE:VERSION, TEMPLATE:latest or :default; without a version the newest")
      ->required();
  command->add_option("--strategy", options->strategy, "How")
      ->check(CLI::IsMember({"rolling", "blue-green", "canary", "linear", "in-place"}))
      ->capture_default_str();
  command->add_option("--bake", options->bake,
                      "How long the old version stays warm after the shift, for example 30s");
  command->add_option("--percent", options->percent,
                      "canary, linear: share of the traffic of a step");
  command->add_option("--interval", options->interval, "canary, linear: from step to step");
  command->add_option("--min-healthy", options->min_healthy_percent,
                      "rolling, in-place: per cent that stays in service");
  command->add_option("--max-percent", options->max_percent,
                      "rolling: per cent that may run at once");
  command->add_option("--health-deadline", options->health_deadline,
                      "Roll back if the new version is not in service in time (default 600s)");
  command->add_flag("--no-automatic-rollback", options->no_automatic_rollback,
                    "Wait for a person instead");
  command->add_flag("--supersede", options->supersede,
                    "Replace a deployment of the group that is under way");
  command->add_flag("--detach", options->detach, "Do not watch");
  AddOutputFlag(command, context);
  SetExample(command, "remuda deploy asg/blue --template shop:2 --bake 30s");
  SetRun(command, context, [&context, options] { return RunDeploy(context, *options); });
}

void AddDeploymentCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("deployment", "Show and steer deployments");
  command->require_subcommand(1);
  auto options = std::make_shared<SteerOptions>();
  const auto add = [&](const char* name, const char* help) {
    auto* sub = command->add_subcommand(name, help);
    sub->add_option("name", options->name,
                    "The deployment; or a group, NAME or asg/NAME: its newest")
        ->required();
    SetExample(sub, absl::StrCat("remuda deployment ", name, " asg/blue"));
    return sub;
  };
  auto* status = add("status", "Show where it stands");
  status->add_flag("-w,--watch", options->watch, "Follow it until it ends");
  AddOutputFlag(status, context);
  SetRun(status, context, [&context, options] { return RunStatus(context, *options); });

  auto* pause = add("pause", "Take no further step");
  AddOutputFlag(pause, context);
  SetRun(pause, context, [&context, options] {
    return Steer<v1::PauseDeploymentRequest>(context, *options,
                                             &v1::DeploymentService::Stub::PauseDeployment);
  });
  auto* resume = add("resume", "Go on after a pause");
  AddOutputFlag(resume, context);
  SetRun(resume, context, [&context, options] {
    return Steer<v1::ResumeDeploymentRequest>(context, *options,
                                              &v1::DeploymentService::Stub::ResumeDeployment);
  });
  auto* promote = add("promote", "End the bake now");
  AddOutputFlag(promote, context);
  SetRun(promote, context, [&context, options] {
    return Steer<v1::PromoteDeploymentRequest>(context, *options,
                                               &v1::DeploymentService::Stub::PromoteDeployment);
  });
  auto* rollback = add("rollback", "Go back to the version before, also after it has ended");
  rollback->add_option("--reason", options->reason, "Why, for the history");
  rollback->add_flag("--detach", options->detach, "Do not watch");
  AddOutputFlag(rollback, context);
  SetRun(rollback, context, [&context, options] { return RunRollback(context, *options); });

  const auto add_list = [&](const char* name, const char* help, bool group_needed) {
    auto* sub = command->add_subcommand(name, help);
    sub->add_option("group", options->name,
                    group_needed ? "The auto scaling group" : "Only of this group; none: all")
        ->required(group_needed);
    AddOutputFlag(sub, context);
    SetExample(sub, absl::StrCat("remuda deployment ", name, " asg/blue"));
    SetRun(sub, context, [&context, options] {
      return ShowListOf(context, KindId::kDeployment, KindId::kAutoScalingGroup, options->name);
    });
  };
  add_list("list", "Show deployments, the newest first", false);
  add_list("history", "Show those of a group, the newest first", true);
  SetExample(command, "remuda deployment status blue-3 --watch\n  remuda deployment history blue");
}

}  // namespace remuda::cli
