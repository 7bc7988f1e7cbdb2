// GroupPage: the newest values of groups, as /metrics shows them.
//
// Owns: an immutable copy of them. Thread: the loop publishes, any thread prints.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "controller/core/model/group_metrics.h"

namespace remuda {

class GroupPage {
 public:
  // Takes the newest point of each group.
  void Publish(const core::GroupMetrics& metrics);

  // Prometheus' text format. Values that are missing have no line.
  std::string Print() const;

 private:
  struct Row {
    std::string group;
    core::MetricPoint point;
  };
  using Rows = std::vector<Row>;

  mutable std::mutex mutex_;
  std::shared_ptr<const Rows> rows_ = std::make_shared<Rows>();  // guarded by mutex_
};

}  // namespace remuda
