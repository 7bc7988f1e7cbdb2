// The cgroups of instances: limits on memory, processor and processes, where this host lets the
// agent set them.
//
// Knows version 1 (a hierarchy a controller) and version 2 (one, whose subtree must be the agent's
// to divide). A limit that was asked for and cannot be enforced is an error, never ignored. Loop
// thread.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace remuda::agent {

struct CgroupLimits {
  int64_t memory_bytes = 0;  // 0: none
  int64_t cpu_millis = 0;    // 0: none
  int64_t pids = 0;          // 0: kDefaultPids if that can be enforced, else none
  bool best_effort = false;  // what cannot be enforced is left out
};

class Cgroups {
 public:
  // A tree that forks without end stops here, if the template says nothing else.
  static constexpr int64_t kDefaultPids = 4096;

  // Finds out what this host offers. Never fails: offering nothing is an answer.
  static Cgroups Detect();

  // The cgroup of that unit of ours is for instances alone, where systemd has it beside the
  // agent's own.
  static constexpr char kInstancesUnit[] = "remuda-instances.service";
  // What was in a cgroup that is divided goes on in this one below it.
  static constexpr char kLeaf[] = "remuda-agent";

  // Version 2: under which cgroup those of instances are made, where the agent is in `own`. Not in
  // the agent's own under systemd: a divided one can hold no process, so that no later agent could
  // be started in it while apps of the last one run.
  static std::string ParentV2(const std::string& own);
  // Version 2: has `directory` divide the controllers that `parents` does not have yet, and adds
  // them there. It lets a cgroup have either processes or divided controllers: those that are in it
  // ("0": this one) move into a leaf. False: it cannot be divided.
  static bool DivideV2(const std::string& directory, const std::vector<std::string>& processes,
                       std::map<std::string, std::string>& parents);

  // Whether this host can enforce them. FailedPrecondition: one it cannot; says which and why.
  absl::Status Check(const CgroupLimits& limits) const;

  // Makes the cgroups of one run of an instance and sets its limits. Answers the directories whose
  // cgroup.procs its first process joins. FailedPrecondition: a limit cannot be enforced here; says
  // which and why.
  absl::StatusOr<std::vector<std::string>> Make(const std::string& id, const CgroupLimits& limits);

  // For a run whose processes are all gone: whether it met its memory limit. Removes the
  // directories.
  static bool End(const std::vector<std::string>& directories);

  // Directories of runs, whoever's: of ones that ended too when nobody was there to remove theirs.
  std::set<std::string> OfRuns() const;

  // Processor time of all that ever ran in a run's cgroups, in microseconds; nullopt: this host's
  // count none.
  static std::optional<int64_t> CpuTimeMicros(const std::vector<std::string>& directories);

  // "memory", "cpu", "pids": those that cannot be enforced, and why.
  const std::map<std::string, std::string>& lacks() const { return missing_; }
  // "memory", "cpu", "pids": those that can be enforced. For a person.
  std::string Describe() const;

 private:
  struct Wish {
    std::string controller;
    int64_t value;
    bool asked;
  };
  static std::vector<Wish> WishesOf(const CgroupLimits& limits);
  static absl::Status CannotEnforce(const std::string& controller, const std::string& why);

  std::map<std::string, std::string> parents_;  // controller → directory in which ours are made
  std::map<std::string, std::string> missing_;  // controller → why it cannot be used
};

}  // namespace remuda::agent
