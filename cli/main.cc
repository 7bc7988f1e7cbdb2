// The `remuda` command: reads the command line, then does what it says.
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>

#include "cli/command_line.h"
#include "cli/context.h"
#include "cli/settings.h"

int main(int argc, char** argv) {
  using remuda::cli::ProcessEnvironment;
  // A reader of our output may go first (`remuda logs … | head`): then writing fails, and we end
  // quietly.
  std::signal(SIGPIPE, SIG_DFL);
  // What fails is told by the command, in its own words.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  // Logs would stand among the data, on the standard output.
  spdlog::set_level(spdlog::level::off);
  remuda::cli::Context context(std::cout, std::cerr);
  context.out_is_terminal = isatty(STDOUT_FILENO) != 0;
  context.err_is_terminal = isatty(STDERR_FILENO) != 0;
  // https://no-color.org: set and not empty.
  context.out_has_colours = context.out_is_terminal && ProcessEnvironment("NO_COLOR").empty() &&
                            ProcessEnvironment("TERM") != "dumb";
  context.out_has_blocks = context.out_is_terminal && remuda::cli::IsTextUtf8(ProcessEnvironment);
  return static_cast<int>(remuda::cli::RunCommandLine(argc, argv, context));
}
