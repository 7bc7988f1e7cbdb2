// The real remuda-agent, whose instances are changed to another version in place.
#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "agent/assignment_file.h"
#include "agent/image_cache.h"
#include "tests/component/agent/agent_fixture.h"

namespace remuda::agent {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// Prints its version, keeps a file of its own, and runs until it is told to end.
constexpr char kApp[] = "cat version; echo $PORT >> kept; echo up; exec sleep 1000";
// Ends only when it is killed.
constexpr char kStubborn[] =
    "trap '' TERM; cat version; echo $PORT >> kept; echo up; "
    "(trap '' TERM; while :; do sleep 0.05; done) & while :; do sleep 0.05; done";

class InPlaceTest : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    digest_ = AddImage(controller_, {{"version", "one\n"}, {"only-one", "1"}});
    second_ = AddImage(controller_, {{"version", "two\n"}, {"only-two", "2"}});
  }
  void TearDown() override {
    // Whatever a test did: no status of an earlier generation after one of a later.
    for (const auto& [id, all] : controller_.history) {
      int generation = 0;
      for (const v1::InstanceStatus& status : all) {
        EXPECT_GE(status.generation(), generation) << id;
        generation = status.generation();
      }
    }
    AgentTest::TearDown();
  }

  static v1::InstanceAssignment At(int generation, v1::InstanceAssignment assignment) {
    assignment.set_generation(generation);
    return assignment;
  }
  static v1::InstanceAssignment WithGrace(int seconds, v1::InstanceAssignment assignment) {
    assignment.mutable_launch_template()->mutable_stop_grace()->set_seconds(seconds);
    return assignment;
  }
  v1::InstanceAssignment One(const std::string& script) { return Shell("i-a", script); }
  v1::InstanceAssignment Two(const std::string& script) {
    return Runs("i-a", second_, {"/bin/sh", "-c", script});
  }
  bool Is(int generation, v1::ProcessState state, std::chrono::seconds deadline = kWaitDeadline) {
    return controller_.Wait(
        [&] {
          const v1::InstanceStatus& status = controller_.status["i-a"];
          return status.generation() == generation && status.state() == state;
        },
        deadline);
  }
  // Runs, and has printed so.
  bool IsUp(int generation) {
    if (!Is(generation, v1::PROCESS_STATE_RUNNING)) return false;
    const std::string mark = "generation " + std::to_string(generation) + " begins\n";
    return WaitUntil([&] {
      const std::string log = Log("i-a");
      const size_t at = generation == 0 ? 0 : log.rfind(mark);
      return at != std::string::npos && log.find("up\n", at) != std::string::npos;
    });
  }
  std::string In(const std::string& file) const {
    return ReadWholeFile((data_ / "instances/i-a/app" / file).string()).value_or("(none)");
  }
  v1::InstanceStatus Now() { return controller_.Status("i-a"); }
  // 0 would be this test's own group.
  static bool Signal(int64_t pid, int signal) {
    return pid > 0 && kill(static_cast<pid_t>(pid), signal) == 0;
  }
  static bool Lives(int64_t pid) { return Signal(pid, 0); }

  // An agent that dies before that has not heard of it.
  bool IsOnDisk(int generation) const {
    const auto whole = AssignmentFile((data_ / "assignment").string()).Load();
    return whole.ok() && whole->has_value() && (*whole)->upserts_size() > 0 &&
           (*whole)->upserts(0).generation() == generation;
  }
  // What an agent that starts finds as its assignment.
  void PutOnDisk(const v1::InstanceAssignment& assigned) const {
    v1::AssignmentUpdate whole;
    whole.mutable_revision()->set_epoch(1);
    *whole.add_upserts() = assigned;
    AssignmentFile file((data_ / "assignment").string());
    file.Save(whole);
    EXPECT_TRUE(file.Write().ok());
  }
  // Generation 1 is ready, and the stubborn process of generation 0 holds it up; the agent is dead.
  bool DieWhileTheOldOneEnds(const v1::InstanceAssignment& next) {
    Begin();
    controller_.Assign({WithGrace(3600, One(kStubborn))});
    if (!IsUp(0)) return false;
    before_ = Now();
    controller_.Assign({At(1, next)});
    if (!Is(1, v1::PROCESS_STATE_STOPPING) || !WaitUntil([&] { return IsOnDisk(1); })) return false;
    KillAgent();
    return true;
  }
  // All that is left of the run, whose shim waits for the end of its grace.
  void KillOld() {
    const auto run = Record::ReadFrom((data_ / "instances/i-a/run").string());
    ASSERT_TRUE(run);
    EXPECT_TRUE(WaitUntil([&] {
      const auto left = ProcessesOfRun(run->Text(key::kRunId));
      for (const ProcessStat& p : left) SendSignal(p, SIGKILL);
      return left.empty();
    }));
  }
  bool KillOldWithoutAnAgent() {
    KillOld();
    return WaitUntil([&] { return fs::exists(data_ / "instances/i-a/exit"); });
  }
  // As a controller does for an agent that comes back.
  bool StartAgain(const v1::InstanceAssignment& assigned) {
    const size_t sessions = controller_.hellos.size();
    StartAgent(controller_.address());
    if (!controller_.Wait([&] { return controller_.hellos.size() > sessions; })) return false;
    controller_.Assign({assigned});
    return true;
  }

  std::string second_;
  v1::InstanceStatus before_;
};

