// Which of the means that contain apps work on this host, found out by trying each.
//
// Plain C++.
#pragma once

namespace remuda::agent {

// `remuda-agent probe UID`: tries each in a process of its own, and prints lines `NAME=`, or
// `NAME=why not`; `open_files=N` is how many a process may be allowed. Returns the process's exit
// code. `uid`: one that apps would get.
int ProbeMain(const char* uid);

}  // namespace remuda::agent
