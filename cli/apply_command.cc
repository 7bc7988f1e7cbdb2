// remuda apply: manifests to resources, all or nothing.
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/controller_client.h"
#include "cli/deploy_progress.h"
#include "cli/deploy_trouble.h"
#include "cli/manifest.h"
#include "cli/printing.h"
#include "cli/wait.h"

namespace remuda::cli {
namespace {

struct ApplyOptions {
  std::vector<std::string> files;
  bool dry_run = false;
  bool overwrite_deployed_template = false;
  WaitTime wait{0};
};

const char* OutcomeWord(v1::AppliedResource::Outcome outcome, bool dry_run) {
  switch (outcome) {
    case v1::AppliedResource::OUTCOME_CREATED:
      return dry_run ? "would be created" : "created";
    case v1::AppliedResource::OUTCOME_UPDATED:
      return dry_run ? "would be updated" : "updated";
    case v1::AppliedResource::OUTCOME_UNCHANGED:
      return "unchanged";
    default:
      return "done";
  }
}

// What the controller takes (its limits::kMaxRequestBytes).
constexpr size_t kMaxRequestBytes = size_t{8} << 20;

ExitCode FailApply(Context& context, const std::string& errors) {
  context.err << errors << "\nremuda apply: nothing was applied\n";
  return ExitCode::kFailed;
}

// The deployment that a resource began.
void PrintBegun(Context& context, const std::string& deployment, bool dry_run) {
  if (dry_run) {
    context.out << "  would begin a deployment\n";
    return;
  }
  context.out << "  begins " << deployment << ": watch it with `remuda deployment watch "
              << ShortId(deployment) << "`\n";
}

void PrintResults(Context& context, const v1::ApplyResourcesResponse& response, bool dry_run) {
  if (context.output == OutputFormat::kJson || context.output == OutputFormat::kYaml)
    return PrintMessage(context, response);
  for (const auto& result : response.results()) {
    context.out << result.name();
    if (context.output == OutputFormat::kName) {
      context.out << "\n";
      continue;
    }
    context.out << " " << OutcomeWord(result.outcome(), dry_run) << "\n";
    for (const auto& change : result.changes()) context.out << "  " << change << "\n";
    if (!result.deployment().empty()) PrintBegun(context, result.deployment(), dry_run);
    for (const auto& warning : result.warnings())
      context.err << "warning: " << result.name() << ": " << warning << std::endl;
  }
  context.out.flush();
}

std::vector<std::string> GroupsOf(const Manifest& manifest) {
  std::vector<std::string> groups;
  for (const auto& resource : manifest.request.resources()) {
    if (resource.has_auto_scaling_group())
      groups.push_back(ShortId(resource.auto_scaling_group().name()));
  }
  return groups;
}

// Short ids of those that it began.
std::vector<std::string> DeploymentsOf(const v1::ApplyResourcesResponse& response) {
  std::vector<std::string> deployments;
  for (const auto& result : response.results()) {
    if (!result.deployment().empty()) deployments.push_back(ShortId(result.deployment()));
  }
  return deployments;
}

// Deployments that it began have ended, groups have what they want, listeners listen, proxies serve
// the new config.
Missing AppliedServes(const ControllerClient& client, const Manifest& manifest,
                      const std::vector<std::string>& deployments) {
  std::vector<Missing> parts;
  for (const std::string& deployment : deployments)
    parts.push_back(DeploymentEnded(client, deployment));
  for (const std::string& group : GroupsOf(manifest)) parts.push_back(GroupSettled(client, group));
  parts.push_back(ProxiesFollow(client));
  for (const auto& resource : manifest.request.resources()) {
    if (resource.has_load_balancer())
      parts.push_back(Listens(client, ShortId(resource.load_balancer().name())));
  }
  return AllOf(std::move(parts));
}

// What became of deployments that have ended; the first that did not come out decides.
ExitCode OutcomeOf(Context& context, const ControllerClient& client,
                   const std::vector<std::string>& deployments) {
  ExitCode code = ExitCode::kOk;
  for (const std::string& id : deployments) {
    const auto found = GetResource(client, KindId::kDeployment, id);
    if (!found.ok()) return Fail(context, found.status());
    const auto& deployment = static_cast<const v1::Deployment&>(**found);
    context.err << OutcomeText(deployment) << std::endl;
    if (code != ExitCode::kOk || deployment.state() == v1::DEPLOYMENT_STATE_SUCCEEDED) continue;
    code = deployment.state() == v1::DEPLOYMENT_STATE_FAILED ? ExitCode::kFailed
                                                             : ExitCode::kRolledBack;
  }
  return code;
}

ExitCode RunApply(Context& context, const ApplyOptions& options) {
  const auto files = ReadManifestFiles(options.files);
  if (!files.ok()) return Fail(context, files.status());
  auto manifest = ParseManifests(*files);
  if (!manifest.ok()) return FailApply(context, std::string(manifest.status().message()));
  manifest->request.set_validate_only(options.dry_run);
  manifest->request.set_overwrite_deployed_template(options.overwrite_deployed_template);
  manifest->request.set_request_id(NewRequestId());

  if (const size_t bytes = manifest->request.ByteSizeLong(); bytes > kMaxRequestBytes) {
    return FailApply(context, "the manifests make a request of " + std::to_string(bytes) +
                                  " bytes; the controller takes at most " +
                                  std::to_string(kMaxRequestBytes) + ": apply fewer at once");
  }
  const ControllerClient client(context.settings);
  const auto response = client.Call<v1::ApplyResourcesResponse>(
      *client.apply, &v1::ApplyService::Stub::ApplyResources, manifest->request);
  if (!response.ok()) {
    const auto code = response.status().code();
    const bool is_refusal = code != absl::StatusCode::kUnavailable &&
                            code != absl::StatusCode::kDeadlineExceeded &&
                            code != absl::StatusCode::kUnimplemented;
    if (is_refusal) return FailApply(context, ExplainApplyError(*manifest, response.status()));
    return Fail(context, response.status());
  }
  PrintResults(context, *response, options.dry_run);
  if (options.wait == WaitTime(0) || options.dry_run) return ExitCode::kOk;
  const std::vector<std::string> deployments = DeploymentsOf(*response);
  const ExitCode code = Await(context, options.wait, AppliedServes(client, *manifest, deployments));
  if (code == ExitCode::kTimedOut) PrintGroupTrouble(context, client, GroupsOf(*manifest));
  return code == ExitCode::kOk ? OutcomeOf(context, client, deployments) : code;
}

}  // namespace

void AddApplyCommand(CLI::App& app, Context& context) {
  auto* command =
      app.add_subcommand("apply", "Create or update what manifests say, all of it or nothing");
  auto options = std::make_shared<ApplyOptions>();
  command
      ->add_option("-f,--file", options->files,
                   "A manifest, a directory of them, or - for standard input")
      ->required()
      ->take_all();
  command->add_flag("--dry-run", options->dry_run, "Only say what would change");
  command->add_flag("--overwrite-deployed-template", options->overwrite_deployed_template,
                    "Take a group's launch template from the manifest also where a deployment set "
                    "another");
  AddWaitFlag(command, options->wait,
              "deployments that it begins have ended, groups have their instances in service and "
              "proxies serve the new config");
  AddOutputFlag(command, context);
  SetExample(command, "remuda apply -f shop.yaml --dry-run\n  remuda apply -f shop.yaml --wait");
  SetRun(command, context, [&context, options] { return RunApply(context, *options); });
}

}  // namespace remuda::cli