TEST_F(InPlaceTest, KeepsIdPortLogAndWhatTheAppWrote) {
  Begin();
  controller_.Assign({One(kApp)});
  ASSERT_TRUE(IsUp(0));
  before_ = Now();
  controller_.Assign({At(1, Two(kApp))});
  ASSERT_TRUE(IsUp(1));
  EXPECT_EQ(Now().port(), before_.port());
  EXPECT_FALSE(Lives(before_.pid()));
  EXPECT_EQ(Now().restarts(), 0);
  EXPECT_FALSE(Now().has_exit());
  const std::string port = std::to_string(before_.port()) + "\n";
  EXPECT_EQ(In("kept"), port + port) << "the same directory, the same PORT";
  EXPECT_EQ(In("version"), "two\n");
  EXPECT_EQ(In("only-two"), "2");
  EXPECT_EQ(In("only-one"), "(none)") << "the old image's";
  EXPECT_EQ(Log("i-a"), "one\nup\nremuda: generation 1 begins\ntwo\nup\n");
  // Between the two, nothing that could be taken for a process of the new generation.
  for (const v1::InstanceStatus& status : controller_.history["i-a"]) {
    if (status.generation() == 1 && status.state() != v1::PROCESS_STATE_RUNNING) {
      EXPECT_NE(status.pid(), before_.pid()) << status.ShortDebugString();
      EXPECT_FALSE(status.has_start_time() && status.pid() == 0) << status.ShortDebugString();
      EXPECT_NE(status.state(), v1::PROCESS_STATE_EXITED);
    }
  }
  // And back.
  controller_.Assign({At(2, One(kApp))});
  ASSERT_TRUE(IsUp(2));
  EXPECT_EQ(In("kept"), port + port + port);
  EXPECT_EQ(In("only-two"), "(none)");
  EXPECT_EQ(std::distance(fs::directory_iterator(data_ / "instances"), {}), 1)
      << "the old files are deleted";
}

