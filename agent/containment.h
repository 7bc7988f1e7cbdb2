// How this host's apps are kept to what is theirs: which of the means it has, and how they are
// applied to one app.
//
// Which there are is found out once, by trying each in a process of its own. docs/agent.md has the
// list, and docs/security.md what follows where one is missing.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/app_users.h"
#include "agent/instance_dir.h"
#include "agent/record_file.h"
#include "remuda/v1/launch_template.pb.h"

namespace remuda::agent {

class Containment {
 public:
  struct Options {
    std::string program;         // run as `program probe UID`
    std::string data_directory;  // not to be seen by apps
    UserRange users = {};
    std::vector<std::string> readable =
        {};  // directories that apps may read and run beside the system's
  };
  // Open files of a process whose template names no number, where the host allows so many.
  static constexpr int64_t kDefaultOpenFiles = 65'536;

  explicit Containment(Options options);

  // What this host does not have of user, seccomp, landlock and private_tmp, and why.
  const std::map<std::string, std::string>& lacks() const { return lacks_; }

  // Whether what the template asks for can be had here, but for limits by cgroups.
  // FailedPrecondition: what cannot, and why.
  absl::Status Check(const remuda::v1::LaunchTemplateVersion& launch_template) const;

  // What the run record says of it. `user`: nullopt for this process's own.
  void AddTo(const remuda::v1::LaunchTemplateVersion& launch_template, const InstanceDir& dir,
             const std::optional<UserIds>& user, Record& run) const;

  // Whether an app has a /tmp of its own. Else TMPDIR tells it where to write.
  bool has_private_tmp() const { return lacks_.count("private_tmp") == 0; }

 private:
  void Probe();
  absl::Status CheckWritable(const std::string& path) const;

  Options options_;
  std::map<std::string, std::string> lacks_;
  int64_t max_open_files_ = 0;
};

// The limit on the disk; 0: none. As the assignment was checked.
int64_t DiskBytesOf(const remuda::v1::LaunchTemplateVersion& launch_template);

}  // namespace remuda::agent
