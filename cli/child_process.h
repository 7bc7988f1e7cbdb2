// One child process that dies with us, whatever ends us.
#pragma once

#include <absl/status/statusor.h>
#include <sys/types.h>

#include <string>
#include <vector>

namespace remuda::cli {

// Starts argv[0] (a path) in a process group of its own, so that a terminal's Ctrl-C reaches only
// us; stdin is /dev/null, stdout and stderr are appended to `log_path`, every other descriptor is
// closed, no signal is blocked. The kernel sends it SIGKILL when the calling *thread* ends: call
// from the main thread.
absl::StatusOr<pid_t> SpawnChild(const std::vector<std::string>& argv, const std::string& log_path);

// "exit code 1", "signal 9 (Killed)"; `wait_status` is waitpid's.
std::string DescribeExit(int wait_status);

// The last lines of a file, at most `max_lines`, each led by `indent`; empty if there are none.
std::string TailOfFile(const std::string& path, int max_lines, const std::string& indent);

// If the file is larger than `max_bytes`: copies it to `path`.1 (replacing that) and empties it.
// Whoever appends to it goes on without noticing; lines written during the copy may be lost.
void BoundLog(const std::string& path, int64_t max_bytes);

}  // namespace remuda::cli
