#include "proxy/successor.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <utility>

extern char** environ;

namespace remuda::proxy {
namespace {

// A name with a slash may be a link that is turned to another file for an upgrade: it is followed
// anew each time. Else what runs.
std::string ProgramPath(const std::string& name) {
  std::error_code error;
  if (name.find('/') != std::string::npos) {
    const auto path = std::filesystem::absolute(name, error);
    if (!error) return path.string();
  }
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? name : path.string();
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Successor::Successor(std::vector<std::string> arguments) : arguments_(std::move(arguments)) {
  if (arguments_.empty()) arguments_.push_back("remuda-proxy");
  program_ = ProgramPath(arguments_.front());
  const bool takes_over =
      std::find(arguments_.begin(), arguments_.end(), "--takeover") != arguments_.end();
  if (!takes_over) arguments_.push_back("--takeover");
}

std::string Successor::Start(std::vector<std::string> more) {
  std::vector<std::string> variables = std::move(more);
  for (char** variable = environ; *variable != nullptr; ++variable)
    variables.emplace_back(*variable);
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_init(&actions);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, program_.c_str(), &actions, &attributes,
                                Pointers(arguments_).data(), Pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return program_ + ": " + std::strerror(error);
  pid_ = pid;
  return "";
}

std::string Successor::Reap() {
  std::string how;
  int status = 0;
  for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid != pid_) continue;
    pid_ = 0;
    how = WIFEXITED(status) ? "exit code " + std::to_string(WEXITSTATUS(status))
                            : "signal " + std::to_string(WTERMSIG(status));
  }
  return how;
}

}  // namespace remuda::proxy
