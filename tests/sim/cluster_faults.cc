// What happens to the simulated cluster: commands of people, and things that break.
#include <algorithm>

#include "controller/core/door/execute.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/launch_ref.h"
#include "tests/sim/cluster.h"

namespace remuda::sim {

using absl::Milliseconds;
using absl::Seconds;

const Process* Cluster::FindProcess(const std::string& instance) const {
  for (const auto& [name, part] : hosts_) {
    if (const Process* process = part.host->Find(instance); process != nullptr) return process;
  }
  return nullptr;
}

std::string Cluster::AnyInstance() {
  std::vector<std::string> ids;
  for (const auto& [id, row] : state_.All<v1::Instance>()) {
    if (row->state() != v1::INSTANCE_STATE_TERMINATED) ids.push_back(id);
  }
  return ids.empty() ? "" : random_.Of(ids);
}

std::string Cluster::ActiveDeploymentId() const {
  std::string id;
  core::ActiveDeployment(core::Draft(state_), "blue", &id);
  return id;
}

std::string Cluster::NewestDeploymentId() const {
  std::string newest;
  for (const auto& [id, row] : state_.All<v1::Deployment>()) {
    if (newest.size() < id.size() || (newest.size() == id.size() && newest < id)) newest = id;
  }
  return newest;
}

void Cluster::Command() {
  if (HasStrategies()) return Operate();
  const std::string deployment = "deployments/" + ActiveDeploymentId();
  switch (random_.Below(calm_ ? 12 : 13)) {
    case 0:
    case 1: {
      v1::SetDesiredCapacityRequest request;
      request.set_name("autoScalingGroups/blue");
      request.set_desired(1 + random_.Below(4));
      return Ask(request);
    }
    case 2:
    case 3:
    case 4: {
      v1::CreateDeploymentRequest request;
      auto& wish = *request.mutable_deployment();
      wish.set_auto_scaling_group("blue");
      wish.mutable_to()->set_launch_template("shop");
      wish.mutable_to()->set_version(absl::StrCat(1 + random_.Below(3)));
      *wish.mutable_health_deadline() = core::ToProto(random_.Between(Seconds(10), Seconds(60)));
      *wish.mutable_strategy()->mutable_blue_green()->mutable_bake() =
          core::ToProto(random_.OneIn(2) ? Seconds(0) : random_.Between(Seconds(1), Seconds(15)));
      wish.set_automatic_rollback(!random_.OneIn(4));
      request.set_supersede(random_.OneIn(3));
      return Ask(request);
    }
    case 5: {
      v1::RollbackDeploymentRequest request;
      request.set_name(deployment);
      return Ask(request);
    }
    case 6: {
      v1::PromoteDeploymentRequest request;
      request.set_name(deployment);
      return Ask(request);
    }
    case 7: {
      v1::PauseDeploymentRequest pause;
      pause.set_name(deployment);
      Ask(pause);
      v1::ResumeDeploymentRequest resume;
      resume.set_name(deployment);
      scheduler_.After(random_.Between(Milliseconds(1), Seconds(10)),
                       [this, resume] { Ask(resume); });
      return;
    }
    case 8: {
      v1::DrainHostRequest drain;
      drain.set_name("hosts/h1");
      Ask(drain);
      v1::UncordonHostRequest undo;
      undo.set_name("hosts/h1");
      scheduler_.After(random_.Between(Seconds(1), Seconds(15)), [this, undo] { Ask(undo); });
      return;
    }
    case 9: {  // new instances run another version than those that are there
      v1::UpdateAutoScalingGroupRequest request;
      auto& group = *request.mutable_auto_scaling_group();
      group.set_name("autoScalingGroups/blue");
      group.mutable_launch_template()->set_launch_template("shop");
      group.mutable_launch_template()->set_version(absl::StrCat(1 + random_.Below(2)));
      request.mutable_update_mask()->add_paths("launch_template");
      return Ask(request);
    }
    case 10: {  // an impatient person: the newest deployment, ended or not, twice
      v1::RollbackDeploymentRequest request;
      request.set_name("deployments/" + NewestDeploymentId());
      Ask(request);
      request.set_name("deployments/" + NewestDeploymentId());
      return Ask(request);
    }
    case 11:
      return ApplyManifest();
    default: {
      v1::TerminateInstanceRequest request;
      request.set_name("instances/" + AnyInstance());
      request.set_decrement_desired(random_.OneIn(2));
      return Ask(request);
    }
  }
}

// The manifest is as it was: it changes nothing that a deployment set, nor how many are desired,
// and touches nothing that runs.
void Cluster::ApplyManifest() {
  if (!running_) return;
  core::Draft draft(state_);
  const auto answer = core::Execute(draft, manifest_, {seen_, scheduler_.now()});
  const auto& before = **state_.Find<v1::AutoScalingGroup>("blue");
  const auto after = draft.Find<v1::AutoScalingGroup>("blue");
  if (!before.launch_template_set_by().empty()) {
    if (!answer.ok()) Complain("the manifest is refused: " + answer.status().ToString());
    if (!core::IsSame(before.launch_template(), after->launch_template()) ||
        before.launch_template_set_by() != after->launch_template_set_by()) {
      Complain("apply changes " + core::TextOf(before.launch_template()) + ", which " +
               before.launch_template_set_by() + " set, to " +
               core::TextOf(after->launch_template()));
    }
  }
  if (before.desired() != after->desired()) Complain("apply changes desired");
  for (const core::Edit& edit : draft.Take().edits) {
    if (edit.kind == core::Kind::kInstance || edit.kind == core::Kind::kDeployment) {
      Complain("apply edits " + edit.key);
    }
  }
  Ask(manifest_);
}

void Cluster::Trouble() {
  if (!trouble_) return;
  scheduler_.After(random_.Between(Milliseconds(200), Seconds(HasStrategies() ? 4 : 6)),
                   [this] { Trouble(); });
  auto host = std::next(hosts_.begin(), random_.Below(static_cast<int>(hosts_.size())));
  auto proxy = std::next(proxies_.begin(), random_.Below(static_cast<int>(proxies_.size())));
  switch (random_.Below(calm_ ? 7 : 15)) {
    case 0:
    case 1:
    case 2:
      return Command();
    case 3:
      Break(host->second);
      if (random_.OneIn(3)) host->second.host->CrashAgent();
      return Reconnect();
    case 4:
      Break(proxy->second);
      return Reconnect();
    case 5:
      if (running_ && random_.OneIn(3)) CrashController();
      return;
    case 6:
      Break(host->second);
      Break(proxy->second);
      return Reconnect();
    case 7:
      proxy->second.proxy->CrashAndReload();
      Break(proxy->second);
      return Reconnect();
    case 11:
      host->second.host->fault = random_.OneIn(2) ? Host::Fault::kFails : Host::Fault::kHangs;
      return;
    case 12: {  // everyone comes back one by one, and much is to be placed meanwhile
      if (!running_) return;
      CrashController();
      v1::SetDesiredCapacityRequest request;
      request.set_name("autoScalingGroups/blue");
      request.set_desired(4);
      scheduler_.After(Seconds(26), [this, request] { Ask(request); });
      return;
    }
    case 13:  // a version that worked does not any more, for whoever starts it: no way back to it
      behaviours_[1 + random_.Below(2)] =
          random_.OneIn(2) ? Behaviour::kNeverHealthy : Behaviour::kExitsAtStart;
      return;
    case 14:  // all proxies are cut off at once, and serve on
      for (auto& [name, part] : proxies_) Break(part);
      scheduler_.After(random_.Between(Seconds(10), Seconds(60)), [this] { Reconnect(); });
      return;
    case 8:
    case 9: {
      const std::string id = AnyInstance();
      for (auto& [name, part] : hosts_) part.host->Kill(id, 9);
      return;
    }
    default: {
      const std::string id = AnyInstance();
      for (auto& [name, part] : hosts_) {
        if (Process* process = part.host->Find(id); process != nullptr) process->check_fails = true;
      }
      return;
    }
  }
}

// The new version ends just when the old one is given up.
void Cluster::KillNewWhenOldDrains(const core::Changes& changes) {
  if (!trouble_ || calm_) return;
  for (const core::Edit& edit : changes.edits) {
    if (edit.kind != core::Kind::kDeployment || edit.value == nullptr) continue;
    const auto& deployment = **state_.Find<v1::Deployment>(edit.key);
    if (core::StageOf(deployment) != core::Stage::kDraining || !random_.OneIn(3)) continue;
    scheduler_.After(random_.Between(Milliseconds(0), Milliseconds(50)),
                     [this, to = deployment.to()] {
                       for (const auto& [id, row] : state_.All<v1::Instance>()) {
                         if (!core::IsSame(row->launch_template(), to)) continue;
                         for (auto& [name, part] : hosts_) part.host->Kill(id, 9);
                       }
                     });
  }
}

void Cluster::Calm() {
  trouble_ = false;
  for (auto& [version, behaviour] : behaviours_) {
    behaviour = Behaviour::kGood;  // what crashes for ever never rests
  }
  for (auto& [name, part] : hosts_) part.host->fault = Host::Fault::kNone;
  Reconnect();
  if (HasStrategies()) AgreeToAll();
  if (life_ == Life::kLifecycle) EndLife();
  v1::UncordonHostRequest undo;
  undo.set_name("hosts/h1");
  v1::ResumeDeploymentRequest resume;
  resume.set_name("deployments/" + ActiveDeploymentId());
  // Once the controller is there again.
  scheduler_.After(Seconds(31), [this, undo, resume] {
    Reconnect();
    Ask(undo);
    Ask(resume);
  });
  // What waits for a person is rolled back: there may be no room for as many as are desired.
  scheduler_.After(absl::Minutes(3), [this] {
    v1::RollbackDeploymentRequest back;
    back.set_name("deployments/" + ActiveDeploymentId());
    Ask(back);
  });
}

std::string Cluster::Run() {
  Build();
  scheduler_.After(Seconds(5), [this] { Trouble(); });
  if (HasStrategies())
    scheduler_.After(random_.Between(Seconds(3), Seconds(6)), [this] { Deploy(); });
  const absl::Time end_of_trouble =
      scheduler_.now() + random_.Between(Seconds(20), Seconds(HasStrategies() ? 60 : 120));
  while (scheduler_.now() < end_of_trouble && complaints_.empty()) {
    scheduler_.RunUntil(scheduler_.now() + Seconds(1));
  }
  if (complaints_.empty()) Calm();
  const absl::Time rest_by = scheduler_.now() + absl::Minutes(10);
  absl::Time at_rest_since = absl::InfiniteFuture();
  while (complaints_.empty()) {
    scheduler_.RunUntil(scheduler_.now() + Seconds(1));
    if (!IsAtRest()) {
      at_rest_since = absl::InfiniteFuture();
    } else {
      at_rest_since = std::min(at_rest_since, scheduler_.now());
      if (scheduler_.now() - at_rest_since > Seconds(HasStrategies() ? 5 : 20)) break;
    }
    if (scheduler_.now() > rest_by) Complain("it does not come to rest: " + CheckRest());
  }
  return complaints_.empty() ? "" : complaints_.front();
}

}  // namespace remuda::sim
