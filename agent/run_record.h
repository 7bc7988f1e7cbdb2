// From an assignment to a run record: user, environment, port. Reads the host's user database and
// probes ports; starts nothing.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/app_users.h"
#include "agent/cgroup.h"
#include "agent/containment.h"
#include "agent/instance_dir.h"
#include "agent/record_file.h"
#include "remuda/agent/v1/agent.pb.h"

namespace remuda::agent {

// What all instances of this host have in common.
struct HostFacts {
  std::string address;  // numeric; what apps get as HOST
  std::string zone;
};

// Picks ports for apps that take any. Ports go round, so that one that was just given up is not
// soon another app's.
class PortPicker {
 public:
  // Below the range that the kernel takes for outgoing connections (32768 and up).
  static constexpr int kFirst = 20'000;
  static constexpr int kLast = 31'999;

  // A port above 0 on which nothing listens and which is not in `taken`. Unavailable: none.
  absl::StatusOr<int> Pick(const std::string& address, const std::set<int>& taken);

 private:
  int next_ = 0;  // 0: not yet begun
};

// Whether a listener could be opened there now. `address` is numeric.
bool CanListen(const std::string& address, int port);

struct LaunchFacts {
  HostFacts host;
  InstanceDir dir;
  std::optional<UserIds> user;
  int port = 0;
  int restarts = 0;
  bool is_first_of_generation = false;  // the log says so, above 0
  std::vector<std::string> cgroups;
  std::string agent_url = {};  // of the agent's HTTP port; empty: it has none
  std::string token = {};      // the instance's, for it
  std::map<std::string, std::string> secret_env = {};
  std::string secrets_directory = {};  // where its secret files are; empty: it has none
};

// The run record of one instance; a new run id each time.
Record MakeRunRecord(const v1::InstanceAssignment& assignment, const LaunchFacts& facts,
                     const Containment& containment);

// The line of an instance's log that stands before what a generation above 0 prints.
std::string LogMark(int generation);

CgroupLimits LimitsOf(const remuda::v1::LaunchTemplateVersion& launch_template);

}  // namespace remuda::agent
