// Every command of `remuda`: each adds its subcommand to the command line and, if that one is
// called, sets context.run.
#pragma once

#include <CLI/CLI.hpp>

#include "cli/context.h"

namespace remuda::cli {

void AddDevCommand(CLI::App& app, Context& context);

// `text` under "Example:" at the end of a command's help.
inline void SetExample(CLI::App* command, const std::string& text) {
  command->footer("\nExample:\n  " + text);
}

}  // namespace remuda::cli