TEST_F(InPlaceTest, TheOldOneRunsWhileTheNewOnesFilesAreFetched) {
  Begin();
  controller_.Assign({One(kApp)});
  ASSERT_TRUE(IsUp(0));
  before_ = Now();
  controller_.hold_images = true;
  controller_.Assign({At(1, Two(kApp))});
  ASSERT_TRUE(Is(1, v1::PROCESS_STATE_FETCHING));
  EXPECT_EQ(Now().pid(), 0);
  EXPECT_EQ(Now().port(), before_.port()) << "it is still in use";
  EXPECT_EQ(Now().message(), "") << "nothing is in the way";
  EXPECT_TRUE(Lives(before_.pid()));

  // A rollback does not wait for what it no longer needs.
  controller_.Assign({At(2, One(kApp))});
  ASSERT_TRUE(IsUp(2));
  EXPECT_EQ(Now().port(), before_.port());
  EXPECT_EQ(In("version"), "one\n");

  // Nor does an end.
  controller_.Assign({At(3, Two(kApp))});
  ASSERT_TRUE(Is(3, v1::PROCESS_STATE_FETCHING));
  const auto run = Record::ReadFrom((data_ / "instances/i-a/run").string());
  controller_.Assign({At(3, Stops(Two(kApp)))});
  ASSERT_TRUE(Is(3, v1::PROCESS_STATE_EXITED));
  EXPECT_TRUE(Now().exit().requested());
  EXPECT_EQ(Now().message(), "") << "the transfer has not been given up before";
  EXPECT_TRUE(ProcessesOfRun(run->Text(key::kRunId)).empty());
  controller_.ReleaseImages();
  controller_.Change({}, {"i-a"});
  ASSERT_TRUE(controller_.Wait([&] { return controller_.removed.count("i-a") > 0; }));
  for (const v1::InstanceStatus& status : controller_.history["i-a"]) {
    EXPECT_FALSE(status.state() == v1::PROCESS_STATE_RUNNING &&
                 (status.generation() == 1 || status.generation() == 3));
  }
}

TEST_F(InPlaceTest, AVersionThatCannotBeHadLeavesTheOldOneRunning) {
  Begin();
  controller_.Assign({One(kApp)});
  ASSERT_TRUE(IsUp(0));
  before_ = Now();
  struct Case {
    v1::InstanceAssignment assignment;
    std::string why;
  };
  auto stranger = Two(kApp);
  stranger.mutable_launch_template()->set_user("no-such-user");
  auto other = Shell("i-b", kApp), in_use = One(kApp);
  other.mutable_launch_template()->set_port(18'133);
  in_use.mutable_launch_template()->set_port(18'133);
  controller_.Change({other}, {});
  ASSERT_TRUE(Running("i-b"));
  const std::vector<Case> cases = {
      {Runs("i-a", "sha256:" + std::string(64, 'c'), {"x"}), "no such image"},
      {Runs("i-a", AddArchive(controller_, "garbage"), {"x"}), "not a readable tar"},
      {stranger, "\"no-such-user\""},
      {Runs("i-a", digest_, {"./nothing"}), "\"./nothing\": is not in the image"},
      {Runs("i-a", second_, {"./version-2"}), "\"./version-2\": is not in the image"},
      {in_use, "instance i-b has port 18133"},
  };
  int generation = 0;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.why);
    controller_.Change({At(++generation, c.assignment)}, {});
    const std::string head = "generation " + std::to_string(generation) + " cannot be prepared: ";
    ASSERT_TRUE(controller_.Wait([&] {
      return controller_.status["i-a"].message().compare(0, head.size(), head) == 0;
    })) << Now().ShortDebugString();
    EXPECT_EQ(Now().generation(), generation);
    EXPECT_EQ(Now().state(), v1::PROCESS_STATE_FETCHING) << "FAILED would be an end";
    EXPECT_THAT(Now().message(), HasSubstr(c.why));
    EXPECT_THAT(Now().message(), HasSubstr("; generation 0 runs on"));
    EXPECT_TRUE(Lives(before_.pid()));
  }
  controller_.Change({At(9, One(kApp))}, {});
  ASSERT_TRUE(IsUp(9));
  EXPECT_EQ(Now().message(), "");
  EXPECT_FALSE(Lives(before_.pid()));
}

TEST_F(InPlaceTest, AVersionThatCannotBeHadIsAFailureOnceTheOldOneHasEnded) {
  Begin();
  controller_.Assign({One(kApp)});
  ASSERT_TRUE(IsUp(0));
  controller_.Assign({At(1, Runs("i-a", "sha256:" + std::string(64, 'c'), {"x"}))});
  ASSERT_TRUE(controller_.Wait(
      [&] { return controller_.status["i-a"].message().find("runs on") != std::string::npos; }));
  const auto running = Record::ReadFrom((data_ / "instances/i-a/running").string());
  ASSERT_TRUE(running && Signal(running->Number(key::kAppPid), SIGKILL));
  ASSERT_TRUE(Is(1, v1::PROCESS_STATE_FAILED));
  EXPECT_THAT(Now().message(), HasSubstr("no such image"));
  EXPECT_EQ(Now().log_tail(), "");
}

