// Deployments by every strategy in the simulated cluster, and what people do to them.
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controller/core/model/deployment_row.h"
#include "tests/sim/cluster.h"

namespace remuda::sim {

using absl::Milliseconds;
using absl::Seconds;

google::protobuf::Duration Cluster::AnyWait() {
  return core::ToProto(random_.OneIn(3) ? Seconds(0)
                                        : random_.Between(Milliseconds(500), Seconds(6)));
}

v1::Analysis Cluster::AnyAnalysis() {
  v1::Analysis analysis;
  *analysis.mutable_duration() = core::ToProto(random_.Between(Seconds(0), Seconds(8)));
  *analysis.mutable_interval() = core::ToProto(random_.Between(Seconds(1), Seconds(3)));
  analysis.set_failure_limit(random_.Below(2));
  v1::ErrorRateCheck& check = *analysis.add_checks()->mutable_error_rate();
  check.set_min_requests(1 + random_.Below(8));
  if (random_.OneIn(2)) check.set_max_percent(random_.Below(20));
  if (!check.has_max_percent() || random_.OneIn(2)) check.set_max_increase_percent(5);
  return analysis;
}

v1::DeploymentStep Cluster::AnyHold() {
  v1::DeploymentStep step;
  switch (random_.Below(3)) {
    case 0:
      *step.mutable_pause() = AnyWait();
      return step;
    case 1:
      step.mutable_approval()->set_name(random_.OneIn(2) ? "security" : "");
      return step;
    default:
      *step.mutable_analysis() = AnyAnalysis();
      return step;
  }
}

v1::DeploymentStrategy Cluster::WrittenSteps() {
  v1::DeploymentStrategy out;
  const int family = random_.Below(3);
  int percent = family == 0 && random_.OneIn(8) ? 0 : 1;
  while (percent <= 100 && out.steps_size() < 8) {
    if (family == 0 && random_.OneIn(4)) {
      out.add_steps()->mutable_launch()->set_percent(std::max(1, percent));
    }
    v1::DeploymentStep& step = *out.add_steps();
    if (family == 0) {
      step.set_traffic(percent);
    } else if (family == 1) {
      step.mutable_replace()->set_percent(percent);
      step.mutable_replace()->set_min_healthy_percent(random_.Below(101));
      step.mutable_replace()->set_max_percent(100 + 25 * random_.Below(5));
      *step.mutable_replace()->mutable_bake() = AnyWait();
    } else {
      step.mutable_update()->set_percent(percent);
      step.mutable_update()->set_min_healthy_percent(random_.Below(101));
      *step.mutable_update()->mutable_bake() = AnyWait();
    }
    if (random_.OneIn(2)) *out.add_steps() = AnyHold();
    percent += 1 + random_.Below(60);
  }
  return out;
}

v1::DeploymentStrategy Cluster::AnyStrategy() {
  v1::DeploymentStrategy out;
  switch (random_.Below(8)) {
    case 0:
      *out.mutable_blue_green()->mutable_bake() = AnyWait();
      return out;
    case 1:
    case 2: {
      v1::RollingStrategy& rolling = *out.mutable_rolling();
      if (random_.OneIn(2)) rolling.set_min_healthy_percent(random_.Below(101));
      if (random_.OneIn(2)) rolling.set_max_percent(100 + 10 * random_.Below(11));
      *rolling.mutable_bake() = AnyWait();
      if (!random_.OneIn(3)) return out;
      rolling.add_checkpoint_percents(1 + random_.Below(50));
      if (random_.OneIn(2)) rolling.add_checkpoint_percents(51 + random_.Below(49));
      *rolling.mutable_checkpoint_delay() = AnyWait();
      return out;
    }
    case 3:
    case 4:
      if (random_.OneIn(2)) out.mutable_in_place()->set_min_healthy_percent(random_.Below(101));
      *out.mutable_in_place()->mutable_bake() = AnyWait();
      return out;
    case 5:
      out.mutable_canary()->set_percent(1 + random_.Below(99));
      *out.mutable_canary()->mutable_interval() = AnyWait();
      *out.mutable_canary()->mutable_bake() = AnyWait();
      return out;
    case 6:
      out.mutable_linear()->set_step_percent(20 + random_.Below(60));
      *out.mutable_linear()->mutable_interval() = AnyWait();
      *out.mutable_linear()->mutable_bake() = AnyWait();
      return out;
    default:
      return WrittenSteps();
  }
}

void Cluster::Deploy() {
  v1::CreateDeploymentRequest request;
  auto& wish = *request.mutable_deployment();
  wish.set_auto_scaling_group("blue");
  wish.mutable_to()->set_launch_template("shop");
  wish.mutable_to()->set_version(absl::StrCat(1 + random_.Below(3)));
  *wish.mutable_health_deadline() =
      core::ToProto(random_.OneIn(5) ? random_.Between(Seconds(1), Seconds(10))
                                     : random_.Between(Seconds(10), Seconds(60)));
  *wish.mutable_strategy() = AnyStrategy();
  wish.set_automatic_rollback(!random_.OneIn(5));
  if (random_.OneIn(4)) *wish.mutable_analysis() = AnyAnalysis();
  request.set_supersede(random_.OneIn(3));
  request.set_refuse_failed(random_.OneIn(8));
  Ask(request);
}

void Cluster::Promote(bool all) {
  const std::string id = ActiveDeploymentId();
  if (id.empty()) return;
  promoted_.emplace(id, (*state_.Find<v1::Deployment>(id))->current_step());
  v1::PromoteDeploymentRequest request;
  request.set_name("deployments/" + id);
  request.set_all(all);
  Ask(request);
}

void Cluster::Approve(bool reject) {
  const std::string id = ActiveDeploymentId();
  if (id.empty()) return;
  if (!reject) approved_.emplace(id, (*state_.Find<v1::Deployment>(id))->current_step());
  v1::ApproveDeploymentRequest request;
  request.set_name("deployments/" + id);
  request.set_reject(reject);
  Ask(request);
}

void Cluster::PauseForAWhile() {
  v1::PauseDeploymentRequest pause;
  pause.set_name("deployments/" + ActiveDeploymentId());
  Ask(pause);
  if (random_.OneIn(4)) return;  // until all is calm
  v1::ResumeDeploymentRequest resume;
  resume.set_name(pause.name());
  scheduler_.After(random_.Between(Milliseconds(1), Seconds(10)), [this, resume] { Ask(resume); });
}

// Whatever waits for a person, from now on.
void Cluster::AgreeToAll() {
  scheduler_.After(Seconds(5), [this] { AgreeToAll(); });
  Approve(false);
}

void Cluster::Operate() {
  if (life_ == Life::kLifecycle && !calm_ && random_.OneIn(2)) return OperateLife();
  const std::string deployment = "deployments/" + ActiveDeploymentId();
  switch (random_.Below(calm_ ? 20 : 21)) {
    case 0:
    case 1: {
      v1::SetDesiredCapacityRequest request;
      request.set_name("autoScalingGroups/blue");
      request.set_desired(random_.Below(5));
      return Ask(request);
    }
    case 2:
    case 3:
      return Promote(random_.OneIn(3));
    case 4:
    case 5:
    case 6:
      return Approve(random_.OneIn(5));
    case 7:
      return PauseForAWhile();
    case 8: {
      v1::RollbackDeploymentRequest request;
      request.set_name(deployment);
      return Ask(request);
    }
    case 9: {
      v1::AbortDeploymentRequest request;
      request.set_name(deployment);
      return Ask(request);
    }
    case 10: {
      v1::DrainHostRequest drain;
      drain.set_name("hosts/h1");
      Ask(drain);
      v1::UncordonHostRequest undo;
      undo.set_name("hosts/h1");
      scheduler_.After(random_.Between(Seconds(1), Seconds(15)), [this, undo] { Ask(undo); });
      return;
    }
    case 11: {  // new instances run another version than those that are there
      v1::UpdateAutoScalingGroupRequest request;
      auto& group = *request.mutable_auto_scaling_group();
      group.set_name("autoScalingGroups/blue");
      group.mutable_launch_template()->set_launch_template("shop");
      group.mutable_launch_template()->set_version(absl::StrCat(1 + random_.Below(2)));
      request.mutable_update_mask()->add_paths("launch_template");
      return Ask(request);
    }
    case 12: {  // the newest deployment, ended or not, twice
      v1::RollbackDeploymentRequest request;
      request.set_name("deployments/" + NewestDeploymentId());
      Ask(request);
      request.set_name("deployments/" + NewestDeploymentId());
      return Ask(request);
    }
    case 13:
      return ApplyManifest();
    case 20: {
      v1::TerminateInstanceRequest request;
      request.set_name("instances/" + AnyInstance());
      request.set_decrement_desired(random_.OneIn(2));
      return Ask(request);
    }
    default:
      return Deploy();
  }
}

}  // namespace remuda::sim
