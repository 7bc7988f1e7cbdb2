// Every strategy through its whole life, turn by turn, with what each promises checked after each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "controller/core/deployment/replacement.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/views/assignment.h"
#include "tests/unit/controller/core/deploy_fixture.h"

namespace remuda::core {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class Strategies : public Deploy {
 protected:
  // What was seen at the ends of turns.
  struct Seen {
    int least_serving = std::numeric_limits<int>::max();
    int most_alive = 0;
    std::vector<Stage> stages;
    std::vector<int> shares;  // of the new version while each side has a part
  };

  // Ports are the agents' to pick, so that hosts have room.
  void Size(int number) {
    Template("shop", 1, 0);
    Template("shop", 2, 0);
    Edit<v1::AutoScalingGroup>("blue", [&](auto& row) {
      row.set_max(2 * number);
      row.set_desired(number);
    });
    Settle();
  }

  void Look(Seen& out) {
    int serving = 0;
    int alive = 0;
    for (const std::string& id : state.InstancesOfGroup("blue")) {
      const auto row = Get<v1::Instance>(id);
      alive += row.state() != v1::INSTANCE_STATE_TERMINATED;
      serving += row.state() == v1::INSTANCE_STATE_IN_SERVICE && !IsWithheld(row);
    }
    out.least_serving = std::min(out.least_serving, serving);
    out.most_alive = std::max(out.most_alive, alive);
    const Stage stage = StageOf(Row());
    if (out.stages.empty() || out.stages.back() != stage) out.stages.push_back(stage);
    if (IsShared(Row()) && (out.shares.empty() || out.shares.back() != Row().traffic_percent())) {
      out.shares.push_back(Row().traffic_percent());
    }
  }

  // One turn in which agents and proxies do what they are asked.
  void Turn() {
    for (const auto& [id, row] : state.All<v1::Instance>()) {
      if (row->state() == v1::INSTANCE_STATE_PENDING) Runs(id);
      if (row->state() == v1::INSTANCE_STATE_STOPPING) Stopped(id);
    }
    Step();
    FindsAll(v1::TARGET_STATE_HEALTHY);
    Step();
    Confirm();
    Step();
  }

  Seen Play(const std::function<void()>& each = nullptr) {
    Seen out;
    for (int i = 0; i < 400 && !HasEnded(StageOf(Row())); ++i) {
      Turn();
      if (each) each();
      Look(out);
      Advance(absl::Seconds(1));
      Look(out);
    }
    EXPECT_TRUE(HasEnded(StageOf(Row()))) << StageText(StageOf(Row())) << ": " << Waiting();
    return out;
  }

  static void Rolling(v1::Deployment& row, int min, int max) {
    row.mutable_strategy()->mutable_rolling()->set_min_healthy_percent(min);
    row.mutable_strategy()->mutable_rolling()->set_max_percent(max);
  }
};

TEST_F(Strategies, RollingKeepsTheFloorAndTheCeiling) {
  Size(10);
  Create(2, [](auto& row) { Rolling(row, 90, 120); });
  const Seen was = Play();
  EXPECT_EQ(StageOf(Row()), Stage::kSucceeded);
  EXPECT_GE(was.least_serving, 9);
  EXPECT_LE(was.most_alive, 12);
  EXPECT_THAT(OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(10));
  EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), IsEmpty());
  EXPECT_EQ(Get<v1::AutoScalingGroup>("blue").launch_template().resolved_version(), 2);
}

TEST_F(Strategies, RollingOfOneLaunchesFirst) {
  Edit<v1::AutoScalingGroup>("blue", [](auto& row) {
    row.set_min(1);
    row.set_max(1);
    row.set_desired(1);
  });
  Settle();
  Create(2, [](auto& row) { row.mutable_strategy()->mutable_rolling(); });
  const Seen was = Play();
  EXPECT_EQ(StageOf(Row()), Stage::kSucceeded);
  EXPECT_GE(was.least_serving, 1);
  EXPECT_LE(was.most_alive, 2);
}

TEST_F(Strategies, RollingThatMayHaveNoMoreTerminatesFirst) {
  Size(4);
  Create(2, [](auto& row) { Rolling(row, 100, 100); });
  const Seen was = Play();
  EXPECT_EQ(StageOf(Row()), Stage::kSucceeded);
  EXPECT_EQ(was.most_alive, 4);
  EXPECT_EQ(was.least_serving, 3);
}

