// Failpoints: which there are, and which commits and publications meet them.
#include "controller/engine/failpoints.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace remuda {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// What the actions did, in order.
class FailpointsTest : public testing::Test {
 protected:
  std::unique_ptr<Failpoints> Make(const std::vector<std::string>& texts) {
    auto made = Failpoints::Parse(
        texts, {.kill = [this] { done_.push_back("kill"); },
                .sleep = [this](absl::Duration d) { done_.push_back(absl::FormatDuration(d)); }});
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }
  static std::string ErrorOf(const std::string& text) {
    return std::string(Failpoints::Parse({text}, {}).status().message());
  }
  static core::Changes Deployment(const std::string& id, int position) {
    auto deployment = std::make_shared<v1::Deployment>();
    deployment->set_current_step(position);
    core::Changes changes;
    changes.edits.push_back({core::Kind::kDeployment, id, deployment});
    return changes;
  }
  // A commit of a store that takes all.
  static absl::Status Commit(Failpoints& failpoints, const core::Changes& changes) {
    if (absl::Status status = failpoints.BeforeCommit(changes); !status.ok()) return status;
    failpoints.AfterCommit(changes);
    return absl::OkStatus();
  }

  std::vector<std::string> done_;
};

TEST_F(FailpointsTest, WrongOnesAreRefusedWithWhatThereIs) {
  EXPECT_THAT(ErrorOf("kill"), HasSubstr("NAME[@N]=ACTION"));
  EXPECT_THAT(ErrorOf("commit=kill"), HasSubstr("commit-before, commit-after, publish-before"));
  EXPECT_THAT(ErrorOf("commit-after=die"), HasSubstr("kill, abort-commit and delay:MS"));
  EXPECT_THAT(ErrorOf("commit-after=delay:60001"), HasSubstr("0-60000"));
  EXPECT_THAT(ErrorOf("commit-after@0=kill"), HasSubstr("from 1"));
  EXPECT_THAT(ErrorOf("commit-after=abort-commit"), HasSubstr("of commit-before"));
}

TEST_F(FailpointsTest, CommitsAndPublicationsAreCounted) {
  const auto failpoints = Make({"commit-before@2=kill", "commit-after=delay:5",
                                "publish-before@1=delay:6", "publish-after@2=delay:7"});
  EXPECT_TRUE(Commit(*failpoints, {}).ok());
  EXPECT_THAT(done_, ElementsAre("5ms"));
  EXPECT_TRUE(Commit(*failpoints, {}).ok());
  EXPECT_TRUE(Commit(*failpoints, {}).ok());
  EXPECT_THAT(done_, ElementsAre("5ms", "kill", "5ms", "5ms"));
  done_.clear();
  for (int i = 0; i < 3; ++i) {
    failpoints->BeforePublish();
    failpoints->AfterPublish();
  }
  EXPECT_THAT(done_, ElementsAre("6ms", "7ms"));
}

TEST_F(FailpointsTest, AnAbortedCommitHasFailed) {
  const auto failpoints = Make({"commit-before@1=abort-commit"});
  EXPECT_THAT(std::string(Commit(*failpoints, {}).message()), HasSubstr("commit-before@1"));
  EXPECT_TRUE(Commit(*failpoints, {}).ok());
}

TEST_F(FailpointsTest, AStepIsMetByTheCommitThatMovesADeploymentThere) {
  const auto failpoints = Make({"deployment-step-before@2=delay:1", "deployment-step-after@2=kill",
                                "deployment-step-published@2=delay:3"});
  failpoints->Learn("blue-1", 2);
  const auto commit_and_publish = [&](const std::string& id, int position) {
    EXPECT_TRUE(Commit(*failpoints, Deployment(id, position)).ok());
    failpoints->BeforePublish();
    failpoints->AfterPublish();
  };
  commit_and_publish("blue-1", 2);
  EXPECT_THAT(done_, IsEmpty()) << "it stood there when the controller began";
  commit_and_publish("blue-2", 1);
  EXPECT_THAT(done_, IsEmpty());
  commit_and_publish("blue-2", 2);
  EXPECT_THAT(done_, ElementsAre("1ms", "kill", "3ms"));
  commit_and_publish("blue-2", 2);
  EXPECT_THAT(done_, ElementsAre("1ms", "kill", "3ms")) << "another change within the step";
  core::Changes deleted;
  deleted.edits.push_back({core::Kind::kDeployment, "blue-2", nullptr});
  EXPECT_TRUE(Commit(*failpoints, deleted).ok());
  commit_and_publish("blue-2", 2);
  EXPECT_EQ(done_.size(), 6u) << "one of the same name, after it was deleted";
}

TEST_F(FailpointsTest, AnyStepAndAStepThatIsAborted) {
  const auto failpoints = Make({"deployment-step-before@*=abort-commit"});
  EXPECT_FALSE(Commit(*failpoints, Deployment("blue-1", 1)).ok());
  EXPECT_FALSE(Commit(*failpoints, Deployment("blue-1", 1)).ok()) << "it has not moved yet";
  EXPECT_TRUE(Commit(*failpoints, {}).ok());
}

// Takes all, and counts.
class CountingStore final : public Store {
 public:
  explicit CountingStore(int& commits) : commits_(commits) {}
  absl::StatusOr<Leadership> Campaign() override { return Leadership(); }
  absl::Status Load(const RowFn& row) override {
    v1::Deployment deployment;
    deployment.set_current_step(3);
    return row(core::Kind::kDeployment, "blue-1", deployment.SerializeAsString(), 1);
  }
  absl::StatusOr<int64_t> Commit(const core::Changes&, int64_t) override { return ++commits_; }

 private:
  int& commits_;
};

TEST_F(FailpointsTest, TheStoreLearnsWhereDeploymentsStandAndIsNotAskedForWhatIsAborted) {
  const auto failpoints = Make({"deployment-step-before=abort-commit"});
  int commits = 0;
  FailpointStore store(std::make_unique<CountingStore>(commits), *failpoints);
  int rows = 0;
  EXPECT_TRUE(store
                  .Load([&](core::Kind, std::string_view, std::string_view, int64_t) {
                    ++rows;
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_EQ(rows, 1);
  EXPECT_TRUE(store.Commit(Deployment("blue-1", 3), 1).ok());
  EXPECT_FALSE(store.Commit(Deployment("blue-1", 4), 1).ok());
  EXPECT_EQ(commits, 1);
}

}  // namespace
}  // namespace remuda
