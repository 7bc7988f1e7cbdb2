// remuda cluster: what the controller says of itself.
#include "cli/commands.h"
#include "cli/controller_client.h"
#include "cli/printing.h"

namespace remuda::cli {
namespace {

ExitCode RunCluster(Context& context) {
  const ControllerClient client(context.settings);
  const auto cluster = client.Call<v1::Cluster>(
      *client.cluster, &v1::ClusterService::Stub::GetCluster, v1::GetClusterRequest());
  if (!cluster.ok()) return Fail(context, cluster.status());
  PrintMessage(context, *cluster);
  return ExitCode::kOk;
}

}  // namespace

void AddClusterCommand(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("cluster", "Show the controller, and whether its store commits");
  AddOutputFlag(command, context);
  SetExample(command, "remuda cluster");
  SetRun(command, context, [&context] { return RunCluster(context); });
}

}  // namespace remuda::cli