TEST_F(Strategies, RollingStopsAtCheckpoints) {
  Size(10);
  Create(2, [](auto& row) {
    Rolling(row, 90, 120);
    row.mutable_strategy()->mutable_rolling()->add_checkpoint_percents(20);
    *row.mutable_strategy()->mutable_rolling()->mutable_checkpoint_delay() =
        ToProto(absl::Seconds(50));
  });
  for (int i = 0; i < 30 && StageOf(Row()) != Stage::kHolding; ++i) Turn();
  ASSERT_EQ(StageOf(Row()), Stage::kHolding);
  for (int i = 0; i < 5; ++i) Turn();
  EXPECT_EQ(StageOf(Row()), Stage::kHolding);
  EXPECT_THAT(OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(2));
  EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(8));
  // One of either version that dies there is replaced by its like.
  for (const int version : {1, 2}) {
    Killed(OfVersion(version, v1::INSTANCE_STATE_IN_SERVICE)[0]);
  }
  for (int i = 0; i < 3; ++i) Turn();
  EXPECT_THAT(OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(2));
  EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(8));
  Play();
  EXPECT_EQ(StageOf(Row()), Stage::kSucceeded);
  EXPECT_THAT(OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(10));
}

TEST_F(Strategies, RollingWaitsAfterEachBatch) {
  Size(3);
  Create(2, [](auto& row) {
    Rolling(row, 100, 110);
    *row.mutable_strategy()->mutable_rolling()->mutable_bake() = ToProto(absl::Seconds(60));
  });
  const Time begin = now;
  Play();
  EXPECT_EQ(StageOf(Row()), Stage::kSucceeded);
  EXPECT_GE(now - begin, absl::Seconds(180));
}

TEST_F(Strategies, RollingGoesBackTheWayItCame) {
  Size(10);
  Create(2, [](auto& row) { Rolling(row, 90, 120); });
  while (OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE).size() < 5) Turn();
  Edit<v1::Deployment>("blue-1", [&](auto& row) {
    BeginRollback(row, now);
    row.set_rollback_reason("asked for");
  });
  const Seen was = Play();
  EXPECT_EQ(StageOf(Row()), Stage::kRolledBack);
  EXPECT_GE(was.least_serving, 9);
  EXPECT_LE(was.most_alive, 12);
  EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(10));
  EXPECT_EQ(Get<v1::AutoScalingGroup>("blue").launch_template().resolved_version(), 1);
}

TEST_F(Strategies, RollingToAVersionThatCrashesGoesBackByItself) {
  Size(10);
  Create(2, [](auto& row) { Rolling(row, 90, 120); });
  Seen was;
  for (int i = 0; i < 200 && !HasEnded(StageOf(Row())); ++i) {
    for (const auto& [id, row] : state.All<v1::Instance>()) {
      const bool is_new = row->launch_template().resolved_version() == 2;
      if (row->state() == v1::INSTANCE_STATE_PENDING) is_new ? Killed(id) : Runs(id);
      if (row->state() == v1::INSTANCE_STATE_STOPPING) Stopped(id);
    }
    Step();
    FindsAll(v1::TARGET_STATE_HEALTHY);
    Confirm();
    Step();
    Look(was);
    Advance(absl::Seconds(2));
  }
  EXPECT_EQ(StageOf(Row()), Stage::kRolledBack);
  EXPECT_THAT(Row().rollback_reason(), HasSubstr("launches of shop:2 failed"));
  EXPECT_GE(was.least_serving, 9);
  EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(10));
}

TEST_F(Strategies, RollingFollowsADesiredNumberThatChanges) {
  Size(4);
  Create(2, [](auto& row) { Rolling(row, 100, 125); });
  Turn();
  Turn();
  Desired("blue", 8);
  Play();
  EXPECT_EQ(StageOf(Row()), Stage::kSucceeded);
  EXPECT_THAT(OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(8));
}

