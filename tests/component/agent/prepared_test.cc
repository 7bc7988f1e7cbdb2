// The real remuda-agent, whose instances are prepared: files in place, and no process.
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "agent/assignment_file.h"
#include "tests/component/agent/agent_fixture.h"

namespace remuda::agent {
namespace {

// Prints its version, keeps a file of its own, and runs until it is told to end.
constexpr char kApp[] = "cat version; echo ran >> kept; echo up; exec sleep 1000";
// Ends only when it is killed.
constexpr char kStubborn[] = "trap '' TERM; echo up; while :; do sleep 0.05; done";

class PreparedTest : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    digest_ = AddImage(controller_, {{"version", "one\n"}});
    second_ = AddImage(controller_, {{"version", "two\n"}});
  }
  static v1::InstanceAssignment Prepared(v1::InstanceAssignment assignment) {
    assignment.set_desired(v1::DESIRED_STATE_PREPARED);
    return assignment;
  }
  static v1::InstanceAssignment WithGrace(int seconds, v1::InstanceAssignment assignment) {
    assignment.mutable_launch_template()->mutable_stop_grace()->set_seconds(seconds);
    return assignment;
  }
  v1::InstanceAssignment One(const std::string& script = kApp) { return Shell("i-a", script); }
  v1::InstanceAssignment Two(int generation) {
    auto assignment = Runs("i-a", second_, {"/bin/sh", "-c", kApp});
    assignment.set_generation(generation);
    return assignment;
  }
  bool IsPrepared() { return controller_.WaitState("i-a", v1::PROCESS_STATE_PREPARED); }
  // Runs, and has printed so.
  bool IsUp() {
    return Running("i-a") &&
           WaitUntil([&] { return Log("i-a").find("up\n") != std::string::npos; });
  }
  v1::InstanceStatus Now() { return controller_.Status("i-a"); }
  std::string In(const std::string& file) const {
    return ReadWholeFile((data_ / "instances/i-a/app" / file).string()).value_or("(none)");
  }
  bool Exists(const std::string& file) const { return fs::exists(data_ / "instances/i-a" / file); }
  bool Told(v1::ProcessState state) { return controller_.states_seen["i-a"].count(state) > 0; }
  // An agent that dies before that has not heard of it.
  bool IsOnDisk(v1::DesiredState desired) const {
    return WaitUntil([&] {
      const auto whole = AssignmentFile((data_ / "assignment").string()).Load();
      return whole.ok() && whole->has_value() && (*whole)->upserts_size() > 0 &&
             (*whole)->upserts(0).desired() == desired;
    });
  }
  // With the assignment that is on disk, until the controller sends another.
  bool StartAgain() {
    const size_t sessions = controller_.hellos.size();
    StartAgent(controller_.address());
    return controller_.Wait([&] { return controller_.hellos.size() > sessions; });
  }
  // All that is left of the run, whose shim waits for the end of its grace.
  void KillRun() const {
    const auto run = Record::ReadFrom((data_ / "instances/i-a/run").string());
    ASSERT_TRUE(run);
    EXPECT_TRUE(WaitUntil([&] {
      const auto left = ProcessesOfRun(run->Text(key::kRunId));
      for (const ProcessStat& p : left) SendSignal(p, SIGKILL);
      return left.empty();
    }));
  }

  std::string second_;
};

TEST_F(PreparedTest, HasItsFilesAndNoProcessThenStartsWithoutAFetch) {
  Begin();
  controller_.Assign({Prepared(One())});
  ASSERT_TRUE(IsPrepared());
  EXPECT_TRUE(Told(v1::PROCESS_STATE_FETCHING));
  EXPECT_EQ(Now().pid(), 0);
  EXPECT_FALSE(Now().has_start_time() || Now().has_exit());
  EXPECT_EQ(In("version"), "one\n");
  EXPECT_FALSE(Exists("run"));
  controller_.images.clear();  // nothing can be fetched any more
  controller_.Assign({One()});
  ASSERT_TRUE(IsUp());
  EXPECT_EQ(controller_.fetch_offsets.size(), 1u);
  EXPECT_EQ(Now().restarts(), 0);
  EXPECT_GT(Now().port(), 0);
}

