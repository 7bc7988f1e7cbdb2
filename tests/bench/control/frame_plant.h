// FramePlant: the controller's own objects in this process, with its store and its API, and with
// receivers attached at the frame level: what goes over a stream is handed over, by one thread for
// all receivers, instead of being sent. So more of them fit than connections do.
//
// CpuSeconds is the loop thread's alone; ResidentBytes is the whole process', with the players.
#pragma once

#include <memory>
#include <string>

#include "tests/bench/control/plant.h"

namespace remuda::bench {

class Courier;

class FramePlant final : public Plant {
 public:
  FramePlant();
  ~FramePlant() override;

  void Start() override;
  void Kill() override;
  std::shared_ptr<grpc::Channel> admin() override { return admin_; }
  std::unique_ptr<Link> Dial(Side side, size_t index, LinkHandler& handler) override;
  double CpuSeconds() override;
  int64_t ResidentBytes() override;
  std::string Metrics() override;

 private:
  struct Parts;

  const std::string directory_;
  const std::unique_ptr<Courier> courier_;
  std::unique_ptr<Parts> parts_;
  std::shared_ptr<grpc::Channel> admin_;
};

}  // namespace remuda::bench