TEST_F(Strategies, InPlaceKeepsIdHostAndPort) {
  Size(4);
  std::map<std::string, std::pair<std::string, int>> before;
  for (const std::string& id : InService("blue")) {
    const auto row = Get<v1::Instance>(id);
    before[id] = {row.host(), row.port()};
  }
  Create(2, [](auto& row) { row.mutable_strategy()->mutable_in_place(); });
  const Seen was = Play();
  EXPECT_EQ(StageOf(Row()), Stage::kSucceeded);
  EXPECT_EQ(was.least_serving, 3);
  EXPECT_EQ(was.most_alive, 4);
  std::map<std::string, std::pair<std::string, int>> after;
  for (const std::string& id : InService("blue")) {
    const auto row = Get<v1::Instance>(id);
    EXPECT_EQ(row.launch_template().resolved_version(), 2);
    EXPECT_EQ(row.generation(), 1);
    after[id] = {row.host(), row.port()};
  }
  EXPECT_EQ(after, before);
}

TEST_F(Strategies, InPlaceChangesNothingBeforeEveryProxyHasLetGo) {
  Create(2, [](auto& row) { row.mutable_strategy()->mutable_in_place(); });
  const std::vector<std::string> out = Ids("blue", {v1::INSTANCE_STATE_DRAINING});
  ASSERT_THAT(out, SizeIs(1));
  const std::string& id = out[0];
  const auto assigned = [&] {
    return AssignmentFor(state, seen, Get<v1::Instance>(id).host()).at(id);
  };
  Step();
  EXPECT_EQ(assigned().generation(), 0);
  seen.proxies["p1"].confirmed_commit = state.commit();
  Step();
  EXPECT_EQ(assigned().generation(), 0) << "p2 has not confirmed";
  Confirm();
  seen.proxies["p2"].busy[{"tg", id}] = 1;
  Step();
  EXPECT_EQ(assigned().generation(), 0) << "a request is in flight";
  seen.proxies["p2"].busy.clear();
  Confirm();
  Step();
  EXPECT_EQ(assigned().generation(), 1);
  EXPECT_EQ(assigned().launch_template().version(), 2);
  // What the agent said of the generation before tells nothing of this one.
  Step();
  EXPECT_EQ(Get<v1::Instance>(id).state(), v1::INSTANCE_STATE_PENDING);
  EXPECT_FALSE(Get<v1::Instance>(id).has_start_time());
}

TEST_F(Strategies, InPlaceGoesBackInPlace) {
  Size(4);
  const std::vector<std::string> before = InService("blue");
  Create(2, [](auto& row) { row.mutable_strategy()->mutable_in_place(); });
  while (OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE).size() < 2) Turn();
  Step();
  Edit<v1::Deployment>("blue-1", [&](auto& row) {
    BeginRollback(row, now);
    row.set_rollback_reason("asked for");
  });
  const Seen was = Play();
  EXPECT_EQ(StageOf(Row()), Stage::kRolledBack);
  EXPECT_GE(was.least_serving, 3);
  EXPECT_EQ(InService("blue"), before);
  EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(4));
}

TEST_F(Strategies, InPlaceOfOneComesBack) {
  Edit<v1::AutoScalingGroup>("blue", [](auto& row) {
    row.set_min(1);
    row.set_max(1);
    row.set_desired(1);
  });
  Settle();
  Create(2, [](auto& row) { row.mutable_strategy()->mutable_in_place(); });
  const Seen was = Play();
  EXPECT_EQ(StageOf(Row()), Stage::kSucceeded);
  EXPECT_EQ(was.most_alive, 1);
  EXPECT_THAT(OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(1));
}

TEST_F(Strategies, ACanaryHasItsShareWhateverTheNumbers) {
  Size(10);
  Create(2, [](auto& row) {
    auto& canary = *row.mutable_strategy()->mutable_canary();
    canary.set_percent(5);
    *canary.mutable_interval() = ToProto(absl::Seconds(20));
  });
  for (int i = 0; i < 30 && StageOf(Row()) != Stage::kHolding; ++i) Turn();
  ASSERT_EQ(StageOf(Row()), Stage::kHolding);
  EXPECT_THAT(OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(1));
  EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(10));
  EXPECT_THAT(Split(), AllOf(testing::Contains(testing::Pair("blue/shop:1", 19)),
                             testing::Contains(testing::Pair("blue/shop:2", 1))));
  const Seen was = Play();
  EXPECT_EQ(StageOf(Row()), Stage::kSucceeded);
  EXPECT_GE(was.least_serving, 10);
  EXPECT_THAT(OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(10));
}

