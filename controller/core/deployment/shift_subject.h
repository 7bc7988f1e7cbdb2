// A shift of an action's traffic from one target group to another, with the auto scaling groups
// behind them if it is to scale those. Thread: the loop thread. Pure.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "controller/core/deployment/subject.h"

namespace remuda::core {

class ShiftSubject : public Subject {
 public:
  ShiftSubject(Pass& pass, std::string id, const v1::Deployment& row);

  std::string OldText() const override;
  std::string NewText() const override;
  std::string WhatText() const override;
  Edits::Story Story() const override;
  std::string Orphaned() const override;
  std::string Unconfirmed() const override;
  std::string NotLaunched(std::string* cause) const override;
  std::string NotReadyForReturn() const override;
  std::string NotHalfUp() const override;
  std::string NotGone(v1::DeploymentRole role) const override;
  StepAnswer Replaced() const override;
  bool IsAllSaid() const override;
  std::string LaunchFailure() const override;
  std::string FailsUsers() const override;
  bool MayGoBack() const override;
  Time ProgressTime() const override;
  std::string Advice() const override;
  void MoveTraffic(int percent) override;
  void SetNumbers(bool moves) override;
  void Settle(bool to_new) override;
  void TakeBack() override;

  // Targets of a side.
  struct Count {
    int wanted = 0;   // by the groups behind it, and those registered by hand
    int ready = 0;    // found healthy by every live proxy, and confirmed
    int healthy = 0;  // by most proxies
    int failing = 0;  // not, though they should be
    std::string why;  // the first is not ready
  };
  Count CountOf(const std::string& target_group) const;

 private:
  const v1::TrafficShift& shift() const { return row().shift(); }
  google::protobuf::RepeatedPtrField<std::string> TargetGroups() const;
  std::string NotReady(const std::string& target_group, int enough) const;
  void SetDesired(const std::string& group, int desired);

  const std::string balancer_id_;
  const std::shared_ptr<const v1::LoadBalancer> balancer_;  // null: it is gone
};

}  // namespace remuda::core
