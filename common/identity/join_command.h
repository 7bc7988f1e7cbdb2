// `remuda-agent join`, `remuda-proxy join`: how a program on a new host gets its identity.
#pragma once

#include <functional>
#include <string>

#include "remuda/v1/identity.pb.h"

namespace remuda::identity {

struct JoiningProgram {
  std::string program;  // "remuda-agent"
  v1::IdentityRole role = v1::IDENTITY_ROLE_UNSPECIFIED;
  std::string data_directory;  // the default of --data-dir
  // What it is run with after that, but for --controller: " --address ...".
  std::string next;
  // Makes room in the data directory for what is joined with. May be empty.
  std::function<void(const std::string& data_directory)> prepare = nullptr;
};

// Whether the command line is one: "PROGRAM join ...".
bool IsJoinCommand(int argc, char** argv);
// Does it. Answers the program's exit code: 0 joined, 1 refused or not reached, 2 wrong usage.
int RunJoinCommand(int argc, char** argv, const JoiningProgram& program);

}  // namespace remuda::identity
