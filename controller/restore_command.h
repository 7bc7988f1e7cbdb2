// `remuda-controller restore`: puts a backup into a data directory.
#pragma once

namespace remuda {

// `argv[0]` is the word `restore`. The program's exit code: 0, 1 where it failed, 2 for a wrong
// use.
int RunRestore(int argc, char** argv);

}  // namespace remuda
