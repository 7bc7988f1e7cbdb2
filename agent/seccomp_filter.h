// The system calls that an app cannot make. docs/agent.md lists them.
//
// Plain C++: the shim uses it, between fork and exec.
#pragma once

namespace remuda::agent {

enum class FilterOf {
  kApps,       // sockets: local ones, TCP, UDP, and what lists addresses
  kUnpacking,  // no sockets, no further processes
};

// Puts the filter on the calling process and all that descends from it; no_new_privs must be set.
// 0 or an errno.
int FilterSystemCalls(FilterOf whom = FilterOf::kApps);

}  // namespace remuda::agent
