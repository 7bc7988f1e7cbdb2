// The shim: the parent of one app, as `remuda-agent shim DIRECTORY`. It outlives the agent.
//
// Owns: the app's process tree (as its subreaper), its log pipe and log files, its `running` and
// `exit` records. Does not own: whether the app should run at all; it runs it once and ends when
// nothing of the tree is left. One thread, no library but the C++ runtime: there is one for each
// instance, so it stays small.
//
// SIGTERM to the shim means: stop the app, as the record `stop` (or else `run`) says. It ignores
// SIGINT and SIGHUP.
#pragma once

#include "agent/app_start.h"

namespace remuda::agent {

// Runs the instance in `directory` to its end. Returns the process's exit code: 0, or 1 if the
// directory has no usable `run` record. The caller must hold the directory's lock in an inherited
// descriptor. `serve_site` as in app_start.h; without it a record that wants it fails to start.
int ShimMain(const char* directory, SiteServer serve_site = nullptr);

}  // namespace remuda::agent
