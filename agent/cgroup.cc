#include "agent/cgroup.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <system_error>

#include "agent/process.h"
#include "agent/record_file.h"
#include "common/random_bytes.h"

namespace remuda::agent {
namespace {

constexpr const char* kControllers[] = {"memory", "cpu", "pids"};
constexpr int64_t kCpuPeriodUs = 100'000;
constexpr char kPrefix[] = "remuda-";
constexpr size_t kRandomDigits = 6;

// 0 or an errno. Kernel files take a value in one write.
int WriteValue(const std::string& path, const std::string& value) {
  const Fd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return errno;
  return write(fd.get(), value.data(), value.size()) == static_cast<ssize_t>(value.size()) ? 0
                                                                                           : errno;
}

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
  return parts;
}

bool Has(const std::vector<std::string>& list, const std::string& what) {
  return std::find(list.begin(), list.end(), what) != list.end();
}

struct Mount {
  std::string root;  // the part of the hierarchy that is mounted
  std::string point;
  bool v2 = false;
  std::vector<std::string> options;  // version 1: the controllers are among them
};

std::vector<Mount> CgroupMounts() {
  std::vector<Mount> mounts;
  // "36 35 98:0 /root /mount/point rw - cgroup cgroup rw,memory"
  for (const std::string& line : Split(ReadWholeFile("/proc/self/mountinfo").value_or(""), '\n')) {
    const size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    const auto before = Split(line.substr(0, dash), ' ');
    const auto after = Split(line.substr(dash + 3), ' ');
    if (before.size() < 5 || after.size() < 3 || (after[0] != "cgroup" && after[0] != "cgroup2"))
      continue;
    mounts.push_back({before[3], before[4], after[0] == "cgroup2", Split(after[2], ',')});
  }
  return mounts;
}

// Where in the mount the own cgroup `path` is; empty if it is outside of what is mounted.
std::string DirectoryOf(const Mount& mount, std::string path) {
  if (mount.root != "/") {
    if (path.compare(0, mount.root.size(), mount.root) != 0) return {};
    path = path.substr(mount.root.size());
  }
  while (!path.empty() && path.back() == '/') path.pop_back();
  return mount.point + path;
}

// The processes of a cgroup, but those that this namespace cannot see.
std::vector<std::string> ProcessesOf(const std::string& directory) {
  auto pids = Split(ReadWholeFile(directory + "/cgroup.procs").value_or(""), '\n');
  std::erase_if(pids, [](const std::string& pid) { return pid.empty() || pid == "0"; });
  return pids;
}

// Sets one limit of a cgroup, in the file that its version has for it. 0 or an errno.
int SetLimit(const std::string& controller, const std::string& directory, int64_t limit) {
  const bool v2 = access((directory + "/cgroup.controllers").c_str(), F_OK) == 0;
  const std::string value = absl::StrCat(limit);
  if (controller == "memory") {
    const int error =
        WriteValue(directory + (v2 ? "/memory.max" : "/memory.limit_in_bytes"), value);
    // Swap would only put the end off; hosts without swap accounting have no such file.
    if (error == 0) {
      WriteValue(directory + (v2 ? "/memory.swap.max" : "/memory.memsw.limit_in_bytes"),
                 v2 ? "0" : value);
    }
    return error;
  }
  if (controller == "cpu") {
    const int64_t quota_us = limit * kCpuPeriodUs / 1000;
    return v2 ? WriteValue(directory + "/cpu.max", absl::StrCat(quota_us, " ", kCpuPeriodUs))
              : WriteValue(directory + "/cpu.cfs_quota_us", absl::StrCat(quota_us));
  }
  return WriteValue(directory + "/pids.max", value);
}

}  // namespace

std::string Cgroups::ParentV2(const std::string& own) {
  const std::string shared = own.substr(0, own.rfind('/')) + "/" + kInstancesUnit;
  return access((shared + "/cgroup.procs").c_str(), W_OK) == 0 ? shared : own;
}

bool Cgroups::DivideV2(const std::string& directory, const std::vector<std::string>& processes,
                       std::map<std::string, std::string>& parents) {
  const auto offered = Split(ReadWholeFile(directory + "/cgroup.controllers").value_or(""), ' ');
  std::vector<std::string> usable;
  for (std::string controller : offered) {
    while (!controller.empty() && controller.back() == '\n') controller.pop_back();
    for (const char* known : kControllers) {
      if (controller == known && parents.count(controller) == 0) usable.push_back(controller);
    }
  }
  if (usable.empty() || access(directory.c_str(), W_OK) != 0) return false;
  const std::string leaf = directory + "/" + kLeaf;
  mkdir(leaf.c_str(), 0755);
  for (const std::string& pid : processes) {
    if (WriteValue(leaf + "/cgroup.procs", pid) != 0) return false;
  }
  for (const std::string& controller : usable) {
    if (WriteValue(directory + "/cgroup.subtree_control", "+" + controller) == 0)
      parents[controller] = directory;
  }
  return true;
}