TEST_F(InPlaceTest, AVersionThatDiesAtItsStartIsReportedAsThat) {
  Begin();
  controller_.Assign({One(kApp)});
  ASSERT_TRUE(IsUp(0));
  before_ = Now();
  controller_.Assign({At(1, Two("echo dies; exit 3"))});
  ASSERT_TRUE(Is(1, v1::PROCESS_STATE_EXITED));
  EXPECT_EQ(Now().exit().code(), 3);
  EXPECT_FALSE(Now().exit().requested());
  EXPECT_EQ(Now().restarts(), 0);
  EXPECT_EQ(Now().log_tail(), "dies\n") << "of its own log alone";
  // The controller may change it back.
  controller_.Assign({At(2, Runs("i-a", second_, {"./nothing"}))});
  ASSERT_TRUE(Is(2, v1::PROCESS_STATE_FAILED));
  EXPECT_THAT(Now().message(), HasSubstr("./nothing"));
  controller_.Assign({At(3, One(kApp))});
  ASSERT_TRUE(IsUp(3));
  EXPECT_EQ(Now().port(), before_.port());
}

TEST_F(InPlaceTest, AnOldTreeThatIgnoresItsSignalIsKilledAfterItsOwnGrace) {
  Begin();
  controller_.Assign({WithGrace(0, One(kStubborn))});
  ASSERT_TRUE(IsUp(0));
  const auto run = Record::ReadFrom((data_ / "instances/i-a/run").string());
  ASSERT_GT(ProcessesOfRun(run->Text(key::kRunId)).size(), 1u);
  // The new version's grace is not the old one's.
  controller_.Assign({At(1, WithGrace(3600, Two(kApp)))});
  ASSERT_TRUE(IsUp(1));
  EXPECT_TRUE(ProcessesOfRun(run->Text(key::kRunId)).empty());
}

TEST_F(InPlaceTest, ARollbackWhileTheOldOneEnds) {
  Begin();
  controller_.Assign({WithGrace(3600, One(kStubborn))});
  ASSERT_TRUE(IsUp(0));
  before_ = Now();
  controller_.Assign({At(1, Two(kApp))});
  ASSERT_TRUE(Is(1, v1::PROCESS_STATE_STOPPING));
  controller_.Assign({At(2, One(kApp))});
  ASSERT_TRUE(Is(2, v1::PROCESS_STATE_STOPPING)) << "one process at a time";
  KillOld();
  ASSERT_TRUE(IsUp(2));
  EXPECT_EQ(Now().port(), before_.port());
  EXPECT_EQ(In("version"), "one\n");
  EXPECT_EQ(Log("i-a").find("two\n"), std::string::npos);
  EXPECT_TRUE(WaitUntil([&] { return !fs::exists(data_ / "instances/i-a/app.next"); }))
      << "what was made ready for generation 1 is deleted";
}

TEST_F(InPlaceTest, TheAgentDiesWhileTheOldOneEndsAndAfterIt) {
  const auto next = Two(kApp);
  ASSERT_TRUE(DieWhileTheOldOneEnds(next));
  ASSERT_TRUE(StartAgain(At(1, next)));
  ASSERT_TRUE(Is(1, v1::PROCESS_STATE_STOPPING)) << "it has still to end";
  EXPECT_TRUE(Lives(before_.pid()));
  KillAgent();
  ASSERT_TRUE(KillOldWithoutAnAgent());
  ASSERT_TRUE(StartAgain(At(1, next)));
  ASSERT_TRUE(IsUp(1));
  EXPECT_EQ(Now().port(), before_.port());
  EXPECT_EQ(In("version"), "two\n");
  const auto pid = Now().pid();
  KillAgent();
  ASSERT_TRUE(StartAgain(At(1, next)));
  ASSERT_TRUE(Is(1, v1::PROCESS_STATE_RUNNING));
  EXPECT_EQ(Now().pid(), pid) << "taken up as what it is";
}

