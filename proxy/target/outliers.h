// Targets that stand out by how requests to them end: takes those that fail out of rotation for a
// while (core/ejection.h) and gives odd ones less (core/anomaly.h).
//
// Thread: the control loop's.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "proxy/core/anomaly.h"
#include "proxy/core/ejection.h"
#include "proxy/core/routing_table.h"
#include "proxy/io/event_loop.h"

namespace remuda::proxy {

class Outliers {
 public:
  static constexpr std::chrono::seconds kLookInterval{1};

  // `on_change`: that target went out, or came back.
  Outliers(EventLoop& loop, std::function<void(const std::shared_ptr<TargetState>&)> on_change);

  // The newest table, before any worker picks from it.
  void Take(std::shared_ptr<const RoutingTable> table);
  // A worker saw as many failures in a row as the policy of its group says.
  void OnFailing(const std::shared_ptr<TargetState>& target);
  void Forget(TargetState* target);
  // As Ejections has them.
  std::optional<std::pair<SteadyTime, std::chrono::milliseconds>> OutUntil(
      const TargetState& target) const {
    return ejections_.OutUntil(target);
  }
  void Recall(const std::shared_ptr<TargetState>& target, SteadyTime until,
              std::chrono::milliseconds time);

 private:
  const TargetGroup* GroupOf(const TargetState& target) const;
  void ReturnDue();
  void Look();

  EventLoop& loop_;
  const std::function<void(const std::shared_ptr<TargetState>&)> on_change_;
  std::shared_ptr<const RoutingTable> table_;
  Ejections ejections_;
  AnomalyDetector anomalies_;
  Timer return_timer_;
  Timer look_timer_;
};

}  // namespace remuda::proxy
