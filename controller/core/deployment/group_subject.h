// A group that is moved from one launch template version to another. Thread: the loop thread. Pure.
#pragma once

#include <string>

#include "controller/core/deployment/deployment_facts.h"
#include "controller/core/deployment/replacement.h"
#include "controller/core/deployment/subject.h"

namespace remuda::core {

// Whether a rollback can take the old instance back: it drains for the deployment, and still runs.
bool CanBeTakenBack(const Pass& pass, const Member& member);

class GroupSubject : public Subject {
 public:
  GroupSubject(Pass& pass, DeploymentFacts facts);

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

 private:
  Time HeldUntil() const;
  bool IsBack() const;
  // The side that comes in a replace or update step, and the other.
  const Side& Comes() const { return IsBack() ? facts_.old_side : facts_.new_side; }
  const Side& Goes() const { return IsBack() ? facts_.new_side : facts_.old_side; }
  ReplaceProgress Progress(std::string* why_not_ready) const;
  // Until when the newest batch serves before the next begins; InfinitePast if none does.
  Time BatchEnd() const;
  // Takes a batch out; how many.
  int UpdateSome(const v1::UpdateStep& step, const ReplaceProgress& now);
  void SetTemplate(const v1::LaunchTemplateRef& launch);

  const DeploymentFacts facts_;
};

}  // namespace remuda::core
