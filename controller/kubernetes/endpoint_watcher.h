// EndpointWatcher: tells which endpoints Services have. The seam between who decides what is
// followed (TargetSources) and who does it (KubernetesThread, or a test).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "controller/core/door/follow_targets.h"

namespace remuda {

// How a Service stands.
struct EndpointReport {
  // Who takes requests; nullopt: not known, or as it was said before.
  std::optional<std::vector<core::FollowedEndpoint>> endpoints = std::nullopt;
  std::string error = {};  // why it is not followed just now, for a person; empty: it is
  bool is_heard = false;   // the source has said something
};

class EndpointWatcher {
 public:
  using Take = std::function<void(EndpointReport)>;
  virtual ~EndpointWatcher() = default;
  // Follows until Forget(id). `take` is called with whatever changes, on the loop thread, never
  // from inside Follow; a call may be on its way still when it is forgotten. An `id` is used once.
  virtual void Follow(int64_t id, const v1::KubernetesTargets& whose, Take take) = 0;
  virtual void Forget(int64_t id) = 0;
};

}  // namespace remuda
