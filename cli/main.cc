// The `remuda` command: reads the command line, then does what it says.
#include <unistd.h>

#include <csignal>
#include <iostream>

#include "cli/command_line.h"
#include "cli/context.h"

int main(int argc, char** argv) {
  // A reader of our output may go first (`remuda logs … | head`): then writing fails, and we end
  // quietly.
  std::signal(SIGPIPE, SIG_DFL);
  remuda::cli::Context context(std::cout, std::cerr);
  context.out_is_terminal = isatty(STDOUT_FILENO) != 0;
  context.err_is_terminal = isatty(STDERR_FILENO) != 0;
  return static_cast<int>(remuda::cli::RunCommandLine(argc, argv, context));
}
