// Averages over a group's instances, and how many such instances would bear its load. Pure. Thread:
// the loop thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "controller/core/model/draft.h"
#include "controller/core/model/observations.h"
#include "controller/core/reconcile/host_rooms.h"

namespace remuda::core {

// Whether it is past its group's warm-up.
bool IsWarm(const v1::AutoScalingGroup& group, const v1::Instance& instance, Time now);

// Per cent of one core or of its limits.cpu; of its host's memory or of its limits.memory. Nothing:
// missing.
struct InstanceUse {
  std::optional<double> cpu_percent = std::nullopt;
  std::optional<double> memory_percent = std::nullopt;
};

// Looks instances' numbers up for one moment.
class UseReader {
 public:
  UseReader(const State& state, const Observations& seen, Time now)
      : state_(state), seen_(seen), now_(now) {}

  struct Found {
    // What the host's agent last said of it; null if it is silent or does not know it.
    const Usage* usage = nullptr;
    InstanceUse use = {};
  };
  Found Find(const std::string& id, const v1::Instance& row);

 private:
  struct Host {
    const HostUsage* usage = nullptr;  // null: silent
    int64_t memory_bytes = 0;          // 0: not known
    int64_t cpu_millis = 0;            // 0: not known
  };
  const Host& HostOf(const std::string& id);
  const Bounds& BoundsOfVersion(const v1::LaunchTemplateRef& version);

  const State& state_;
  const Observations& seen_;
  const Time now_;
  std::unordered_map<std::string_view, Host> hosts_;  // by ids of rows of instances
  std::map<std::pair<std::string, int>, Bounds> bounds_;
  // The newest one that was asked for.
  const v1::LaunchTemplateRef* last_version_ = nullptr;
  const Bounds* last_bounds_ = nullptr;
};

// The side of a deployment that is measured.
struct MeasuredSide {
  std::string new_subset = {};  // of the new side; empty: there is one side
  bool is_new = false;
  double share = 1;  // of the traffic, above 0

  bool Has(std::string_view subset) const {
    return new_subset.empty() || (subset == new_subset) == is_new;
  }
};

// Fills in averages, counts, restarts and `bearing`. The reader is of `seen`.
MeasuredSide FoldInstances(const Draft& draft, const std::string& id,
                           const v1::AutoScalingGroup& group, UseReader& reader, Observations& seen,
                           Time now, MetricPoint& point);

}  // namespace remuda::core
