// A simulated proxy: adopts configs late, checks targets, sends requests, counts what is in flight,
// and starts again from its disk.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "controller/core/model/observations.h"
#include "controller/core/views/target_group_view.h"
#include "tests/sim/host.h"
#include "tests/sim/scheduler.h"

namespace remuda::sim {

// What a proxy has adopted, by target group.
using Config = std::map<std::string, core::TargetGroupView>;

class Proxy {
 public:
  // The process behind an instance; null if there is none.
  using Lookup = std::function<const Process*(const std::string& instance)>;

  Proxy(std::string name, Scheduler& scheduler, Random& random, Lookup lookup)
      : name_(std::move(name)),
        scheduler_(scheduler),
        random_(random),
        lookup_(std::move(lookup)) {}

  // Up-calls: health of a target changed; the set of busy targets changed; a request was sent; one
  // failed.
  std::function<void(const core::TargetId&, v1::TargetState)> health_changed;
  std::function<void()> busy_changed;
  std::function<void(const core::TargetId&)> picked;
  std::function<void(const std::string& why)> failed;
  bool has_session = false;
  int error_percent = 0;  // of the answers of those that answer errors

  const std::string& name() const { return name_; }
  const Config& config() const { return config_; }
  const std::map<core::TargetId, v1::TargetState>& health() const { return health_; }
  // Targets that take no new requests here but have some in flight.
  std::map<core::TargetId, int64_t> Busy() const;
  int64_t InFlight(const core::TargetId& target) const;
  bool IsActive(const core::TargetId& target) const;
  // What it counted of each subset since it began, and the name of that life.
  google::protobuf::RepeatedPtrField<proxy::v1::SubsetStats> Stats() const;
  std::string Incarnation() const { return name_ + "-" + std::to_string(life_); }

  void Begin();               // checks and traffic, for ever
  void Adopt(Config config);  // at once, in every worker
  void CrashAndReload();      // the disk has the last config; health and requests are lost
  void SendRequests(bool on) { sends_ = on; }

 private:
  struct Check {
    int passes = 0;
    int failures = 0;
  };
  void CheckAll();
  void CheckOne(const core::TargetId& id);
  void SendOne();
  std::string Pick(const std::string& target_group, const core::TargetGroupView& view);
  void Count(const core::SubsetId& subset, bool is_error);
  void Finish(const core::TargetId& target, const core::SubsetId& subset, int life);

  std::string name_;
  Scheduler& scheduler_;
  Random& random_;
  Lookup lookup_;
  Config config_;
  std::map<core::TargetId, v1::TargetState> health_;
  std::map<core::TargetId, Check> checks_;
  std::map<core::TargetId, int64_t> in_flight_;
  std::map<core::SubsetId, proxy::v1::SubsetStats> counts_;
  bool sends_ = true;
  int life_ = 0;
};

}  // namespace remuda::sim
