// What may stand where the last word of a command line is.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/context.h"

namespace remuda::cli {

// Prints candidates, one a line. `words` follow `remuda`; the last is the one being typed and may
// be empty. Names come from the controller, if it answers within a second; errors print nothing.
void Complete(Context& context, const CLI::App& root, std::vector<std::string> words);

}  // namespace remuda::cli
