// The program: a control loop on the main thread that wires coordinator, admin pages, signals and
// where the config comes from.
#pragma once

#include "proxy/options.h"

namespace remuda::proxy {

// Runs until SIGTERM or SIGINT has drained it. Returns the exit code.
int RunProgram(const ProgramOptions& options);

}  // namespace remuda::proxy
