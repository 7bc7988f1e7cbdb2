// Deployments that were: as a table, and one with all that happened in it.
#pragma once

#include <CLI/CLI.hpp>

#include "cli/context.h"
#include "remuda/v1/deployment.pb.h"

namespace remuda::cli {

// `list` and `history` of `remuda deployment`.
void AddDeploymentLists(CLI::App& command, Context& context);

// Where it stands or how it came out, on standard output; nothing is cut off.
void PrintPanel(Context& context, const v1::Deployment& deployment);

}  // namespace remuda::cli
