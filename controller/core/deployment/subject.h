// What a deployment moves: instances of a group from one version to another (group_subject.h), or
// the traffic of an action from one target group to another (shift_subject.h). The driver
// (deployment.h) asks it how things are, and tells it what to do; it knows no plan.
//
// Thread: the loop thread. Pure: edits go to the pass's draft.
#pragma once

#include <string>

#include "controller/core/deployment/step_answer.h"
#include "controller/core/reconcile/pass.h"

namespace remuda::core {

class Subject {
 public:
  virtual ~Subject() = default;

  const v1::Deployment& row() const { return row_; }
  const std::string& id() const { return id_; }
  Pass& pass() const { return pass_; }

  // For a person: "shop:2", "target group green".
  virtual std::string OldText() const = 0;
  virtual std::string NewText() const = 0;
  // "shop:2 in place of shop:1".
  virtual std::string WhatText() const = 0;
  // Where activities of it belong.
  virtual Edits::Story Story() const = 0;

  // Why it cannot go on at all, and is over; empty if it can.
  virtual std::string Orphaned() const = 0;

  // --- Gates. Empty: open. Else why not, for a person. ---

  // The newest change is confirmed by every live proxy.
  virtual std::string Unconfirmed() const = 0;
  // The new side is ready for the share that comes next. `cause`: how it was found so.
  virtual std::string NotLaunched(std::string* cause) const = 0;
  // The old side is ready to have all of the traffic again.
  virtual std::string NotReadyForReturn() const = 0;
  // Too few of the new side are up for the old one to be given up.
  virtual std::string NotHalfUp() const = 0;
  // Instances of the role are gone.
  virtual std::string NotGone(v1::DeploymentRole role) const = 0;
  // Instances of one side have taken the place of the other's. For replace and update steps.
  virtual StepAnswer Replaced() const = 0;
  // Whether the proxies have said all that they could: if not, a deadline that is over proves
  // nothing.
  virtual bool IsAllSaid() const = 0;

  // --- Failures. Empty: none. ---

  // The new version cannot be launched.
  virtual std::string LaunchFailure() const = 0;
  // The new side, which has a share, does not bear it.
  virtual std::string FailsUsers() const = 0;
  // Whether there is still a way back.
  virtual bool MayGoBack() const = 0;
  // When the newest progress was made within the current step, for its deadline.
  virtual Time ProgressTime() const = 0;
  // What to do when the rollback has failed too.
  virtual std::string Advice() const = 0;

  // --- Edits. ---

  // The new side gets so many per cent of the traffic, beginning with the row that is put next.
  virtual void MoveTraffic(int percent) = 0;
  // A step begins or goes on: the numbers of both sides for it. `moves`: it may go on; if not, both
  // sides are only kept.
  virtual void SetNumbers(bool moves) = 0;
  // What was the old version before is kept no longer: it is what new ones run, or was always to.
  virtual void Settle(bool to_new) = 0;
  // What a rollback can take back is taken back.
  virtual void TakeBack() = 0;

 protected:
  Subject(Pass& pass, std::string id, const v1::Deployment& row)
      : pass_(pass), id_(std::move(id)), row_(row) {}

 private:
  Pass& pass_;
  const std::string id_;
  const v1::Deployment row_;
};

}  // namespace remuda::core
