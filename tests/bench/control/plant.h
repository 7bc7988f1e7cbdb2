// Plant: a controller under measurement: how to reach it, and what it has used.
#pragma once

#include <grpcpp/channel.h>

#include <cstdint>
#include <memory>
#include <string>

#include "tests/bench/control/link.h"

namespace remuda::bench {

class Plant {
 public:
  virtual ~Plant() = default;
  // Starts the controller, with the state that it had, and waits until it serves.
  virtual void Start() = 0;
  // Ends it at once, as a crash does.
  virtual void Kill() = 0;

  // For calls of people. A new connection after each Start.
  virtual std::shared_ptr<grpc::Channel> admin() = 0;
  // A receiver's stream. `index` counts the receivers of both sides.
  virtual std::unique_ptr<Link> Dial(Side side, size_t index, LinkHandler& handler) = 0;

  // Since its start.
  virtual double CpuSeconds() = 0;
  virtual int64_t ResidentBytes() = 0;
  // The page of /metrics.
  virtual std::string Metrics() = 0;
};

}  // namespace remuda::bench