TEST_F(Strategies, LinearTakesItsSteps) {
  Size(4);
  Create(2, [](auto& row) {
    auto& linear = *row.mutable_strategy()->mutable_linear();
    linear.set_step_percent(25);
    *linear.mutable_interval() = ToProto(absl::Seconds(5));
  });
  const Seen was = Play();
  EXPECT_EQ(StageOf(Row()), Stage::kSucceeded);
  EXPECT_THAT(was.shares, ElementsAre(25, 50, 75));
}

TEST_F(Strategies, ACanaryGoesBackFromItsShare) {
  Size(10);
  Create(2, [](auto& row) {
    auto& canary = *row.mutable_strategy()->mutable_canary();
    canary.set_percent(10);
    *canary.mutable_interval() = ToProto(absl::Seconds(100));
  });
  for (int i = 0; i < 30 && StageOf(Row()) != Stage::kHolding; ++i) Turn();
  Rollback();
  const Seen was = Play();
  EXPECT_EQ(StageOf(Row()), Stage::kRolledBack);
  EXPECT_GE(was.least_serving, 10);
  EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(10));
  EXPECT_THAT(Ids("blue", {v1::INSTANCE_STATE_IN_SERVICE}), SizeIs(10));
}

TEST_F(Strategies, WrittenStepsAreCompletedAndWaitForAPerson) {
  Size(4);
  Create(2, [](auto& row) {
    auto& strategy = *row.mutable_strategy();
    strategy.clear_blue_green();
    strategy.add_steps()->set_traffic(5);
    strategy.add_steps()->mutable_approval()->set_name("security");
    strategy.add_steps()->set_traffic(50);
  });
  for (int i = 0; i < 30 && StageOf(Row()) != Stage::kHolding; ++i) Turn();
  for (int i = 0; i < 5; ++i) {
    Turn();
    Advance(absl::Hours(1));
  }
  ASSERT_EQ(StageOf(Row()), Stage::kHolding);
  EXPECT_THAT(Waiting(), HasSubstr("`remuda deployment approve blue-1 security`"));
  Edit<v1::Deployment>("blue-1", [](auto& row) { row.set_approved(true); });
  const Seen was = Play();
  EXPECT_EQ(StageOf(Row()), Stage::kSucceeded);
  EXPECT_THAT(was.shares, ElementsAre(5, 50));
}

TEST_F(Strategies, NoDeadlineRunsWhileItIsPaused) {
  Create(2);
  Edit<v1::Deployment>("blue-1", [&](auto& row) { Pause(row, now); });
  Advance(absl::Hours(5));
  EXPECT_EQ(StageOf(Row()), Stage::kLaunching);
  Edit<v1::Deployment>("blue-1", [&](auto& row) { Resume(row, now); });
  Advance(absl::Seconds(599));
  EXPECT_EQ(StageOf(Row()), Stage::kLaunching);
  Confirm();
  Advance(absl::Seconds(1));
  EXPECT_EQ(StageOf(Row()), Stage::kRolledBack);
  EXPECT_THAT(Row().rollback_reason(), HasSubstr("within 10m"));
}

TEST_F(Strategies, SupersededByRollingOrInPlaceServesAllTheTime) {
  for (const bool in_place : {false, true}) {
    Size(4);
    Create(2);
    NewOnesAreHealthy();
    ASSERT_EQ(OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE).size(), 4U) << "withheld still";
    v1::Deployment next = Row();
    next.clear_strategy();
    if (in_place) {
      next.mutable_strategy()->mutable_in_place();
    } else {
      next.mutable_strategy()->mutable_rolling();
    }
    next.clear_activity();
    BeginSteps(next, PlanOf(next, false), now);
    Put("blue-1", next);
    const Seen was = Play();
    EXPECT_GE(was.least_serving, 3) << in_place;
    EXPECT_EQ(StageOf(Row()), Stage::kSucceeded);
    EXPECT_THAT(OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(4));
    // Back to where it began.
    Create(1, [](auto& row) { row.mutable_strategy()->mutable_rolling(); });
    Play();
  }
}

