// `remuda-controller migrate`: the state goes from one store to another (store/migration.h).
#pragma once

namespace remuda {

// The arguments from `migrate` on. Answers the exit code: 0 done, 1 failed, 2 wrong use.
int RunMigrate(int argc, char** argv);

}  // namespace remuda