Cgroups Cgroups::Detect() {
  Cgroups found;
  for (const char* controller : kControllers)
    found.missing_[controller] = "no cgroup hierarchy offers it";
  const auto mounts = CgroupMounts();
  std::string v2_directory;
  // "4:memory:/path" or "0::/path"
  for (const std::string& line : Split(ReadWholeFile("/proc/self/cgroup").value_or(""), '\n')) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const auto controllers = Split(line.substr(first + 1, second - first - 1), ',');
    for (const Mount& mount : mounts) {
      const std::string directory = DirectoryOf(mount, line.substr(second + 1));
      if (directory.empty()) continue;
      if (mount.v2 && line.compare(0, 3, "0::") == 0) v2_directory = directory;
      for (const char* controller : kControllers) {
        if (mount.v2 || !Has(controllers, controller) || !Has(mount.options, controller)) continue;
        if (access(directory.c_str(), W_OK) == 0) {
          found.parents_[controller] = directory;
        } else {
          found.missing_[controller] = absl::StrCat(directory, " is not writable");
        }
      }
    }
  }
  if (!v2_directory.empty()) {
    const std::string parent = ParentV2(v2_directory);
    const bool is_own = parent == v2_directory;  // others in it are not ours to move
    DivideV2(parent, is_own ? std::vector<std::string>{"0"} : ProcessesOf(parent), found.parents_);
  }
  for (const auto& [controller, directory] : found.parents_) found.missing_.erase(controller);
  return found;
}

std::vector<Cgroups::Wish> Cgroups::WishesOf(const CgroupLimits& limits) {
  const bool is_strict = !limits.best_effort;
  return {{"memory", limits.memory_bytes, is_strict && limits.memory_bytes > 0},
          {"cpu", limits.cpu_millis, is_strict && limits.cpu_millis > 0},
          {"pids", limits.pids > 0 ? limits.pids : kDefaultPids, is_strict && limits.pids > 0}};
}

absl::Status Cgroups::CannotEnforce(const std::string& controller, const std::string& why) {
  return absl::FailedPreconditionError(
      absl::StrCat("limits.", controller, ": cannot be enforced on this host: ", why));
}

absl::Status Cgroups::Check(const CgroupLimits& limits) const {
  for (const Wish& wish : WishesOf(limits)) {
    if (wish.asked && parents_.count(wish.controller) == 0)
      return CannotEnforce(wish.controller, missing_.at(wish.controller));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> Cgroups::Make(const std::string& id,
                                                       const CgroupLimits& limits) {
  // Another one for each run: what an earlier one left behind is in its own.
  const std::string name = absl::StrCat(id, "-", RandomHex().substr(0, kRandomDigits));
  std::vector<std::string> directories;
  const auto fail = [&](const Wish& wish, const std::string& why) {
    End(directories);
    return CannotEnforce(wish.controller, why);
  };
  for (const Wish& wish : WishesOf(limits)) {
    if (wish.value <= 0) continue;
    const auto parent = parents_.find(wish.controller);
    if (parent == parents_.end()) {
      if (wish.asked) return fail(wish, missing_.at(wish.controller));
      continue;
    }
    const std::string directory = absl::StrCat(parent->second, "/", kPrefix, name);
    if (mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
      if (!wish.asked) continue;
      return fail(wish, absl::StrCat("mkdir ", directory, ": ", std::strerror(errno)));
    }
    if (!Has(directories, directory)) directories.push_back(directory);
    const int error = SetLimit(wish.controller, directory, wish.value);
    if (error != 0 && wish.asked)
      return fail(wish, absl::StrCat("write in ", directory, ": ", std::strerror(error)));
  }
  return directories;
}

bool Cgroups::End(const std::vector<std::string>& directories) {
  bool out_of_memory = false;
  for (const std::string& directory : directories) {
    for (const char* file : {"/memory.oom_control", "/memory.events"}) {
      for (const std::string& line : Split(ReadWholeFile(directory + file).value_or(""), '\n')) {
        const auto words = Split(line, ' ');
        if (words.size() == 2 && words[0] == "oom_kill" && words[1] != "0") out_of_memory = true;
      }
    }
    rmdir(directory.c_str());
  }
  return out_of_memory;
}

std::set<std::string> Cgroups::OfRuns() const {
  std::set<std::string> found;
  for (const auto& [controller, parent] : parents_) {
    std::error_code error;
    for (std::filesystem::directory_iterator it(parent, error), end; !error && it != end;
         it.increment(error)) {
      const std::string name = it->path().filename().string();
      const std::string tail = name.substr(name.rfind('-') + 1);  // see Make
      if (name.rfind(kPrefix, 0) == 0 && tail.size() == kRandomDigits &&
          tail.find_first_not_of("0123456789abcdef") == std::string::npos)
        found.insert(it->path().string());
    }
  }
  return found;
}

std::optional<int64_t> Cgroups::CpuTimeMicros(const std::vector<std::string>& directories) {
  static constexpr char kUsage[] = "usage_usec ";
  for (const std::string& directory : directories) {
    // Version 2: in every cgroup. Version 1 has a file of this name too, which says other things.
    const std::string stat = ReadWholeFile(directory + "/cpu.stat").value_or("");
    if (stat.compare(0, sizeof kUsage - 1, kUsage) == 0)
      return std::strtoll(stat.c_str() + sizeof kUsage - 1, nullptr, 10);
    // Version 1, where cpu and cpuacct are one hierarchy: nanoseconds.
    if (const auto usage = ReadWholeFile(directory + "/cpuacct.usage"); usage && !usage->empty())
      return std::strtoll(usage->c_str(), nullptr, 10) / 1000;
  }
  return std::nullopt;
}

std::string Cgroups::Describe() const {
  std::string text;
  for (const auto& [controller, directory] : parents_)
    absl::StrAppend(&text, text.empty() ? "" : ", ", controller);
  return text.empty() ? "none" : text;
}

}  // namespace remuda::agent