TEST_F(Strategies, ABatchMayServeLongerThanTheDeadline) {
  Size(2);
  Create(2, [](auto& row) {
    Rolling(row, 100, 150);
    *row.mutable_strategy()->mutable_rolling()->mutable_bake() = ToProto(absl::Seconds(100));
    *row.mutable_health_deadline() = ToProto(absl::Seconds(20));
  });
  for (int i = 0; i < 100; ++i) {
    Turn();
    Advance(absl::Seconds(1));
  }
  Edit<v1::Deployment>("blue-1", [&](auto& row) { Pause(row, now); });
  Advance(absl::Seconds(500));
  Edit<v1::Deployment>("blue-1", [&](auto& row) { Resume(row, now); });
  Play();
  EXPECT_EQ(StageOf(Row()), Stage::kSucceeded) << Row().rollback_reason();
}

TEST_F(Strategies, WithoutAutomaticRollbackAFailureIsAPersonsToDecide) {
  Size(4);
  Create(2, [](auto& row) {
    row.set_automatic_rollback(false);
    row.mutable_strategy()->mutable_canary()->set_percent(25);
    *row.mutable_strategy()->mutable_canary()->mutable_interval() = ToProto(absl::Seconds(60));
    row.mutable_analysis()->add_checks()->mutable_error_rate()->set_min_requests(1000);
    *row.mutable_analysis()->mutable_interval() = ToProto(absl::Seconds(10));
  });
  for (int i = 0; i < 10 && StageOf(Row()) != Stage::kHolding; ++i) Turn();
  Edit<v1::Deployment>("blue-1", [](auto& row) { row.set_failed_background_evaluations(7); });
  for (int i = 0; i < 30; ++i) {
    Turn();
    Advance(absl::Seconds(5));
  }
  EXPECT_EQ(StageOf(Row()), Stage::kHolding);
  EXPECT_EQ(Row().traffic_percent(), 25);
  EXPECT_THAT(Waiting(), HasSubstr("automatic rollback is off"));
  Edit<v1::Deployment>("blue-1", [](auto& row) { row.set_promoted_all(true); });
  Play();
  EXPECT_EQ(StageOf(Row()), Stage::kSucceeded);
}

TEST_F(Strategies, InPlaceKeepsItsFloorWhenTheGroupShrinks) {
  Size(10);
  Create(2, [](auto& row) {
    row.mutable_strategy()->mutable_in_place()->set_min_healthy_percent(50);
  });
  ASSERT_EQ(Ids("blue", {v1::INSTANCE_STATE_DRAINING}).size(), 5U);
  Desired("blue", 5);
  const Seen was = Play();
  EXPECT_GE(was.least_serving, 2);
  EXPECT_EQ(StageOf(Row()), Stage::kSucceeded);
  EXPECT_THAT(OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(5));
}

TEST(Replacement, NeverBreaksItsPromises) {
  for (int desired = 0; desired <= 12; ++desired) {
    for (const int min : {0, 50, 90, 100}) {
      for (const int max : {100, 110, 150, 200}) {
        v1::ReplaceStep step;
        step.set_min_healthy_percent(min);
        step.set_max_percent(max);
        step.set_terminate_first(max == 100);
        const ReplaceBounds bounds = BoundsOf(step, desired);
        ReplaceProgress now{.desired = desired, .left = desired, .left_alive = desired};
        int turns = 0;
        while (!IsReplaced(bounds, now)) {
          ASSERT_LT(++turns, 4 * desired + 4)
              << desired << " " << min << " " << max << ": makes no progress";
          const ReplaceNumbers next = Replace(bounds, now, ReplaceMode::kMove);
          now.has_begun = true;
          now.coming = next.coming;
          now.staying = next.staying;
          ASSERT_GE(next.coming, now.came) << "what came is not taken down";
          ASSERT_LE(next.coming + now.left_alive, bounds.ceiling);
          ASSERT_GE(now.ready + std::min(next.staying, now.left),
                    std::min(bounds.floor, now.ready + now.left));
          // Those that are drained go a turn later; those that come are ready a turn later.
          now.left_alive = now.left;
          now.left = std::min(now.left, next.staying);
          now.ready = now.came;
          now.came = next.coming;
        }
      }
    }
  }
}

}  // namespace
}  // namespace remuda::core