TEST_F(PreparedTest, RunsStopsKeepsItsDirectoryAndRunsAgain) {
  Begin();
  controller_.Assign({One()});
  ASSERT_TRUE(IsUp());
  const auto run = Record::ReadFrom((data_ / "instances/i-a/run").string());
  controller_.Assign({Prepared(One())});
  ASSERT_TRUE(IsPrepared());
  EXPECT_TRUE(Told(v1::PROCESS_STATE_STOPPING));
  EXPECT_TRUE(ProcessesOfRun(run->Text(key::kRunId)).empty());
  EXPECT_EQ(Now().pid(), 0);
  EXPECT_EQ(In("kept"), "ran\n");
  EXPECT_EQ(Log("i-a"), "one\nup\n");
  controller_.Assign({One()});
  ASSERT_TRUE(WaitUntil([&] { return Log("i-a") == "one\nup\none\nup\n"; })) << Log("i-a");
  EXPECT_EQ(In("kept"), "ran\nran\n");
  EXPECT_EQ(controller_.fetch_offsets.size(), 1u);
  for (const v1::InstanceStatus& status : controller_.history["i-a"]) {
    EXPECT_FALSE(status.has_exit()) << status.ShortDebugString();
    EXPECT_EQ(status.restarts(), 0);
  }
  EXPECT_FALSE(Told(v1::PROCESS_STATE_EXITED) || Told(v1::PROCESS_STATE_FAILED));
}

TEST_F(PreparedTest, WhatIgnoresItsSignalIsKilledAfterItsGrace) {
  Begin();
  controller_.Assign({WithGrace(1, One(kStubborn))});
  ASSERT_TRUE(IsUp());
  const auto run = Record::ReadFrom((data_ / "instances/i-a/run").string());
  controller_.Assign({Prepared(WithGrace(1, One(kStubborn)))});
  ASSERT_TRUE(IsPrepared());
  EXPECT_TRUE(ProcessesOfRun(run->Text(key::kRunId)).empty());
  EXPECT_FALSE(Told(v1::PROCESS_STATE_EXITED));
}

TEST_F(PreparedTest, WantedAgainWhileItEndsItRunsAgain) {
  Begin();
  controller_.Assign({WithGrace(2, One(kStubborn))});
  ASSERT_TRUE(IsUp());
  const int64_t before = Now().pid();
  controller_.Assign({Prepared(WithGrace(2, One(kStubborn)))});
  ASSERT_TRUE(controller_.WaitState("i-a", v1::PROCESS_STATE_STOPPING));
  controller_.Assign({One()});
  ASSERT_TRUE(controller_.Wait([&] {
    const auto& status = controller_.status["i-a"];
    return status.state() == v1::PROCESS_STATE_RUNNING && status.pid() != before;
  }));
  EXPECT_FALSE(Told(v1::PROCESS_STATE_EXITED));
}

TEST_F(PreparedTest, ToldToEndWhileItEndsItHasEnded) {
  Begin();
  controller_.Assign({WithGrace(2, One(kStubborn))});
  ASSERT_TRUE(IsUp());
  controller_.Assign({Prepared(WithGrace(2, One(kStubborn)))});
  ASSERT_TRUE(controller_.WaitState("i-a", v1::PROCESS_STATE_STOPPING));
  controller_.Assign({Stops(One())});
  ASSERT_TRUE(Exited("i-a"));
  EXPECT_TRUE(Now().exit().requested());
  // And one that was prepared.
  controller_.Assign({Prepared(Shell("i-b", kApp)), Stops(One())});
  ASSERT_TRUE(controller_.WaitState("i-b", v1::PROCESS_STATE_PREPARED));
  controller_.Assign({Stops(Shell("i-b", kApp)), Stops(One())});
  ASSERT_TRUE(Exited("i-b"));
  EXPECT_TRUE(controller_.Status("i-b").exit().requested());
  controller_.Change({}, {"i-a", "i-b"});
  ASSERT_TRUE(controller_.Wait([&] { return controller_.removed.count("i-b") > 0; }));
  EXPECT_FALSE(fs::exists(data_ / "instances/i-b"));
}

TEST_F(PreparedTest, WhatHasEndedByItselfIsPreparedAndStarts) {
  Begin();
  controller_.Assign({One("[ -e again ] && exec sleep 1000; touch again; exit 3")});
  ASSERT_TRUE(Exited("i-a"));
  controller_.Assign({Prepared(One("x"))});
  ASSERT_TRUE(IsPrepared());
  EXPECT_EQ(Now().message() + Now().log_tail(), "");
  controller_.Assign({One()});
  ASSERT_TRUE(Running("i-a"));
}

