// Shifts between two target groups, with two auto scaling groups behind one listener.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controller/core/deployment/plan.h"
#include "controller/core/model/shift_row.h"
#include "controller/core/views/describe.h"
#include "tests/unit/controller/core/stages.h"
#include "tests/unit/controller/core/world.h"

namespace remuda::core {
namespace {

using testing::HasSubstr;

constexpr char kListener[] = "loadBalancers/lb/listeners/80";

class Shift : public ::testing::Test, public World {
 protected:
  void SetUp() override {
    Host("h1");
    Host("h2");
    Proxy("p1");
    Proxy("p2");
    Template("shop", 1, 0);
    Balanced("blue");
    v1::TargetGroup green;
    green.set_name("targetGroups/green");
    *green.mutable_deregistration_delay() = ToProto(absl::Seconds(10));
    Put("green", green);
    Edit<v1::LoadBalancer>("lb", [](auto& row) {
      row.mutable_listeners(0)->set_name(kListener);
      auto& action = *row.mutable_listeners(0)->mutable_default_action()->mutable_forward();
      SetWeightIn(action, "blue", 1);
      SetWeightIn(action, "green", 0);
    });
    Group("asg-blue", 1, 4, 3, [](auto& row) { row.add_target_groups("blue"); });
    Group("asg-green", 0, 4, 0, [](auto& row) { row.add_target_groups("green"); });
    Settle();
  }

  void Begin(const std::function<void(v1::Deployment&)>& edit = nullptr) {
    v1::Deployment row;
    row.set_name("deployments/lb-1");
    auto& shift = *row.mutable_shift();
    shift.set_listener(kListener);
    shift.set_from_target_group("blue");
    shift.set_to_target_group("green");
    shift.set_weight(1);
    *row.mutable_health_deadline() = ToProto(absl::Seconds(600));
    row.set_automatic_rollback(true);
    auto& canary = *row.mutable_strategy()->mutable_canary();
    canary.set_percent(5);
    *canary.mutable_interval() = ToProto(absl::Seconds(30));
    *row.mutable_create_time() = ToProto(now);
    if (edit) edit(row);
    BeginSteps(row, PlanOf(row, false), now);
    Put("lb-1", row);
    Step();
  }
  static void Scales(v1::Deployment& row) {
    auto& shift = *row.mutable_shift();
    shift.set_scale_groups(true);
    shift.set_from_auto_scaling_group("asg-blue");
    shift.set_to_auto_scaling_group("asg-green");
    shift.set_from_desired(3);
    shift.set_to_desired(0);
  }
  v1::Deployment Row() const { return Get<v1::Deployment>("lb-1"); }
  std::pair<int, int> Weights() const {
    const auto balancer = Get<v1::LoadBalancer>("lb");
    const v1::ForwardAction& action = *ForwardOf(balancer, Row().shift());
    return {WeightIn(action, "blue"), WeightIn(action, "green")};
  }
  // Nothing but its steps and bounded waits is in its way.
  void Play() {
    for (int i = 0; i < 200 && !HasEnded(StageOf(Row())); ++i) {
      Settle();
      Advance(absl::Seconds(1));
    }
  }
};

TEST_F(Shift, ScalesShiftsAndScalesDown) {
  Begin(Scales);
  for (int i = 0; i < 20 && StageOf(Row()) != Stage::kHolding; ++i) {
    Settle();
    if (Row().traffic_percent() == 0) {
      EXPECT_EQ(Weights(), std::make_pair(1, 0));
    }
  }
  ASSERT_EQ(StageOf(Row()), Stage::kHolding);
  EXPECT_EQ(Weights(), std::make_pair(95, 5));
  EXPECT_EQ(InService("asg-green").size(), 1U) << "5 % of 3, rounded up";
  EXPECT_EQ(InService("asg-blue").size(), 3U);
  Play();
  EXPECT_EQ(StageOf(Row()), Stage::kSucceeded);
  EXPECT_EQ(Weights(), std::make_pair(0, 1));
  EXPECT_EQ(InService("asg-green").size(), 3U);
  EXPECT_EQ(InService("asg-blue").size(), 1U) << "its min";
}

TEST_F(Shift, NoShareMovesBeforeEveryProxyHasConfirmed) {
  Desired("asg-green", 1);
  Settle();
  Begin();
  EXPECT_EQ(StageOf(Row()), Stage::kLaunching);
  seen.proxies["p1"].confirmed_commit = state.commit();
  Step();
  EXPECT_EQ(StageOf(Row()), Stage::kLaunching) << "p2 has not confirmed";
  Confirm();
  Step();
  EXPECT_EQ(StageOf(Row()), Stage::kShifting);
  EXPECT_EQ(Weights(), std::make_pair(95, 5));
  Step();
  EXPECT_EQ(StageOf(Row()), Stage::kShifting) << "nobody has confirmed the share";
  Confirm();
  Step();
  EXPECT_EQ(StageOf(Row()), Stage::kHolding);
}

TEST_F(Shift, ATargetGroupWithoutTargetsIsNotShiftedTo) {
  Begin();
  Settle();
  EXPECT_EQ(StageOf(Row()), Stage::kLaunching);
  EXPECT_THAT(Describe(Draft(state), seen, now, Row()).waiting(),
              HasSubstr("target group green has no targets"));
  Advance(absl::Seconds(600));
  Settle();
  EXPECT_EQ(StageOf(Row()), Stage::kRolledBack);
  EXPECT_EQ(Weights(), std::make_pair(1, 0));
}

TEST_F(Shift, GoesBackByItselfWhenTheNewSideFallsIll) {
  Begin(Scales);
  for (int i = 0; i < 20 && StageOf(Row()) != Stage::kHolding; ++i) Settle();
  ASSERT_EQ(StageOf(Row()), Stage::kHolding);
  for (const std::string& id : InService("asg-green")) {
    for (const char* proxy : {"p1", "p2"}) Finds(proxy, "green", id, v1::TARGET_STATE_UNHEALTHY);
  }
  Advance(absl::Seconds(1));
  EXPECT_EQ(Row().state(), v1::DEPLOYMENT_STATE_ROLLING_BACK);
  Play();
  EXPECT_EQ(StageOf(Row()), Stage::kRolledBack);
  EXPECT_EQ(Weights(), std::make_pair(1, 0));
  EXPECT_EQ(InService("asg-blue").size(), 3U);
  EXPECT_EQ(InService("asg-green").size(), 0U);
}

TEST_F(Shift, GoesBackByItselfWhenTheNewSideDies) {
  Begin(Scales);
  for (int i = 0; i < 20 && StageOf(Row()) != Stage::kHolding; ++i) Settle();
  ASSERT_EQ(StageOf(Row()), Stage::kHolding);
  for (const std::string& id : InService("asg-green")) Killed(id);
  Advance(absl::Seconds(1));
  EXPECT_EQ(Row().state(), v1::DEPLOYMENT_STATE_ROLLING_BACK);
}

TEST_F(Shift, EndsWithItsLoadBalancer) {
  Desired("asg-green", 1);
  Settle();
  Begin();
  Draft draft(state);
  draft.Delete<v1::LoadBalancer>("lb");
  state.Apply(draft.Take(), state.commit() + 1);
  Step();
  EXPECT_TRUE(!state.Find<v1::Deployment>("lb-1") || HasEnded(StageOf(Row())));
}

}  // namespace
}  // namespace remuda::core
