// remuda delete: a resource that nothing refers to.
#include <memory>

#include "cli/commands.h"
#include "cli/parts.h"
#include "cli/printing.h"
#include "cli/wait.h"

namespace remuda::cli {
namespace {

struct DeleteOptions {
  std::string kind;
  std::string name;
  bool force = false;
  WaitTime wait{0};
};

ExitCode RunDelete(Context& context, const DeleteOptions& options) {
  const auto ref = ParseRef(options.kind, options.name);
  if (!ref.ok()) return FailUsage(context, std::string(ref.status().message()));
  if (ref->id.empty() || (IsPart(ref->kind->id) && !IsOnePart(ref->kind->id, ref->id)))
    return FailUsage(context, "delete: which " + ref->kind->name + "? Give its name");
  if (options.force && ref->kind->id != KindId::kAutoScalingGroup) {
    return FailUsage(context, "--force is for auto scaling groups only");
  }
  const ControllerClient client(context.settings);
  const absl::Status status = DeleteResource(client, ref->kind->id, ref->id, options.force);
  if (!status.ok()) return Fail(context, status);
  const bool is_waited = options.wait > WaitTime(0);
  if (is_waited) {
    const ExitCode code =
        Await(context, options.wait,
              AllOf({Gone(client, ref->kind->id, ref->id), ProxiesFollow(client)}));
    if (code != ExitCode::kOk) return code;
  }
  const bool is_done = is_waited || !options.force;
  const std::string name = FullName(ref->kind->id, ref->id);
  PrintOutcome(context, name, is_done ? "DELETED" : "BEING_DELETED",
               name + (is_done ? " deleted"
                               : " is being deleted: its instances are drained and ended first"));
  return ExitCode::kOk;
}

}  // namespace

void AddDeleteCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("delete", "Delete a resource that nothing refers to");
  auto options = std::make_shared<DeleteOptions>();
  AddRefArguments(command, options->kind, options->name, true);
  command->add_flag("--force", options->force,
                    "An auto scaling group with its instances: drained and ended first");
  AddWaitFlag(command, options->wait, "it is gone, and every proxy has taken notice");
  AddOutputFlag(command, context);
  SetExample(command,
             "remuda delete lb shop\n  remuda delete rule shop/8080/10\n  remuda delete asg/blue "
             "--force --wait");
  SetRun(command, context, [&context, options] { return RunDelete(context, *options); });
}

}  // namespace remuda::cli
