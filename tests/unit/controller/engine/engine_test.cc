// The engine: batches, durability before answers, failures that change nothing, reports that do not
// wait for a commit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "common/status.h"
#include "controller/limits.h"
#include "google/rpc/error_details.pb.h"
#include "tests/unit/controller/engine/engine_seams.h"

namespace remuda {
namespace {

class EngineTest : public testing::Test {
 protected:
  explicit EngineTest(TurnBounds bounds = {}) : bounds_(bounds) {
    engine_.Turn();
    engine_.TakeTouched();
  }
  // Adds a command that counts `counter` up; its outcome lands in outcomes_.
  void Count(const std::string& counter) {
    Run([counter](core::Draft& draft) -> absl::Status {
      draft.Next(counter);
      return absl::OkStatus();
    });
  }
  template <class Fn>
  void Run(Fn fn) {
    const size_t index = outcomes_.size();
    outcomes_.emplace_back();
    engine_.Add({.decide = [fn](core::Draft& draft, const core::Context&) { return fn(draft); },
                 .done =
                     [this, index](const absl::Status& status, const core::State&) {
                       ASSERT_FALSE(outcomes_[index].has_value()) << "answered twice";
                       outcomes_[index] = status;
                     }});
  }
  int64_t Counted(const std::string& counter) const {
    const auto* entry = engine_.state().Find<store::v1::Counter>(counter);
    return entry == nullptr ? 0 : (*entry)->last();
  }

