// `remuda-controller admin-token`: shows the first admin's token, where there is no shell to read
// the file with, as in an image.
#pragma once

namespace remuda {

// `argv[0]` is the word `admin-token`. The token goes to the standard output, how to use it to the
// standard error. The program's exit code: 0; 1 where there is none (an admin has joined, the
// controller has not led yet) or it cannot be read; 2 for a wrong use.
int RunAdminToken(int argc, char** argv);

}  // namespace remuda