TEST_F(PreparedTest, AFurtherGenerationIsPreparedInItsTurn) {
  Begin();
  controller_.Assign({Prepared(One())});
  ASSERT_TRUE(IsPrepared());
  controller_.Assign({Prepared(Two(1))});
  const auto is_prepared = [&](int generation) {
    return controller_.Wait([&] {
      const auto& status = controller_.status["i-a"];
      return status.state() == v1::PROCESS_STATE_PREPARED && status.generation() == generation;
    });
  };
  ASSERT_TRUE(is_prepared(1));
  EXPECT_EQ(In("version"), "two\n");
  controller_.Assign({Two(1)});
  ASSERT_TRUE(IsUp());
  EXPECT_EQ(Log("i-a"), "remuda: generation 1 begins\ntwo\nup\n");
  // From one that runs, to a further one that does not.
  auto third = One();
  third.set_generation(2);
  controller_.Assign({Prepared(third)});
  ASSERT_TRUE(is_prepared(2));
  EXPECT_EQ(In("version"), "one\n");
  EXPECT_EQ(In("kept"), "ran\n");
  EXPECT_FALSE(Told(v1::PROCESS_STATE_EXITED));
}

TEST_F(PreparedTest, WhatCannotBePreparedFails) {
  const std::string bad = AddArchive(controller_, "no archive");
  Begin();
  controller_.Assign({Prepared(Runs("i-a", bad, {"x"}))});
  ASSERT_TRUE(controller_.WaitState("i-a", v1::PROCESS_STATE_FAILED));
  EXPECT_NE(Now().message(), "");
}

TEST_F(PreparedTest, AProgramThatIsNotThereFailsItBeforeItIsNeeded) {
  Begin();
  controller_.Assign({Prepared(Runs("i-a", digest_, {"./not-there"}))});
  ASSERT_TRUE(controller_.WaitState("i-a", v1::PROCESS_STATE_FAILED));
  EXPECT_NE(Now().message().find("program \"./not-there\": is not in the image"), std::string::npos)
      << Now().message();
  EXPECT_FALSE(Told(v1::PROCESS_STATE_PREPARED));
  // To the next agent too.
  ASSERT_TRUE(IsOnDisk(v1::DESIRED_STATE_PREPARED));
  KillAgent();
  ASSERT_TRUE(StartAgain());
  EXPECT_EQ(controller_.hellos.back().instances(0).state(), v1::PROCESS_STATE_FAILED);
  controller_.Assign({Prepared(Two(1))});
  ASSERT_TRUE(IsPrepared());
}

TEST_F(PreparedTest, WhatAStartFailedAtDoesNotMatter) {
  int port = 0;
  const Fd foreign = ListenOn(0, &port);
  Begin();
  auto fixed = One();
  fixed.mutable_launch_template()->set_port(port);
  controller_.Assign({fixed});
  ASSERT_TRUE(controller_.Wait([&] { return !controller_.status["i-a"].message().empty(); }));
  controller_.Assign({Prepared(fixed)});
  ASSERT_TRUE(IsPrepared());
  ASSERT_TRUE(controller_.Wait([&] { return controller_.status["i-a"].message().empty(); }));
}

TEST_F(PreparedTest, AnAgentKilledInEachStateGoesOn) {
  controller_.hold_images = true;
  Begin();
  controller_.Assign({Prepared(One())});
  ASSERT_TRUE(controller_.WaitState("i-a", v1::PROCESS_STATE_FETCHING));
  ASSERT_TRUE(IsOnDisk(v1::DESIRED_STATE_PREPARED));
  KillAgent();
  controller_.ReleaseImages();
  ASSERT_TRUE(StartAgain());
  ASSERT_TRUE(IsPrepared());

  KillAgent();
  ASSERT_TRUE(StartAgain());
  EXPECT_EQ(controller_.hellos.back().instances(0).state(), v1::PROCESS_STATE_PREPARED);

  controller_.Assign({WithGrace(3600, One(kStubborn))});
  ASSERT_TRUE(IsUp());
  const int64_t before = Now().pid();
  controller_.Assign({Prepared(WithGrace(3600, One(kStubborn)))});
  ASSERT_TRUE(controller_.WaitState("i-a", v1::PROCESS_STATE_STOPPING));
  ASSERT_TRUE(IsOnDisk(v1::DESIRED_STATE_PREPARED));
  KillAgent();
  ASSERT_TRUE(StartAgain());
  EXPECT_EQ(controller_.hellos.back().instances(0).state(), v1::PROCESS_STATE_STOPPING);
  // It ends under the new agent, and is wanted again meanwhile.
  controller_.Assign({One()});
  KillRun();
  ASSERT_TRUE(controller_.Wait([&] {
    const auto& status = controller_.status["i-a"];
    return status.state() == v1::PROCESS_STATE_RUNNING && status.pid() != before;
  }));
  EXPECT_FALSE(Told(v1::PROCESS_STATE_EXITED));
}

