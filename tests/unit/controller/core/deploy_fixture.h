// A group `blue` of two instances of shop:1 behind two proxies, and a deployment `blue-1` of it.
// For the tests of controller/core.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "controller/core/deployment/begins_from.h"
#include "controller/core/deployment/plan.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/views/describe.h"
#include "tests/unit/controller/core/world.h"

namespace remuda::core {

class Deploy : public ::testing::Test, public World {
 protected:
  Deploy() {
    for (const char* host : {"h1", "h2"}) Host(host);
    Proxy("p1");
    Proxy("p2");
    Balanced("tg");
    Template("shop", 1, 8000);
    Template("shop", 2, 9000);
    Template("shop", 3, 9500);
    Group("blue", 1, 2, 2, [](auto& row) { row.add_target_groups("tg"); });
    Settle();
  }

  void Create(int to, const std::function<void(v1::Deployment&)>& edit = nullptr) {
    v1::Deployment row;
    row.set_name("deployments/blue-1");
    row.set_auto_scaling_group("blue");
    const auto group = Get<v1::AutoScalingGroup>("blue");
    *row.mutable_to() = group.launch_template();
    row.mutable_to()->set_resolved_version(to);
    *row.mutable_from() = RunsBeside(Draft(state), "blue", group, row.to());
    *row.mutable_health_deadline() = ToProto(absl::Seconds(600));
    *row.mutable_strategy()->mutable_blue_green()->mutable_bake() = ToProto(absl::Seconds(30));
    *row.mutable_create_time() = ToProto(now);
    *row.mutable_step_time() = ToProto(now);
    if (edit) edit(row);
    if (StageOf(row) == Stage::kNone) BeginSteps(row, PlanOf(row, false), now);
    Put("blue-1", row);
    Step();
  }
  v1::Deployment Row() const { return Get<v1::Deployment>("blue-1"); }
  std::string Waiting() const { return Describe(Draft(state), seen, now, Row()).waiting(); }
  std::map<std::string, int> Split() const {
    std::map<std::string, int> out;
    const TargetGroupView view = TargetGroupViewOf(state, seen, "tg");
    for (const auto& subset : view.split->subsets()) {
      out[subset.subset()] = subset.weight();
    }
    return out;
  }
  static bool Takes(const proxy::v1::Target& target) {
    return !target.has_weight() || target.weight() > 0;
  }
  bool IsUpThere(const proxy::v1::Target& target) const {
    return target.state() == proxy::v1::Target::STATE_ACTIVE &&
           Get<v1::Instance>(target.id()).state() == v1::INSTANCE_STATE_IN_SERVICE;
  }
  std::vector<std::string> OfVersion(int version, v1::InstanceState is) const {
    std::vector<std::string> out;
    for (const std::string& id : Ids("blue", {is})) {
      if (Get<v1::Instance>(id).launch_template().resolved_version() == version) out.push_back(id);
    }
    return out;
  }
  // New instances run and are found healthy by both proxies, nothing is confirmed.
  void NewOnesAreHealthy() {
    for (const std::string& id : Pending("blue")) Runs(id);
    Step();
    FindsAll(v1::TARGET_STATE_HEALTHY);
    Step();
  }
  void UntilStage(Stage stage) {
    for (int i = 0; i < 20 && StageOf(Row()) != stage; ++i) {
      NewOnesAreHealthy();
      Confirm();
      if (StageOf(Row()) == Stage::kBaking) Advance(absl::Seconds(30));
      if (StageOf(Row()) == stage) break;
      for (const std::string& id : Ids("blue", {v1::INSTANCE_STATE_STOPPING})) Stopped(id);
      Step();
    }
    ASSERT_EQ(StageOf(Row()), stage) << Waiting();
  }
  // New instances run this; those that run go on.
  void Refer(int version) {
    Edit<v1::AutoScalingGroup>(
        "blue", [&](auto& row) { row.mutable_launch_template()->set_resolved_version(version); });
    Step();
  }
  // What each instance that is up gets of the traffic, by the split: 0 for those kept from it.
  std::map<std::string, int> Shares() const {
    std::map<std::string, int> out;
    const TargetGroupView view = TargetGroupViewOf(state, seen, "tg");
    for (const auto& subset : view.split->subsets()) {
      int members = 0;
      for (const auto& [id, target] : view.targets) {
        members += target.subset() == subset.subset() && Takes(target) && IsUpThere(target);
      }
      for (const auto& [id, target] : view.targets) {
        if (target.subset() != subset.subset() || !IsUpThere(target)) continue;
        out[id] = Takes(target) ? 60 * subset.weight() / std::max(1, members) : 0;
      }
    }
    return out;
  }
  // blue-1 has been rolled back, and blue-2 begins.
  void Supersede(int version) {
    Edit<v1::Deployment>("blue-1",
                         [&](auto& row) { End(row, v1::DEPLOYMENT_STATE_ROLLED_BACK, now); });
    v1::Deployment next = Row();
    next.set_name("deployments/blue-2");
    next.mutable_to()->set_resolved_version(version);
    BeginSteps(next, PlanOf(next, false), now);
    next.clear_activity();
    next.clear_end_time();
    Put("blue-2", next);
  }
  void Rollback() {
    Edit<v1::Deployment>("blue-1", [&](auto& row) {
      BeginRollback(row, now);
      row.set_rollback_reason("asked for");
    });
    Step();
  }
};

}  // namespace remuda::core
