// remuda deployment: shows and steers those that are under way.
#include <absl/strings/str_cat.h>

#include <memory>
#include <optional>
#include <ostream>

#include "cli/commands.h"
#include "cli/deploy_command.h"
#include "cli/deploy_progress.h"
#include "cli/deploy_trouble.h"
#include "cli/deploy_watch.h"
#include "cli/deployment_history.h"
#include "cli/find_deployment.h"
#include "cli/printing.h"
#include "cli/wait.h"

namespace remuda::cli {
namespace {

struct SteerOptions {
  std::string name;
  std::string approval;
  std::string reason;
  bool all = false;
  bool reject = false;
  bool watch = false;
  bool detach = false;
  WaitTime limit{0};
};

ExitCode RunStatus(Context& context, const SteerOptions& options) {
  InterruptFlag interrupt;
  const ControllerClient client(context.settings);
  const auto name = FindDeployment(client, options.name, Which::kNewest);
  if (!name.ok()) return Fail(context, name.status());
  const auto found = GetResource(client, KindId::kDeployment, ShortId(*name));
  if (!found.ok()) return Fail(context, found.status());
  const auto& deployment = static_cast<const v1::Deployment&>(**found);
  if (options.watch)
    return WatchDeploymentToEnd(context, client, deployment, {.limit = options.limit}, interrupt);
  if (!IsTable(context.output)) {
    PrintResource(context, KindId::kDeployment, deployment);
    return ExitCode::kOk;
  }
  PrintPanel(context, deployment);
  PrintTrouble(context, client, deployment);
  context.out.flush();
  return ExitCode::kOk;
}

// `request` with its name, sent. What was steered is printed.
template <typename Request, typename Method>
ExitCode Steer(Context& context, const SteerOptions& options, Method method, Request request = {}) {
  const ControllerClient client(context.settings);
  const auto name = FindDeployment(client, options.name, Which::kUnderWay);
  if (!name.ok()) return Fail(context, name.status());
  request.set_name(*name);
  request.set_request_id(NewRequestId());
  const auto deployment = client.Call<v1::Deployment>(*client.deployments, method, request);
  if (!deployment.ok()) return Fail(context, deployment.status());
  PrintResource(context, KindId::kDeployment, *deployment);
  return ExitCode::kOk;
}

ExitCode RunPromote(Context& context, const SteerOptions& options) {
  v1::PromoteDeploymentRequest request;
  request.set_all(options.all);
  return Steer(context, options, &v1::DeploymentService::Stub::PromoteDeployment, request);
}

ExitCode RunApprove(Context& context, const SteerOptions& options) {
  v1::ApproveDeploymentRequest request;
  request.set_approval(options.approval);
  request.set_reject(options.reject);
  request.set_reason(options.reason);
  return Steer(context, options, &v1::DeploymentService::Stub::ApproveDeployment, request);
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

ExitCode WatchOrLeave(Context& context, const ControllerClient& client,
                      const v1::Deployment& deployment, v1::DeploymentState wanted,
                      const SteerOptions& options, InterruptFlag& interrupt) {
  if (!options.detach) {
    return WatchDeploymentToEnd(context, client, deployment,
                                {.wanted = wanted, .limit = options.limit}, interrupt);
  }
  PrintStarted(context, deployment);
  return ExitCode::kOk;
}

ExitCode RunRollback(Context& context, const SteerOptions& options) {
  InterruptFlag interrupt;
  const ControllerClient client(context.settings);
  const auto name = FindDeployment(client, options.name, Which::kNewest);
  if (!name.ok()) return Fail(context, name.status());
  const auto undone = UndoneAlready(client, options.name, *name);
  if (!undone.ok()) return Fail(context, undone.status());
  if (undone->has_value()) {
    return WatchOrLeave(context, client, **undone, v1::DEPLOYMENT_STATE_SUCCEEDED, options,
                        interrupt);
  }
  v1::RollbackDeploymentRequest request;
  request.set_name(*name);
  request.set_reason(options.reason);
  request.set_request_id(NewRequestId());
  const auto deployment = client.Call<v1::Deployment>(
      *client.deployments, &v1::DeploymentService::Stub::RollbackDeployment, request);
  if (!deployment.ok()) return Fail(context, deployment.status());
  // One that had ended is undone by a new deployment, which is to succeed; a running one goes back
  // itself.
  const auto wanted = deployment->name() == *name ? v1::DEPLOYMENT_STATE_ROLLED_BACK
                                                  : v1::DEPLOYMENT_STATE_SUCCEEDED;
  return WatchOrLeave(context, client, *deployment, wanted, options, interrupt);
}

ExitCode RunAbort(Context& context, const SteerOptions& options) {
  InterruptFlag interrupt;
  const ControllerClient client(context.settings);
  const auto name = FindDeployment(client, options.name, Which::kUnderWay);
  if (!name.ok()) return Fail(context, name.status());
  v1::AbortDeploymentRequest request;
  request.set_name(*name);
  request.set_reason(options.reason);
  request.set_request_id(NewRequestId());
  const auto deployment = client.Call<v1::Deployment>(
      *client.deployments, &v1::DeploymentService::Stub::AbortDeployment, request);
  if (!deployment.ok()) return Fail(context, deployment.status());
  return WatchOrLeave(context, client, *deployment, v1::DEPLOYMENT_STATE_ROLLED_BACK, options,
                      interrupt);
}

class DeploymentCommands {
 public:
  DeploymentCommands(CLI::App* command, Context& context) : command_(command), context_(context) {}

  // `run` is called with the options.
  template <typename Run>
  CLI::App* Add(const char* name, const char* help, Run run) {
    auto* sub = command_->add_subcommand(name, help);
    sub->add_option("name", options_->name,
                    "The deployment; or a group, NAME or asg/NAME, or lb/LOAD-BALANCER[/LISTENER"
                    "[/RULE]]: its newest")
        ->required();
    AddOutputFlag(sub, context_);
    SetExample(sub, absl::StrCat("remuda deployment ", name, " asg/blue"));
    SetRun(sub, context_,
           [&context = context_, options = options_, run] { return run(context, *options); });
    return sub;
  }

  SteerOptions& options() { return *options_; }

 private:
  CLI::App* command_;
  Context& context_;
  std::shared_ptr<SteerOptions> options_ = std::make_shared<SteerOptions>();
};

void AddReason(CLI::App* command, SteerOptions& options) {
  command->add_option("--reason", options.reason, "Why, for the history");
}

void AddSteering(DeploymentCommands& commands) {
  SteerOptions& options = commands.options();
  commands.Add("pause", "Take no further step", [](Context& context, const SteerOptions& given) {
    return Steer<v1::PauseDeploymentRequest>(context, given,
                                             &v1::DeploymentService::Stub::PauseDeployment);
  });
  commands.Add("resume", "Go on after a pause", [](Context& context, const SteerOptions& given) {
    return Steer<v1::ResumeDeploymentRequest>(context, given,
                                              &v1::DeploymentService::Stub::ResumeDeployment);
  });
  commands.Add("promote", "End the wait of the current step now", RunPromote)
      ->add_flag("--all", options.all, "And all waits that are left; approvals and gates stay");
  auto* approve = commands.Add("approve", "Give the approval that it waits for", RunApprove);
  approve->add_option("approval", options.approval,
                      "Name of the approval, which must be the one; left out: whichever it is");
  approve->add_flag("--reject", options.reject, "Refuse it: the deployment is rolled back");
  AddReason(approve, options);
  SetExample(approve,
             "remuda deployment approve asg/blue security --reason 'reviewed'\n"
             "  remuda deployment approve blue-3 --reject");
}

void AddGoingBack(DeploymentCommands& commands) {
  SteerOptions& options = commands.options();
  for (auto* command :
       {commands.Add("rollback", "Go back to the version before, also after it has ended",
                     RunRollback),
        commands.Add("abort", "Go back to the version before, while it is under way", RunAbort)}) {
    AddReason(command, options);
    command->add_flag("--detach", options.detach, "Do not watch");
    AddWatchLimit(command, options.limit);
  }
}

}  // namespace

void AddDeploymentCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("deployment", "Show and steer deployments");
  command->require_subcommand(1);
  DeploymentCommands commands(command, context);
  auto* status = commands.Add("status", "Show where it stands", RunStatus);
  status->add_flag("-w,--watch", commands.options().watch, "Follow it until it ends");
  AddWatchLimit(status, commands.options().limit);
  auto* watch = commands.Add("watch", "Follow it until it ends",
                             [](Context& called, const SteerOptions& given) {
                               SteerOptions watching = given;
                               watching.watch = true;
                               return RunStatus(called, watching);
                             });
  AddWatchLimit(watch, commands.options().limit);
  AddSteering(commands);
  AddGoingBack(commands);
  AddDeploymentLists(*command, context);
  SetExample(
      command,
      "remuda deployment watch blue-3\n  remuda deployment history blue\n  remuda deployment "
      "approve asg/blue");
}

}  // namespace remuda::cli