TEST_F(InPlaceTest, TheAgentDiesWhileTheFilesArePutInPlace) {
  const fs::path dir = data_ / "instances/i-a";
  const auto next = Two(kApp);
  ASSERT_TRUE(DieWhileTheOldOneEnds(next));
  ASSERT_TRUE(KillOldWithoutAnAgent());
  fs::rename(dir / "app.next", dir / "app.into");
  fs::rename(dir / "app/kept", dir / "app.into/kept");
  // Neither generation's files are whole: the one that is wanted now has them made anew.
  PutOnDisk(At(2, One(kApp)));
  ASSERT_TRUE(StartAgain(At(2, One(kApp))));
  ASSERT_TRUE(IsUp(2));
  const std::string port = std::to_string(before_.port()) + "\n";
  EXPECT_EQ(In("kept"), port + port);
  EXPECT_EQ(In("only-one"), "1");
  EXPECT_EQ(In("only-two"), "(none)");
  EXPECT_FALSE(fs::exists(dir / "app.into"));
}

TEST_F(InPlaceTest, TheAgentDiesBetweenTheFilesAndTheStart) {
  const fs::path dir = data_ / "instances/i-a";
  const auto next = Two(kApp);
  ASSERT_TRUE(DieWhileTheOldOneEnds(next));
  ASSERT_TRUE(KillOldWithoutAnAgent());
  fs::rename(dir / "app.next", dir / "app.into");
  ASSERT_TRUE(StartAgain(At(1, next)));
  ASSERT_TRUE(IsUp(1));
  EXPECT_EQ(In("only-two"), "2");
  EXPECT_EQ(In("only-one"), "(none)");
  EXPECT_THAT(In("kept"), StartsWith(std::to_string(before_.port())));
}

TEST_F(InPlaceTest, APickedPortThatSomebodyTookIsWaitedFor) {
  const auto next = Two(kApp);
  ASSERT_TRUE(DieWhileTheOldOneEnds(next));
  ASSERT_TRUE(KillOldWithoutAnAgent());
  Fd foreign = ListenOn(before_.port());
  ASSERT_TRUE(StartAgain(At(1, next)));
  const std::string why = "port " + std::to_string(before_.port()) + " on 127.0.1.9 is in use";
  ASSERT_TRUE(controller_.Wait([&] {
    return controller_.status["i-a"].message().find(why) != std::string::npos;
  })) << Now().ShortDebugString();
  EXPECT_EQ(Now().generation(), 1);
  foreign.Reset();
  // Where it was given up meanwhile, the next generation has the port all the same.
  controller_.Assign({At(2, next)});
  ASSERT_TRUE(IsUp(2));
  EXPECT_EQ(Now().port(), before_.port());
}