  const TurnBounds bounds_;
  HandClock clock_;
  HeldCommitter committer_;
  Metrics metrics_;
  absl::Status lost_;
  std::string store_error_;
  Engine engine_{{.state = {},
                  .patience = {},
                  .on_leadership_lost = [this](const absl::Status& why) { lost_ = why; },
                  .on_store = [this](const std::string& why) { store_error_ = why; },
                  .bounds = bounds_},
                 clock_,
                 committer_,
                 metrics_};
  std::vector<std::optional<absl::Status>> outcomes_;
};

TEST_F(EngineTest, AnswersWhenDurableAndFormsTheNextBatchMeanwhile) {
  Count("a");
  Count("a");
  engine_.Turn();
  ASSERT_TRUE(committer_.has_work());
  Count("b");
  engine_.Turn();
  EXPECT_FALSE(outcomes_[0].has_value()) << "answered before it was durable";
  EXPECT_EQ(Counted("a"), 0) << "applied before it was durable";
  committer_.Finish(1);
  EXPECT_TRUE(outcomes_[0]->ok());
  EXPECT_TRUE(outcomes_[1]->ok());
  EXPECT_EQ(Counted("a"), 2) << "both commands of the batch";
  EXPECT_FALSE(outcomes_[2].has_value());
  engine_.Turn();
  ASSERT_TRUE(committer_.has_work());
  committer_.Finish(2);
  EXPECT_EQ(Counted("b"), 1);
  EXPECT_EQ(engine_.state().commit(), 2);
}

TEST_F(EngineTest, AFailedCommitIsAnErrorToAllAndChangesNothing) {
  Count("a");
  Run([](core::Draft&) { return AlreadyExists("x/y", "it was decided beside the lost edits"); });
  engine_.Turn();
  committer_.Finish(Unavailable("disk is full"));
  for (const auto& outcome : outcomes_) EXPECT_EQ(outcome->code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Counted("a"), 0);
  EXPECT_EQ(engine_.state().commit(), 0);
  Count("a");
  engine_.Turn();
  ASSERT_TRUE(committer_.has_work()) << "a person's command tries at once";
  committer_.Finish(1);
  EXPECT_EQ(Counted("a"), 1);
  EXPECT_TRUE(lost_.ok());
}

TEST_F(EngineTest, ARejectedCommandLeavesTheOthersOfItsBatch) {
  Count("a");
  Run([](core::Draft&) { return InvalidField("f", "is wrong"); });
  Count("a");
  engine_.Turn();
  committer_.Finish(1);
  EXPECT_TRUE(outcomes_[0]->ok());
  EXPECT_EQ(outcomes_[1]->code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(outcomes_[2]->ok());
  EXPECT_EQ(Counted("a"), 2);
}

TEST_F(EngineTest, ACommandThatChangesNothingNeedsNoCommit) {
  Run([](core::Draft&) { return absl::OkStatus(); });
  engine_.Turn();
  EXPECT_FALSE(committer_.has_work());
  EXPECT_TRUE(outcomes_[0]->ok());
}

TEST_F(EngineTest, ABatchHasABound) {
  for (size_t i = 0; i < limits::kMaxBatchCommands + 1; ++i) Count("a");
  engine_.Turn();
  committer_.Finish(1);
  EXPECT_EQ(Counted("a"), static_cast<int64_t>(limits::kMaxBatchCommands));
  EXPECT_EQ(engine_.queued(), 1U);
  EXPECT_EQ(engine_.due(), absl::InfinitePast()) << "the rest is due at once";
}

TEST_F(EngineTest, AHostThatReportsIsCommittedByReconciliation) {
  core::HostObservation& host = engine_.observe().hosts["h1"];
  host.connected = host.reported = true;
  host.last_seen = clock_.now;
  host.hello.set_host("h1");
  host.hello.set_address("10.0.0.1");
  engine_.touched().all = true;
  EXPECT_EQ(engine_.due(), absl::InfinitePast());
  engine_.Turn();
  ASSERT_TRUE(committer_.has_work());
  EXPECT_EQ(engine_.state().Find<v1::Host>("h1"), nullptr);
  committer_.Finish(1);
  EXPECT_NE(engine_.state().Find<v1::Host>("h1"), nullptr);
  EXPECT_TRUE(engine_.TakeTouched().hosts.contains("h1")) << "its view must be made";
  engine_.Turn();
  EXPECT_FALSE(committer_.has_work()) << "planning again yields nothing";
}

TEST_F(EngineTest, ReconciliationTriesAgainAfterAFailureButNotAtOnce) {
  core::HostObservation& host = engine_.observe().hosts["h1"];
  host.connected = host.reported = true;
  host.hello.set_host("h1");
  engine_.touched().all = true;
  engine_.Turn();
  committer_.Finish(Unavailable("disk is full"));
  engine_.Turn();
  EXPECT_FALSE(committer_.has_work()) << "it spins on a full disk";
  EXPECT_EQ(engine_.due(), clock_.now + limits::kCommitRetryDelay);
  clock_.now += limits::kCommitRetryDelay;
  engine_.Turn();
  EXPECT_TRUE(committer_.has_work());
}

TEST_F(EngineTest, AStoreThatFailsIsSaidUntilItCommitsAgain) {
  EXPECT_EQ(engine_.seen().store.error, "");
  Count("a");
  engine_.Turn();
  committer_.Finish(Unavailable("disk is full"));
  EXPECT_EQ(engine_.seen().store.error, "disk is full");
  EXPECT_EQ(store_error_, "disk is full");
  EXPECT_EQ(metrics_.store_failing, 1);
  const absl::Time since = clock_.now;
  // There is nothing to commit any more; it is looked whether one could.
  clock_.now += limits::kCommitRetryDelay;
  engine_.Turn();
  ASSERT_TRUE(committer_.has_work()) << "nothing would tell that the cause is gone";
  EXPECT_EQ(committer_.rows(), 0U);
  committer_.Finish(Unavailable("disk is full"));
  EXPECT_EQ(engine_.seen().store.since, since) << "when it began";
  clock_.now += limits::kCommitRetryDelay;
  engine_.Turn();
  ASSERT_TRUE(committer_.has_work());
  committer_.Finish(1);
  EXPECT_EQ(engine_.seen().store.error, "");
  EXPECT_EQ(store_error_, "");
  EXPECT_EQ(metrics_.store_failing, 0);
  engine_.Turn();
  clock_.now += limits::kCommitRetryDelay;
  engine_.Turn();
  EXPECT_FALSE(committer_.has_work()) << "it goes on with empty commits";
}

TEST_F(EngineTest, AnotherLeaderIsSaidOnce) {
  Count("a");
  engine_.Turn();
  committer_.Finish(FailedPrecondition("STALE_EPOCH", "epoch 1 has ended"));
  EXPECT_EQ(lost_.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(outcomes_[0]->code(), absl::StatusCode::kUnavailable) << "the other one may be asked";
  EXPECT_THAT(std::string(outcomes_[0]->message()), testing::HasSubstr("epoch 1 has ended"));
  const auto payload = outcomes_[0]->GetPayload("type.googleapis.com/google.rpc.ErrorInfo");
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(payload.has_value() && info.ParseFromString(std::string(*payload)));
  EXPECT_EQ(info.reason(), "NO_LEADER");
}

TEST_F(EngineTest, WhatWaitsCanBeRefusedUndecidedAndWhatIsUnderWayIsNot) {
  Count("a");
  engine_.Turn();
  Count("b");
  Count("b");
  engine_.Refuse(Unavailable("another one may lead"));
  EXPECT_FALSE(outcomes_[0].has_value()) << "the store has it";
  for (const size_t i : {1U, 2U}) {
    ASSERT_TRUE(outcomes_[i].has_value());
    EXPECT_EQ(outcomes_[i]->code(), absl::StatusCode::kUnavailable);
  }
  committer_.Finish(1);
  engine_.Turn();
  EXPECT_FALSE(committer_.has_work());
  EXPECT_EQ(Counted("a"), 1);
  EXPECT_EQ(Counted("b"), 0);
}

// More than a turn may do: 3 hosts, and groups of 5 instances each.
class LargeTurnTest : public EngineTest {
 protected:
  LargeTurnTest()
      : EngineTest({.edits = 1, .most_edits = 1, .batch = 2, .instances = 20, .hosts = 1}) {
    for (int i = 0; i < 3; ++i) {
      const std::string name = "h" + std::to_string(i);
      core::HostObservation& host = engine_.observe().hosts[name];
      host.connected = host.reported = true;
      host.hello.set_host(name);
    }
    engine_.touched().all = true;
    Run([](core::Draft& draft) -> absl::Status {
      v1::LaunchTemplateVersion launch;
      launch.set_version(1);
      draft.Put(core::LaunchTemplateKey("shop", 1), launch);
      for (const char* name : {"a", "b", "c"}) {
        v1::AutoScalingGroup group;
        group.mutable_launch_template()->set_launch_template("shop");
        group.mutable_launch_template()->set_resolved_version(1);
        group.set_max(5);
        group.set_desired(5);
        draft.Put(name, group);
      }
      return absl::OkStatus();
    });
  }
  // What a turn has committed.
  void Turn() {
    engine_.Turn();
    ASSERT_TRUE(committer_.has_work());
    committer_.Finish(++commits_);
  }
  std::vector<size_t> Sizes() const {
    std::vector<size_t> out;
    for (const char* name : {"a", "b", "c"}) {
      out.push_back(engine_.state().InstancesOfGroup(name).size());
    }
    return out;
  }

  int64_t commits_ = 0;
};

TEST_F(LargeTurnTest, GoesOnInTheNextTurnsAndEachGroupHasItsTurn) {
  using testing::ElementsAre;
  std::vector<std::vector<size_t>> sizes;
  while (Sizes() != std::vector<size_t>{5, 5, 5} && commits_ < 30) {
    EXPECT_EQ(engine_.due(), absl::InfinitePast()) << "it goes on at once";
    const size_t hosts = engine_.state().All<v1::Host>().size();
    Turn();
    EXPECT_EQ(engine_.state().All<v1::Host>().size(), std::min<size_t>(hosts + 1, 3));
    if (sizes.empty() || sizes.back() != Sizes()) sizes.push_back(Sizes());
  }
  // Each has two before the first has more, and nobody is forgotten.
  EXPECT_THAT(sizes, ElementsAre(ElementsAre(0, 0, 0), ElementsAre(2, 0, 0), ElementsAre(2, 2, 0),
                                 ElementsAre(2, 2, 2), ElementsAre(4, 2, 2), ElementsAre(4, 4, 2),
                                 ElementsAre(4, 4, 4), ElementsAre(5, 4, 4), ElementsAre(5, 5, 4),
                                 ElementsAre(5, 5, 5)));
  for (int i = 0; i < 10 && engine_.due() <= clock_.now; ++i) {
    engine_.Turn();
    if (committer_.has_work()) committer_.Finish(++commits_);
  }
  EXPECT_GT(engine_.due(), clock_.now) << "it comes to rest";
  EXPECT_EQ(Sizes(), (std::vector<size_t>{5, 5, 5}));
}

// A host that says another address than it had, and was not looked at yet, takes nothing.
class MovedHostsTest : public EngineTest {
 protected:
  MovedHostsTest()
      : EngineTest({.edits = 100, .most_edits = 100, .batch = 64, .instances = 1000, .hosts = 1}) {}
};

TEST_F(MovedHostsTest, AnInstanceHasTheAddressThatItsHostSays) {
  Run([](core::Draft& draft) -> absl::Status {
    v1::LaunchTemplateVersion launch;
    launch.set_version(1);
    draft.Put(core::LaunchTemplateKey("shop", 1), launch);
    v1::AutoScalingGroup group;
    group.mutable_launch_template()->set_launch_template("shop");
    group.mutable_launch_template()->set_resolved_version(1);
    group.set_max(6);
    group.set_desired(6);
    draft.Put("a", group);
    for (const char* name : {"h0", "h1", "h2"}) {
      v1::Host host;
      host.set_address("10.0.0.1");
      host.set_schedule(v1::HOST_SCHEDULE_ACTIVE);
      draft.Put(name, host);
    }
    return absl::OkStatus();
  });
  for (const char* name : {"h0", "h1", "h2"}) {
    core::HostObservation& host = engine_.observe().hosts[name];
    host.connected = host.reported = true;
    host.hello.set_host(name);
    host.hello.set_address(std::string("10.0.1.") + name[1]);
  }
  engine_.touched().all = true;
  for (int i = 1; i < 20 && engine_.due() <= clock_.now; ++i) {
    engine_.Turn();
    if (committer_.has_work()) committer_.Finish(i);
  }
  EXPECT_EQ(engine_.state().All<v1::Instance>().size(), 6U);
  for (const auto& [id, row] : engine_.state().All<v1::Instance>())
    EXPECT_EQ(row.value->address(), std::string("10.0.1.") + row.value->host()[1]) << id;
}

// Twenty hosts join, one a turn, and a process ends meanwhile: that is told at once.
class ManyHostsTest : public EngineTest {
 protected:
  ManyHostsTest()
      : EngineTest({.edits = 1, .most_edits = 1, .batch = 1, .instances = 1000, .hosts = 2}) {}
};

TEST_F(ManyHostsTest, AGroupIsLookedAtWhateverHostsSay) {
  Run([](core::Draft& draft) -> absl::Status {
    v1::AutoScalingGroup group;
    group.set_max(1);
    draft.Put("a", group);
    v1::Instance instance;
    instance.set_auto_scaling_group("a");
    instance.set_host("h00");
    instance.set_state(v1::INSTANCE_STATE_STOPPING);
    draft.Put("i-1", instance);
    return absl::OkStatus();
  });
  engine_.Turn();
  committer_.Finish(1);
  for (int i = 0; i < 20; ++i) {
    const std::string name = "h" + std::to_string(10 + i);
    core::HostObservation& host = engine_.observe().hosts[name];
    host.connected = host.reported = true;
    host.hello.set_host(name);
    engine_.touched().present.insert(name);
  }
  core::HostObservation& h00 = engine_.observe().hosts["h00"];
  h00.connected = h00.reported = true;
  auto& status = h00.instances["i-1"];
  status.set_instance("i-1");
  status.set_state(agent::v1::PROCESS_STATE_EXITED);
  engine_.touched().groups.insert("a");
  engine_.Turn();
  ASSERT_TRUE(committer_.has_work());
  committer_.Finish(2);
  const auto* row = engine_.state().Find<v1::Instance>("i-1");
  EXPECT_TRUE(row == nullptr || (*row)->state() == v1::INSTANCE_STATE_TERMINATED);
}

// Where turns are short, more is done in each; where they are long, less again.
TEST(TurnPace, FollowsHowLongTurnsTake) {
  HandClock clock;
  HeldCommitter committer;
  Metrics metrics;
  Engine engine({.state = {},
                 .patience = {},
                 .on_leadership_lost = nullptr,
                 .bounds = {.edits = 2, .most_edits = 8, .batch = 1}},
                clock, committer, metrics);
  engine.Add({.decide = [](core::Draft& draft, const core::Context&) -> absl::Status {
                for (int i = 0; i < 200; ++i) {
                  v1::AutoScalingGroup group;
                  group.set_max(1);
                  draft.Put("g" + std::to_string(1000 + i), group);
                  v1::Instance instance;
                  instance.set_auto_scaling_group("g" + std::to_string(1000 + i));
                  instance.set_state(v1::INSTANCE_STATE_STOPPING);
                  draft.Put("i-" + std::to_string(1000 + i), instance);
                }
                return absl::OkStatus();
              },
              .done = [](const absl::Status&, const core::State&) {}});
  engine.Turn();
  committer.Finish(1);
  engine.touched().all = true;
  std::vector<size_t> rows;
  for (int i = 2; i < 10; ++i) {
    engine.Turn();
    if (!committer.has_work()) break;
    rows.push_back(committer.rows());
    engine.NoteTurn(i < 6 ? absl::Milliseconds(1) : absl::Milliseconds(30));
    // One that does nothing, for a commit is under way, tells nothing.
    engine.Turn();
    engine.NoteTurn(absl::ZeroDuration());
    committer.Finish(i);
  }
  EXPECT_THAT(rows, testing::SizeIs(8));
  EXPECT_LT(rows[0], rows[1]);
  EXPECT_LT(rows[1], rows[2]);
  EXPECT_GT(rows[3], rows[7]);
  EXPECT_EQ(rows[7], rows[0]) << "as few as in the first";
}

}  // namespace
}  // namespace remuda
