// remuda apply: manifests to resources, all or nothing.
#include <memory>
#include <ostream>

#include "cli/commands.h"
#include "cli/controller_client.h"
#include "cli/manifest.h"
#include "cli/printing.h"

namespace remuda::cli {
namespace {

struct ApplyOptions {
  std::vector<std::string> files;
  bool dry_run = false;
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

ExitCode RunApply(Context& context, const ApplyOptions& options) {
  const auto files = ReadManifestFiles(options.files);
  if (!files.ok()) return Fail(context, files.status());
  auto manifest = ParseManifests(*files);
  if (!manifest.ok()) return FailApply(context, std::string(manifest.status().message()));
  manifest->request.set_validate_only(options.dry_run);
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
  if (context.output != OutputFormat::kTable) {
    PrintMessage(context, *response);
    return ExitCode::kOk;
  }
  for (const auto& result : response->results()) {
    context.out << result.name() << " " << OutcomeWord(result.outcome(), options.dry_run) << "\n";
    for (const auto& change : result.changes()) context.out << "  " << change << "\n";
  }
  context.out.flush();
  return ExitCode::kOk;
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
  AddOutputFlag(command, context);
  SetExample(command, "remuda apply -f shop.yaml --dry-run");
  SetRun(command, context, [&context, options] { return RunApply(context, *options); });
}

}  // namespace remuda::cli
