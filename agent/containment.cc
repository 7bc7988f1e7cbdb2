#include "agent/containment.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <system_error>

#include "agent/landlock.h"
#include "agent/private_view.h"
#include "agent/process.h"
#include "common/quantity.h"

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMeans[] = {"user", "seccomp", "landlock", "private_tmp"};
// What the probe may say, at most.
constexpr size_t kMaxProbeBytes = 16 * 1024;

bool IsWithin(const std::string& path, const std::string& directory) {
  return path == directory || directory == "/" ||
         (path.size() > directory.size() && path.compare(0, directory.size(), directory) == 0 &&
          path[directory.size()] == '/');
}

std::string Canonical(const std::string& path) {
  std::error_code error;
  const fs::path canonical = fs::canonical(path, error);
  return error ? std::string() : canonical.string();
}

// The standard output of `program probe UID`; nullopt: it did not run to its end.
std::optional<std::string> RunProbe(const std::string& program, const std::string& uid) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), 1);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  std::string name = "remuda-agent", verb = "probe", argument = uid;
  char* args[] = {name.data(), verb.data(), argument.data(), nullptr};
  char* environment[] = {nullptr};
  pid_t pid = 0;
  const int error = posix_spawn(&pid, program.c_str(), &actions, nullptr, args, environment);
  posix_spawn_file_actions_destroy(&actions);
  write_end.Reset();
  if (error != 0) return std::nullopt;
  std::string text;
  char buffer[1024];
  for (ssize_t n; (n = read(read_end.get(), buffer, sizeof buffer)) > 0;) {
    if (text.size() < kMaxProbeBytes) text.append(buffer, static_cast<size_t>(n));
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return std::nullopt;
  return text;
}

// Directories in which a program by a bare name is looked for, but for the system's.
std::vector<std::string> ProgramDirectories() {
  std::vector<std::string> directories;
  const char* path = std::getenv("PATH");
  std::istringstream parts(path != nullptr ? path : "");
  const auto system = Landlock::SystemDirectories();
  for (std::string part; std::getline(parts, part, ':');) {
    const std::string directory = part.empty() || part[0] != '/' ? "" : Canonical(part);
    const bool is_known = std::any_of(system.begin(), system.end(), [&](const std::string& known) {
      return IsWithin(directory, known);
    });
    if (!directory.empty() && directory != "/" && !is_known) directories.push_back(directory);
  }
  return directories;
}

}  // namespace

int64_t DiskBytesOf(const remuda::v1::LaunchTemplateVersion& launch_template) {
  const std::string& disk = launch_template.limits().disk();
  return disk.empty() ? 0 : ParseMemoryBytes(disk).value_or(0);
}

Containment::Containment(Options options) : options_(std::move(options)) {
  if (std::string canonical = Canonical(options_.data_directory); !canonical.empty())
    options_.data_directory = std::move(canonical);
  Probe();
}

void Containment::Probe() {
  for (const char* means : kMeans) lacks_[means] = "it could not be tried";
  const auto said = RunProbe(options_.program, absl::StrCat(options_.users.first));
  std::istringstream lines(said.value_or(""));
  for (std::string line; std::getline(lines, line);) {
    const size_t equals = line.find('=');
    if (equals == std::string::npos) continue;
    const std::string name = line.substr(0, equals), value = line.substr(equals + 1);
    if (name == "open_files") {
      max_open_files_ = std::atoll(value.c_str());
    } else if (value.empty()) {
      lacks_.erase(name);
    } else {
      lacks_[name] = value;
    }
  }
}

absl::Status Containment::CheckWritable(const std::string& path) const {
  const auto refused = [&](const std::string& why) {
    return absl::FailedPreconditionError(absl::StrCat("writable_paths: ", path, ": ", why));
  };
  const std::string canonical = Canonical(path);
  std::error_code error;
  if (canonical.empty() || !fs::is_directory(canonical, error))
    return refused("is no directory on this host");
  if (IsWithin(canonical, options_.data_directory) || IsWithin(options_.data_directory, canonical))
    return refused("is the agent's own");
  return absl::OkStatus();
}

absl::Status Containment::Check(const remuda::v1::LaunchTemplateVersion& launch_template) const {
  const auto& limits = launch_template.limits();
  if (limits.open_files() > max_open_files_ && !limits.best_effort()) {
    return absl::FailedPreconditionError(absl::StrCat("limits.open_files: ", limits.open_files(),
                                                      " cannot be allowed on this host, at most ",
                                                      max_open_files_));
  }
  for (const std::string& path : launch_template.writable_paths()) {
    if (absl::Status status = CheckWritable(path); !status.ok()) return status;
  }
  return absl::OkStatus();
}

void Containment::AddTo(const remuda::v1::LaunchTemplateVersion& launch_template,
                        const InstanceDir& dir, const std::optional<UserIds>& user,
                        Record& run) const {
  const auto has = [&](const char* means) { return lacks_.count(means) == 0; };
  if (user) {
    run.Add(key::kUid, user->uid);
    run.Add(key::kGid, user->gid);
    for (const uint32_t group : user->groups) run.Add(key::kGroup, group);
    if (user->is_own) run.Add(key::kOwnUid, 1);
  }
  run.Add(key::kNoCapabilities, 1);
  if (has("seccomp")) run.Add(key::kSeccomp, 1);
  if (has("landlock")) run.Add(key::kLandlock, 1);
  run.Add(key::kTmp, dir.Tmp());
  if (has("private_tmp")) {
    run.Add(key::kPrivateView, 1);
    run.Add(key::kHidden, FirstClosed(options_.data_directory));
  }
  std::vector<std::string> readable = options_.readable;
  for (std::string& directory : ProgramDirectories()) readable.push_back(std::move(directory));
  for (const std::string& directory : readable) {
    const std::string canonical = Canonical(directory);
    // Nothing of the agent's, however it is named.
    if (canonical.empty() || IsWithin(canonical, options_.data_directory) ||
        IsWithin(options_.data_directory, canonical))
      continue;
    run.Add(key::kReadable, canonical);
  }
  for (const std::string& path : launch_template.writable_paths())
    run.Add(key::kWritable, Canonical(path));
  const int64_t asked = launch_template.limits().open_files();
  run.Add(key::kOpenFiles, std::min(asked > 0 ? asked : kDefaultOpenFiles, max_open_files_));
  if (const int64_t bytes = DiskBytesOf(launch_template); bytes > 0)
    run.Add(key::kFileBytes, bytes);
}

}  // namespace remuda::agent
