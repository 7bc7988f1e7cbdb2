// ProcessPlant: the real remuda-controller in a process of its own, over real connections.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/bench/control/plant.h"
#include "tests/component/controller/testing/controller_process.h"

namespace remuda::bench {

class ProcessPlant final : public Plant {
 public:
  // So many receivers share a connection, at most 90 (the controller allows 100 streams).
  ProcessPlant(size_t streams_per_connection, std::vector<std::string> flags)
      : streams_per_connection_(streams_per_connection), flags_(std::move(flags)) {}

  void Start() override;
  void Kill() override;
  std::shared_ptr<grpc::Channel> admin() override { return admin_; }
  std::unique_ptr<Link> Dial(Side side, size_t index, LinkHandler& handler) override;
  double CpuSeconds() override;
  int64_t ResidentBytes() override;
  std::string Metrics() override;

 private:
  const size_t streams_per_connection_;
  const std::vector<std::string> flags_;
  ControllerProcess process_;
  std::shared_ptr<grpc::Channel> admin_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
};

}  // namespace remuda::bench