TEST_F(InPlaceTest, AFixedPortIsKeptToo) {
  const auto with_port = [](int port, v1::InstanceAssignment assignment) {
    assignment.mutable_launch_template()->set_port(port);
    return assignment;
  };
  Begin();
  controller_.Assign({with_port(18'131, One(kApp))});
  ASSERT_TRUE(IsUp(0));
  controller_.Assign({At(1, with_port(18'131, Two(kApp)))});
  ASSERT_TRUE(IsUp(1));
  EXPECT_EQ(Now().port(), 18'131);
  // A version that takes any port keeps it; one that names another has that.
  controller_.Assign({At(2, One(kApp))});
  ASSERT_TRUE(IsUp(2));
  EXPECT_EQ(Now().port(), 18'131);
  controller_.Assign({At(3, with_port(18'132, Two(kApp)))});
  ASSERT_TRUE(IsUp(3));
  EXPECT_EQ(Now().port(), 18'132);
}

TEST_F(InPlaceTest, OnlyItsGenerationTellsWhetherItIsChanged) {
  Begin();
  controller_.Assign({At(3, Two(kApp))});
  ASSERT_TRUE(IsUp(3));
  before_ = Now();
  // By a controller that was restored from an older store; and one that breaks the rule.
  controller_.Assign({At(2, One(kApp))});
  const int64_t revision = controller_.Assign({At(3, One(kApp)), Shell("i-z", "sleep 1000")});
  ASSERT_TRUE(controller_.Wait([&] { return controller_.acked == revision; }));
  ASSERT_TRUE(Running("i-z"));
  EXPECT_EQ(Now().pid(), before_.pid());
  EXPECT_EQ(Now().generation(), 3);
  EXPECT_TRUE(controller_.nacks.empty());
  // The same version again is a restart.
  controller_.Assign({At(4, Two(kApp))});
  ASSERT_TRUE(IsUp(4));
  EXPECT_NE(Now().pid(), before_.pid());
  // A controller that does not know it at all.
  v1::InstanceAssignment stop;
  stop.set_instance("i-a");
  stop.set_desired(v1::DESIRED_STATE_STOPPED);
  controller_.Assign({stop});
  ASSERT_TRUE(Is(4, v1::PROCESS_STATE_EXITED));
  EXPECT_TRUE(Now().exit().requested());
}

TEST_F(InPlaceTest, CommandAndEnvironmentAloneNeedNoNewFiles) {
  Begin();
  controller_.Assign({One("echo mine > version; echo $X up; exec sleep 1000")});
  ASSERT_TRUE(IsUp(0));
  const size_t fetched = controller_.fetch_offsets.size();
  auto next = One("cat version; echo $X up; exec sleep 1000");
  (*next.mutable_launch_template()->mutable_env())["X"] = "now";
  controller_.Assign({At(1, next)});
  ASSERT_TRUE(IsUp(1));
  EXPECT_THAT(Log("i-a"), HasSubstr("begins\nmine\nnow up\n"));
  EXPECT_EQ(controller_.fetch_offsets.size(), fetched);
}

TEST_F(InPlaceTest, ImagesOfVersionsLongGoneAreDeleted) {
  Begin();
  controller_.Assign({One(kApp)});
  ASSERT_TRUE(IsUp(0));
  constexpr size_t kMost = 1 + ImageCache::kKeepUnused;
  int generation = 0;
  while (generation < static_cast<int>(kMost) + 2) {
    ++generation;
    const std::string image =
        AddImage(controller_, {{"version", std::to_string(generation) + "\n"}});
    controller_.Assign({At(generation, Runs("i-a", image, {"/bin/sh", "-c", kApp}))});
    ASSERT_TRUE(IsUp(generation));
  }
  EXPECT_TRUE(WaitUntil([&] {
    size_t images = 0;
    for (const auto& entry : fs::directory_iterator(data_ / "images"))
      images += entry.path().filename().string().size() == 64 ? 1 : 0;
    return images == kMost;
  }));
}

TEST_F(InPlaceTest, LimitsAreOfTheVersionThatRuns) {
  const auto with_memory = [](const char* memory, v1::InstanceAssignment assignment) {
    assignment.mutable_launch_template()->mutable_limits()->set_memory(memory);
    return assignment;
  };
  const auto cgroups = [this] {
    return Record::ReadFrom((data_ / "instances/i-a/run").string())->All(key::kCgroup);
  };
  const auto limit_in = [](const std::string& directory) {
    const auto v1_limit = ReadWholeFile(directory + "/memory.limit_in_bytes");
    return v1_limit ? *v1_limit : ReadWholeFile(directory + "/memory.max").value_or("");
  };
  Begin();
  controller_.Assign({with_memory("64Mi", One(kApp))});
  ASSERT_TRUE(controller_.Wait([&] {
    const auto state = controller_.status["i-a"].state();
    return state == v1::PROCESS_STATE_RUNNING || state == v1::PROCESS_STATE_FAILED;
  }));
  if (Now().state() == v1::PROCESS_STATE_FAILED) {
    // Not on this host: then neither is a version with a limit one that the old one ends for.
    ASSERT_THAT(Now().message(), HasSubstr("limits.memory: cannot be enforced"));
    controller_.Assign({At(1, One(kApp))});
    ASSERT_TRUE(IsUp(1));
    before_ = Now();
    controller_.Assign({At(2, with_memory("64Mi", One(kApp)))});
    ASSERT_TRUE(controller_.Wait([&] {
      return controller_.status["i-a"].message().find("cannot be enforced") != std::string::npos;
    }));
    EXPECT_EQ(Now().state(), v1::PROCESS_STATE_FETCHING);
    EXPECT_TRUE(Lives(before_.pid()));
    return;
  }
  const auto before = cgroups();
  controller_.Assign({At(1, with_memory("96Mi", One(kApp)))});
  ASSERT_TRUE(IsUp(1));
  const auto now = cgroups();
  EXPECT_TRUE(std::any_of(now.begin(), now.end(), [&](const std::string& directory) {
    return limit_in(directory) == std::to_string(96 << 20) + "\n";
  }));
  for (const std::string& directory : before)
    EXPECT_TRUE(WaitUntil([&] { return !fs::exists(directory); })) << directory;
}

TEST_F(InPlaceTest, AnotherUserHasWhatTheFirstOneWrote) {
  if (geteuid() != 0) GTEST_SKIP() << "the agent can become nobody else";
  const auto with_user = [](const char* user, v1::InstanceAssignment assignment) {
    assignment.mutable_launch_template()->set_user(user);
    return assignment;
  };
  Begin();
  controller_.Assign({with_user("daemon", One("echo d > kept; echo up; exec sleep 1000"))});
  ASSERT_TRUE(IsUp(0));
  controller_.Assign(
      {At(1, with_user("nobody", One("echo n >> kept && cat kept && echo up; exec sleep 1000")))});
  ASSERT_TRUE(IsUp(1)) << Log("i-a");
  EXPECT_THAT(Log("i-a"), HasSubstr("begins\nd\nn\nup\n"));
}

TEST_F(InPlaceTest, ALogThatIsFollowedGoesOn) {
  Begin();
  controller_.Assign({One(kApp)});
  ASSERT_TRUE(IsUp(0));
  v1::ConnectResponse request;
  request.mutable_log()->set_stream_id(1000);
  request.mutable_log()->set_instance("i-a");
  request.mutable_log()->set_tail_lines(1);
  request.mutable_log()->set_follow(true);
  controller_.Send(request);
  ASSERT_TRUE(controller_.Wait([&] { return controller_.logs[1000] == "up\n"; }));
  // While nothing runs, too: the old one ends by itself before the new one can be had.
  before_ = Now();
  controller_.hold_images = true;
  controller_.Assign({At(1, Two(kApp))});
  ASSERT_TRUE(Is(1, v1::PROCESS_STATE_FETCHING));
  ASSERT_TRUE(Signal(before_.pid(), SIGKILL));
  ASSERT_TRUE(WaitUntil([&] { return fs::exists(data_ / "instances/i-a/exit"); }));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Log("i-a"), "one\nup\n");  // each looks at all streams
  controller_.ReleaseImages();
  ASSERT_TRUE(controller_.Wait(
      [&] { return controller_.logs[1000] == "up\nremuda: generation 1 begins\ntwo\nup\n"; }));
  EXPECT_EQ(controller_.logs_ended.count(1000), 0u);
}

TEST_F(InPlaceTest, WithoutAControllerTheChangeGoesOn) {
  Begin();
  controller_.Assign({WithGrace(3600, One(kStubborn))});
  ASSERT_TRUE(IsUp(0));
  before_ = Now();
  controller_.Assign({At(1, Two(kApp))});
  ASSERT_TRUE(Is(1, v1::PROCESS_STATE_STOPPING));
  controller_.StopServing();
  KillOld();
  ASSERT_TRUE(WaitUntil([&] {
    const auto run = Record::ReadFrom((data_ / "instances/i-a/run").string());
    return run && run->Number(key::kGeneration) == 1;
  }));
  controller_.Serve();
  ASSERT_TRUE(IsUp(1));
  EXPECT_EQ(Now().restarts(), 0);
}

}  // namespace
}  // namespace remuda::agent