// The records of the run are deleted one after another: whatever is left of them, the next agent
// finds it prepared, and it can run.
TEST_F(PreparedTest, AnAgentKilledWhileItForgetsTheRunGoesOn) {
  Begin();
  for (const int deleted : {0, 1, 2, 3, 4}) {
    SCOPED_TRACE(deleted);
    controller_.Assign({WithGrace(3600, One(kStubborn))});
    std::string ups = "up\n";  // once more in each round: it holds its signal back now
    for (int i = 0; i < deleted; ++i) ups += "up\n";
    ASSERT_TRUE(Running("i-a") && WaitUntil([&] { return Log("i-a") == ups; }));
    controller_.Assign({Prepared(WithGrace(3600, One(kStubborn)))});
    ASSERT_TRUE(controller_.WaitState("i-a", v1::PROCESS_STATE_STOPPING));
    ASSERT_TRUE(IsOnDisk(v1::DESIRED_STATE_PREPARED));
    KillAgent();
    KillRun();
    ASSERT_TRUE(WaitUntil([&] { return Exists("exit"); }));
    const std::vector<std::string> order = {"running", "exit", "stop", "run"};
    for (int i = 0; i < deleted; ++i)
      fs::remove(data_ / "instances/i-a" / order[static_cast<size_t>(i)]);
    ASSERT_TRUE(StartAgain());
    ASSERT_TRUE(IsPrepared());
    EXPECT_TRUE(WaitUntil([&] { return !Exists("exit") && !Exists("running"); }));
    EXPECT_FALSE(Told(v1::PROCESS_STATE_EXITED));
    controller_.states_seen.clear();
  }
}

TEST_F(PreparedTest, AnAgentThatStopsItsInstancesLeavesItPrepared) {
  StartAgent(controller_.address(), {"--stop-instances-on-exit"});
  ASSERT_TRUE(controller_.Wait([&] { return !controller_.hellos.empty(); }));
  controller_.Assign({Prepared(One()), Shell("i-b", kApp)});
  ASSERT_TRUE(IsPrepared() && Running("i-b"));
  EXPECT_EQ(EndAgent(), 0);
  EXPECT_FALSE(Told(v1::PROCESS_STATE_EXITED));
  ASSERT_TRUE(StartAgain());
  EXPECT_EQ(controller_.hellos.back().instances(0).state(), v1::PROCESS_STATE_PREPARED);
}

// No assertion: for a person.
TEST_F(PreparedTest, PrintsWhatAPreparedStartSaves) {
  std::string noise(8 << 20, 0);
  uint32_t x = 1;
  for (char& byte : noise) byte = static_cast<char>((x = x * 1664525 + 1013904223) >> 24);
  digest_ = AddImage(controller_, {{"version", "one\n"}, {"noise", noise}});
  Begin();
  const auto took = [&](const char* what, const std::string& id) {
    const auto begin = std::chrono::steady_clock::now();
    controller_.Change({Shell(id, kApp)}, {});
    EXPECT_TRUE(Running(id));
    const std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - begin;
    std::printf("%s: %.1f ms from the assignment to RUNNING\n", what, ms.count());
  };
  controller_.Assign({});
  took("cold, 8 MiB to fetch", "i-a");
  took("cold, its image is on the host", "i-b");
  controller_.Change({Prepared(Shell("i-c", kApp))}, {});
  ASSERT_TRUE(controller_.WaitState("i-c", v1::PROCESS_STATE_PREPARED));
  took("prepared", "i-c");
}

}  // namespace
}  // namespace remuda::agent
