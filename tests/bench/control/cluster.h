// Cluster: a controller with players for its agents and proxies, its resources, and what people ask
// of it. Thread: one driver.
#pragma once

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/control/agent_player.h"
#include "tests/bench/control/plant.h"
#include "tests/bench/control/proxy_player.h"
#include "tests/bench/control/tally.h"

namespace remuda::bench {

struct Size {
  size_t agents = 0;
  size_t proxies = 0;
  size_t instances = 0;
  size_t groups = 10;
  // Load balancers; each has its share of the groups and of the proxies.
  size_t shards = 1;
};

// What is waited for has not come in time.
struct Overdue : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Cluster {
 public:
  // The plant runs; nothing is connected.
  Cluster(Plant& plant, Size size);
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;
  ~Cluster();

  // Every receiver dials. Waits until each has a session.
  void Connect(Clock::time_point deadline);
  void DisconnectAll();
  // The image, the launch template, target groups and load balancers; no group yet. Each load
  // balancer has one target group more, kCommon, that is the same for all.
  void Prepare();
  // The groups, each with its share of the instances.
  void ApplyGroups();

  // Registers a target by address.
  void Register(const std::string& target_group, const std::string& address);
  // The next version of the launch template, as which it was made.
  int MakeVersion();
  // Moves a group to the version by so many shifts of the traffic, and waits for the end. How long
  // each shift took, in seconds, by the activities: from its step's decision to that of the next
  // step, for which every proxy had confirmed it.
  std::vector<double> Deploy(size_t group, int version, int shifts);
  // Instances in service, over all groups.
  size_t InService();

  void WaitForRunning(Clock::time_point deadline);
  void WaitForInService(Clock::time_point deadline);
  // Until the controller has nothing to do any more but what it always has.
  void Settle(Clock::time_point deadline);

  static constexpr char kCommon[] = "common";
  static constexpr int kPort = 8080;
  std::string TargetGroupOf(size_t group) const { return "tg" + std::to_string(group); }
  // Those that have the group's targets.
  size_t ProxiesOf(size_t group) const;

  Plant& plant;
  const Size size;
  Tally tally;
  std::vector<std::unique_ptr<AgentPlayer>> agents;
  std::vector<std::unique_ptr<ProxyPlayer>> proxies;

 private:
  AgentPlayer::Dial DialOf(Side side, size_t index);
  void PushImage();
  std::vector<double> ShiftsOf(const std::string& deployment);
  // What receivers say every few seconds, spread evenly. On a thread of its own.
  void Report();

  int versions_ = 1;
  std::atomic<bool> is_reporting_ = true;
  std::thread reporter_;
};

}  // namespace remuda::bench
