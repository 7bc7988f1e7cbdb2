// The command line as a whole: every command, the flags that all share, and what a mistake in them
// is told.
#pragma once

#include <memory>

#include "cli/context.h"
#include "cli/settings.h"

namespace CLI {
class App;
}

namespace remuda::cli {

// The parser with every command; `flags` and `context` must outlive it.
std::unique_ptr<CLI::App> MakeCommandLine(Context& context, SettingFlags& flags);

// Parses and runs. Help and version go to context.out.
ExitCode RunCommandLine(int argc, const char* const* argv, Context& context);

}  // namespace remuda::cli
