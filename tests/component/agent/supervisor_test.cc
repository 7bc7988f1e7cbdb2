// The supervisor and real shims (this program again, as `shim DIRECTORY`) with small shell apps.
#include "agent/supervisor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "agent/log_files.h"
#include "agent/shim.h"
#include "tests/few_files.h"

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kDeadline{20};

class SupervisorTest : public testing::Test {
 protected:
  void SetUp() override {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    std::string pattern = (fs::temp_directory_path() / "remuda-supervisor-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    run_id_ = root_.filename().string();
    Restart();
  }
  void TearDown() override {
    // Whatever the test left, by the marks of its own runs only.
    for (const std::string& id : supervisor_->Ids()) {
      if (const InstanceRun* run = supervisor_->Find(id); run != nullptr && run->shim_pid > 0)
        kill(run->shim_pid, SIGKILL);
    }
    EXPECT_TRUE(Until([&] {
      for (const ProcessStat& p : ProcessesOfRun(run_id_)) {
        if (p.state != 'Z') SendSignal(p, SIGKILL);
      }
      supervisor_->ReapStrays();
      return ProcessesOfRun(run_id_).empty();
    }));
    supervisor_.reset();
    loop_.reset();
    fs::remove_all(root_);
  }

  // As a new agent would: nothing is remembered but what is on disk.
  void Restart() {
    supervisor_.reset();
    loop_ = std::make_unique<EventLoop>();
    supervisor_ = std::make_unique<Supervisor>(
        *loop_, Supervisor::Options{.instances_directory = root_,
                                    .program = "/proc/self/exe",
                                    .on_change = [this](const std::string&) { ++changes_; },
                                    .adopt_patience = adopt_patience_,
                                    .stop_patience = stop_patience_});
    supervisor_->AdoptAll();
  }

  Record Spec(const std::vector<std::string>& args) {
    Record run;
    for (const std::string& arg : args) run.Add(key::kArg, arg);
    run.Add(key::kEnv, "PATH=/usr/bin:/bin");
    run.Add(key::kEnv, std::string(kRunIdVariable) + "=" + run_id_);
    run.Add(key::kRunId, run_id_);
    run.Add(key::kStopSignal, SIGTERM);
    run.Add(key::kGraceMs, 30'000);
    run.Add(key::kLogSegmentBytes, 64 * 1024);
    run.Add(key::kLogSegments, 4);
    run.Add(key::kPort, 4321);
    return run;
  }

  void Start(const std::string& id, const std::vector<std::string>& args) {
    fs::create_directories(root_ / id / "app");
    const absl::Status status = supervisor_->Start(id, Spec(args));
    ASSERT_TRUE(status.ok()) << status;
  }
  void StartShell(const std::string& id, const std::string& script) {
    Start(id, {"/bin/sh", "-c", script});
  }

  // Runs the loop until `done`, or the deadline.
  bool Until(const std::function<bool()>& done) {
    const auto deadline = EventLoop::Now() + kDeadline;
    while (!done()) {
      if (EventLoop::Now() > deadline) return false;
      // A fresh look at least every few milliseconds, for conditions that no event of the loop
      // announces.
      loop_->After(milliseconds(5), [this] { loop_->Quit(); });
      loop_->Run();
    }
    return true;
  }
  bool UntilState(const std::string& id, RunState state) {
    return Until([&] { return State(id) == state; });
  }
  RunState State(const std::string& id) {
    const InstanceRun* run = supervisor_->Find(id);
    return run == nullptr ? RunState::kNone : run->state;
  }
  std::string Log(const std::string& id) {
    LogReader reader(root_ / id / "logs");
    std::string all;
    for (uint64_t at = 0;;) {
      const auto chunk = reader.Read(at, 1 << 20);
      if (chunk.bytes.empty()) return all;
      all += chunk.bytes;
      at = chunk.offset + chunk.bytes.size();
    }
  }
  bool LogHas(const std::string& id, const std::string& text) {
    return Log(id).find(text) != std::string::npos;
  }
  size_t Living() {
    size_t n = 0;
    for (const ProcessStat& p : ProcessesOfRun(run_id_)) n += p.state != 'Z';
    return n;
  }

  fs::path root_;
  std::string run_id_;
  milliseconds adopt_patience_{5000};
  milliseconds stop_patience_{20'000};
  int changes_ = 0;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<Supervisor> supervisor_;
};

TEST_F(SupervisorTest, RunsAndReportsHowItEnded) {
  struct Case {
    std::string id, script;
    int code, signal;
  };
  for (const Case& c : {Case{"zero", "exit 0", 0, 0},
                        {"seven", "echo bye >&2; exit 7", 7, 0},
                        {"killed", "kill -9 $$", -1, SIGKILL},
                        {"segv", "kill -SEGV $$", -1, SIGSEGV}}) {
    SCOPED_TRACE(c.id);
    StartShell(c.id, c.script);
    ASSERT_TRUE(UntilState(c.id, RunState::kEnded));
    const RunEnd& end = *supervisor_->Find(c.id)->end;
    EXPECT_EQ(end.code, c.code);
    EXPECT_EQ(end.signal, c.signal);
    EXPECT_FALSE(end.requested);
    EXPECT_TRUE(end.started);
    EXPECT_GT(end.ended_unix_ms, 1'600'000'000'000);
  }
  EXPECT_EQ(Log("seven"), "bye\n");
}

TEST_F(SupervisorTest, TheAppFindsItsWorldInOrder) {
  StartShell("a",
             "pwd; ls /proc/self/fd | wc -l; echo PATH=$PATH; grep NoNewPrivs /proc/self/status; "
             "ps -o sid= -p $$ | grep -qw $$ && echo own-session; exec sleep 1000");
  ASSERT_TRUE(Until([&] { return LogHas("a", "own-session"); })) << Log("a");
  const std::string log = Log("a");
  EXPECT_NE(log.find((root_ / "a/app").string() + "\n"), std::string::npos) << log;
  EXPECT_NE(log.find("\n4\n"), std::string::npos) << "0, 1, 2 and ls's own: " << log;
  EXPECT_NE(log.find("NoNewPrivs:\t1"), std::string::npos) << log;
  EXPECT_EQ(State("a"), RunState::kRunning);
  EXPECT_EQ(supervisor_->Find("a")->port, 4321);
  EXPECT_GT(supervisor_->Find("a")->app_pid, 0);
}

TEST_F(SupervisorTest, AProgramThatIsNotThereIsSaid) {
  Start("a", {"no-such-program"});
  ASSERT_TRUE(UntilState("a", RunState::kEnded));
  const RunEnd& end = *supervisor_->Find("a")->end;
  EXPECT_FALSE(end.started);
  EXPECT_EQ(end.error, "run \"no-such-program\": No such file or directory");
  EXPECT_TRUE(LogHas("a", "no-such-program"));
}

TEST_F(SupervisorTest, StopGivesGraceThenKillsTheTree) {
  StartShell("polite", "trap 'echo got term; exit 3' TERM; echo up; while :; do sleep 0.05; done");
  StartShell("deaf", "trap '' TERM; echo up; while :; do sleep 0.05; done");
  ASSERT_TRUE(Until([&] { return LogHas("polite", "up") && LogHas("deaf", "up"); }));
  supervisor_->Stop("polite", SIGTERM, seconds(30));
  ASSERT_TRUE(UntilState("polite", RunState::kEnded));
  EXPECT_TRUE(supervisor_->Find("polite")->end->requested);
  EXPECT_EQ(supervisor_->Find("polite")->end->code, 3);
  EXPECT_TRUE(LogHas("polite", "got term"));

  supervisor_->Stop("deaf", SIGTERM, seconds(1000));
  EXPECT_EQ(State("deaf"), RunState::kStopping);
  supervisor_->Stop("deaf", SIGTERM, milliseconds(50));  // asked again: the shorter grace counts
  ASSERT_TRUE(UntilState("deaf", RunState::kEnded));
  EXPECT_EQ(supervisor_->Find("deaf")->end->signal, SIGKILL);
  EXPECT_EQ(Living(), 0u);
}

TEST_F(SupervisorTest, StoppedBeforeItBegan) {
  StartShell("a", "exec sleep 1000");
  supervisor_->Stop("a", SIGTERM, seconds(30));  // the shim has hardly been made
  ASSERT_TRUE(UntilState("a", RunState::kEnded));
  EXPECT_TRUE(supervisor_->Find("a")->end->requested);
  EXPECT_EQ(Living(), 0u);
}

TEST_F(SupervisorTest, DaemonsOfTheTreeAreEndedToo) {
  // setsid and a double fork: another session, and no parent of ours.
  const std::string daemon =
      "setsid sh -c '(trap \"\" TERM HUP; echo daemon; : > up; while :; do sleep 0.05; done) & "
      "exit' ";
  StartShell("stopped", daemon + "; echo main; exec sleep 1000");
  ASSERT_TRUE(Until([&] { return LogHas("stopped", "daemon") && LogHas("stopped", "main"); }));
  supervisor_->Stop("stopped", SIGTERM, milliseconds(300));
  ASSERT_TRUE(UntilState("stopped", RunState::kEnded));
  EXPECT_EQ(Living(), 0u);

  StartShell("gone", daemon + "; while [ ! -e up ]; do sleep 0.01; done; exit 0");
  ASSERT_TRUE(UntilState("gone", RunState::kEnded));
  EXPECT_TRUE(LogHas("gone", "daemon"));
  EXPECT_EQ(supervisor_->Find("gone")->end->code, 0);
  EXPECT_EQ(Living(), 0u);
}

TEST_F(SupervisorTest, AForkBombEnds) {
  // Bounded in count, so that a bug here does not take the machine: a tree of some 500 short
  // sleepers.
  StartShell("bomb",
             "f() { [ $1 -gt 0 ] && { f $(($1-1)) & f $(($1-1)) & }; sleep 1000; }; f 7; wait");
  ASSERT_TRUE(Until([&] { return Living() > 100; }));
  supervisor_->Stop("bomb", SIGTERM, milliseconds(0));
  ASSERT_TRUE(UntilState("bomb", RunState::kEnded));
  EXPECT_EQ(Living(), 0u);
}

TEST_F(SupervisorTest, PrintingWithoutEndIsBounded) {
  StartShell("yes", "exec yes remuda");
  ASSERT_TRUE(
      Until([&] { return LogReader(root_ / "yes/logs").Available().begin > 4 * 64 * 1024; }));
  uint64_t on_disk = 0;
  for (const auto& file : fs::directory_iterator(root_ / "yes/logs")) {
    std::error_code error;  // a file may be rotated away between its listing and this
    const auto size = file.file_size(error);
    if (!error) on_disk += size;
  }
  EXPECT_LE(on_disk, 5 * 64 * 1024u);
  supervisor_->Stop("yes", SIGTERM, seconds(30));
  ASSERT_TRUE(UntilState("yes", RunState::kEnded));
}

TEST_F(SupervisorTest, ANewAgentTakesUpWhatRuns) {
  StartShell("a", "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.02; done");
  StartShell("short", "while [ ! -e go ]; do sleep 0.02; done; exit 5");
  ASSERT_TRUE(
      Until([&] { return LogHas("a", "tick 3\n") && State("short") == RunState::kRunning; }));
  const pid_t pid = supervisor_->Find("a")->app_pid;

  supervisor_.reset();  // the agent is gone
  std::ofstream(root_ / "short/app/go") << "x";
  ASSERT_TRUE(Until([&] { return fs::exists(root_ / "short/exit"); }));
  Restart();
  ASSERT_TRUE(UntilState("a", RunState::kRunning));
  EXPECT_EQ(supervisor_->Find("a")->app_pid, pid);
  EXPECT_EQ(supervisor_->Find("a")->port, 4321);
  ASSERT_TRUE(UntilState("short", RunState::kEnded));
  EXPECT_EQ(supervisor_->Find("short")->end->code, 5);

  const std::string before = Log("a");
  ASSERT_TRUE(Until([&] { return Log("a").size() > before.size() + 50; }));
  const std::string log = Log("a");
  for (int i = 1, at = 0; i <= 5; ++i) {
    const size_t found = log.find("tick " + std::to_string(i) + "\n", static_cast<size_t>(at));
    ASSERT_NE(found, std::string::npos) << "a line is missing: " << i;
    at = static_cast<int>(found);
  }
  supervisor_->Stop("a", SIGTERM, seconds(10));
  ASSERT_TRUE(UntilState("a", RunState::kEnded));
  EXPECT_TRUE(supervisor_->Find("a")->end->requested);
}

// An agent that dies as it stops one has written how, and may not have told the shim yet.
TEST_F(SupervisorTest, ANewAgentEndsWhatWasToBeStopped) {
  const char* counts = "trap 'echo got term' TERM; echo up; while [ ! -e go ]; do sleep 0.02; done";
  StartShell("untold", counts);
  StartShell("told", counts);
  ASSERT_TRUE(Until([&] { return LogHas("untold", "up") && LogHas("told", "up"); }));
  supervisor_->Stop("told", SIGTERM, seconds(1000));
  ASSERT_TRUE(Until([&] { return LogHas("told", "got term"); }));
  supervisor_.reset();  // the agent is gone
  Record stop;
  stop.Add(key::kStopSignal, SIGTERM);
  stop.Add(key::kGraceMs, 1'000'000);
  ASSERT_EQ(stop.WriteTo(InstanceDir{root_ / "untold"}.Stop()), 0);

  Restart();
  EXPECT_EQ(State("untold"), RunState::kStopping);
  EXPECT_EQ(State("told"), RunState::kStopping);
  EXPECT_TRUE(Until([&] { return LogHas("untold", "got term"); })) << Log("untold");
  for (const char* id : {"untold", "told"}) {
    std::ofstream(root_ / id / "app/go") << "x";
    ASSERT_TRUE(UntilState(id, RunState::kEnded)) << id;
    EXPECT_TRUE(supervisor_->Find(id)->end->requested) << id;
    const std::string log = Log(id);
    EXPECT_EQ(log.find("got term"), log.rfind("got term")) << log;  // the app is told once
  }
}

TEST_F(SupervisorTest, NobodyIsToldOfOneBeforeAllAreTakenUp) {
  // Ended ones before, between and after one that runs, whatever order the directory has.
  for (const char* id : {"a", "c", "e"}) StartShell(id, "exit 3");
  for (const char* id : {"b", "d"}) StartShell(id, "exec sleep 1000");
  ASSERT_TRUE(Until([&] {
    return State("b") == RunState::kRunning && State("d") == RunState::kRunning &&
           State("a") == RunState::kEnded && State("c") == RunState::kEnded &&
           State("e") == RunState::kEnded;
  }));
  changes_ = 0;
  Restart();
  EXPECT_EQ(changes_, 0);
  EXPECT_EQ(State("a"), RunState::kEnded);
  EXPECT_EQ(State("b"), RunState::kRunning);
  EXPECT_EQ(State("d"), RunState::kRunning);
}

TEST_F(SupervisorTest, ADirectoryThatAStrangerLocksIsSaidLeftAloneAndLookedAtAgain) {
  fs::create_directories(root_ / "a/app");
  std::ofstream(root_ / "a/app/file") << "precious";
  auto lock = std::make_unique<Fd>(*LockInstance({root_ / "a"}));
  adopt_patience_ = milliseconds(50);
  Restart();
  EXPECT_EQ(State("a"), RunState::kStarting) << "its shim may be just beginning";
  ASSERT_TRUE(UntilState("a", RunState::kLocked));
  EXPECT_EQ(supervisor_->Start("a", Spec({"x"})).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(supervisor_->Forget("a").ok());
  EXPECT_TRUE(fs::exists(root_ / "a/app/file"));
  lock.reset();
  ASSERT_TRUE(UntilState("a", RunState::kNone));
  EXPECT_TRUE(supervisor_->Forget("a").ok());
}

TEST_F(SupervisorTest, NothingIsStartedOrDeletedUnderALock) {
  fs::create_directories(root_ / "a/app");
  const auto lock = LockInstance({root_ / "a"});
  ASSERT_TRUE(lock.ok());
  EXPECT_EQ(LockInstance({root_ / "a"}).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(supervisor_->Start("a", Spec({"x"})).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(supervisor_->Forget("a").code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(fs::exists(root_ / "a/app"));
}

TEST_F(SupervisorTest, AKilledShimTakesItsTreeAlong) {
  StartShell("a",
             "setsid sh -c '(echo daemon; while :; do sleep 0.05; done) & exit'; echo main; exec "
             "sleep 1000");
  ASSERT_TRUE(Until([&] { return LogHas("a", "daemon") && State("a") == RunState::kRunning; }));
  ASSERT_GE(Living(), 2u);
  kill(supervisor_->Find("a")->shim_pid, SIGKILL);
  ASSERT_TRUE(UntilState("a", RunState::kEnded));
  EXPECT_EQ(supervisor_->Find("a")->end->error, "its shim was killed");
  EXPECT_FALSE(supervisor_->Find("a")->end->requested);
  EXPECT_EQ(Living(), 0u);
}

// It was stopped, or its log's disk hangs: an app that is to end must not run on for that.
TEST_F(SupervisorTest, WhatAShimThatDoesNotActHasIsEndedAllTheSame) {
  stop_patience_ = milliseconds(100);
  Restart();
  for (const char* id : {"a", "b"}) StartShell(id, "trap '' TERM; echo main; sleep 1000");
  for (const char* id : {"a", "b"}) {
    ASSERT_TRUE(Until([&] { return LogHas(id, "main") && State(id) == RunState::kRunning; }));
    kill(supervisor_->Find(id)->shim_pid, SIGSTOP);
  }
  supervisor_->Stop("a", SIGTERM, milliseconds(0));
  ASSERT_TRUE(UntilState("a", RunState::kEnded));
  EXPECT_EQ(supervisor_->Find("a")->end->error, "its shim did not end it in time and was killed");
  EXPECT_TRUE(supervisor_->Find("a")->end->requested);
  EXPECT_TRUE(supervisor_->Find("a")->end->started);
  // One that a later agent takes up, too. Its grace still counts.
  supervisor_->Stop("b", SIGTERM, milliseconds(50));
  Restart();
  ASSERT_TRUE(UntilState("b", RunState::kEnded));
  EXPECT_TRUE(supervisor_->Find("b")->end->requested);
  EXPECT_EQ(Living(), 0u);
}

// An app can hand its output to somebody outside of its tree, who writes on when it has ended.
TEST_F(SupervisorTest, AnEndIsToldThoughAStrangerWritesToTheLog) {
  StartShell("a", "echo main; exec sleep 1000");
  ASSERT_TRUE(Until([&] { return LogHas("a", "main") && State("a") == RunState::kRunning; }));
  const std::string output = "/proc/" + std::to_string(supervisor_->Find("a")->app_pid) + "/fd/1";
  const Fd pipe(open(output.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  ASSERT_TRUE(pipe.valid());
  signal(SIGPIPE, SIG_IGN);
  std::atomic<bool> over = false;
  std::vector<std::thread> strangers;
  for (int i = 0; i < 4; ++i) {
    strangers.emplace_back([&] {
      const std::string block(64 * 1024, 'x');
      while (!over) static_cast<void>(!write(pipe.get(), block.data(), block.size()));
    });
  }
  ASSERT_TRUE(Until([&] { return LogReader(root_ / "a/logs").Available().begin > 0; }));
  supervisor_->Stop("a", SIGTERM, seconds(10));
  EXPECT_TRUE(UntilState("a", RunState::kEnded));
  over = true;
  for (std::thread& one : strangers) one.join();
  EXPECT_TRUE(supervisor_->Find("a")->end->requested);
  EXPECT_EQ(supervisor_->Find("a")->end->error, "");
}

TEST_F(SupervisorTest, WhatCannotBeWatchedForWantOfDescriptorsIsNotStarted) {
  fs::create_directories(root_ / "a/app");
  std::vector<Fd> more;  // as an agent has them: what is short here is not in the shim
  for (int i = 0; i < 50; ++i) more.emplace_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
  absl::Status status;
  {
    const FewFiles few(3);  // its lock, and the two ends of a pipe
    status = supervisor_->Start("a", Spec({"/bin/sh", "-c", "exec sleep 1000"}));
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(State("a"), RunState::kNone);
  EXPECT_TRUE(Until([&] { return Living() == 0 && LockInstance({root_ / "a"}).ok(); }))
      << "nobody would hear of its end";
  StartShell("a", "exec sleep 1000");
  EXPECT_TRUE(UntilState("a", RunState::kRunning));
}

TEST_F(SupervisorTest, HowAnAppThatFilledTheDiskEndedIsTold) {
  const std::string disk = (root_ / "a").string();
  fs::create_directory(disk);
  if (unshare(CLONE_NEWNS) != 0 ||
      mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("disk", disk.c_str(), "tmpfs", 0, "size=256k") != 0) {
    GTEST_SKIP() << "no small disk can be mounted here";
  }
  StartShell("a", "cat /dev/zero > full; exit 7");
  EXPECT_TRUE(UntilState("a", RunState::kEnded));
  EXPECT_EQ(supervisor_->Find("a")->end->code, 7);
  EXPECT_EQ(supervisor_->Find("a")->end->error, "");
  EXPECT_EQ(umount2(disk.c_str(), MNT_DETACH), 0);
}

TEST_F(SupervisorTest, AShimKilledWhileTheAgentIsAway) {
  StartShell("a",
             "setsid sh -c '(while :; do sleep 0.05; done) & exit'; echo main; exec sleep 1000");
  ASSERT_TRUE(Until([&] { return LogHas("a", "main") && State("a") == RunState::kRunning; }));
  const pid_t shim = supervisor_->Find("a")->shim_pid;
  supervisor_.reset();
  kill(shim, SIGKILL);
  waitpid(shim, nullptr, 0);
  Restart();
  ASSERT_TRUE(UntilState("a", RunState::kEnded));
  EXPECT_NE(supervisor_->Find("a")->end->error.find("while the agent was away"), std::string::npos);
  EXPECT_EQ(Living(), 0u);
}

TEST_F(SupervisorTest, AfterARebootEverythingIsLostAndNoStrangerIsSignalled) {
  // As another boot left it: the pids there now belong to somebody else, here to this very test.
  fs::create_directories(root_ / "a/app");
  Spec({"x"}).WriteTo(root_ / "a/run");
  const auto self = ReadStat(getpid());
  Record running;
  running.Add(key::kBootId, "another-boot");
  for (const char* k : {key::kShimPid, key::kAppPid}) running.Add(k, getpid());
  for (const char* k : {key::kShimStart, key::kAppStart})
    running.Add(k, static_cast<int64_t>(self->start_ticks));
  running.WriteTo(root_ / "a/running");
  Restart();
  ASSERT_EQ(State("a"), RunState::kEnded);
  EXPECT_EQ(supervisor_->Find("a")->end->error, "the host was restarted");
}

TEST_F(SupervisorTest, ACopyOfADirectoryEndsNothingThatRunsInTheFirst) {
  StartShell("a", "echo main; exec sleep 1000");
  ASSERT_TRUE(Until([&] { return LogHas("a", "main") && State("a") == RunState::kRunning; }));
  const auto running = Record::ReadFrom(root_ / "a/running");
  const size_t living = Living();
  const auto copy = [&](const std::string& id, bool by_older_shim) {
    fs::copy(root_ / "a", root_ / id, fs::copy_options::recursive);
    if (!by_older_shim) return;
    Record older;
    for (const char* k : {key::kBootId, key::kShimPid, key::kShimStart, key::kAppPid,
                          key::kAppStart, key::kStartedMs})
      older.Add(k, running->Text(k));
    older.WriteTo(root_ / id / "running");
  };
  copy("b", false);
  copy("c", true);
  copy("locked", false);
  const auto lock = LockInstance({root_ / "locked"});
  adopt_patience_ = milliseconds(50);
  Restart();
  EXPECT_EQ(State("a"), RunState::kRunning);
  for (const char* id : {"b", "c"}) {
    ASSERT_EQ(State(id), RunState::kEnded) << id;
    EXPECT_NE(supervisor_->Find(id)->end->error.find("a copy of another directory's"),
              std::string::npos);
  }
  ASSERT_TRUE(UntilState("locked", RunState::kLocked)) << "the shim is another's";
  EXPECT_EQ(Living(), living);
  // Nor later, when all that was done is read again.
  Restart();
  EXPECT_EQ(State("a"), RunState::kRunning);
  EXPECT_EQ(Living(), living);
  supervisor_->Stop("a", SIGTERM, seconds(10));
  EXPECT_TRUE(UntilState("a", RunState::kEnded));
}

TEST_F(SupervisorTest, ARenamedDirectoryIsTakenUp) {
  StartShell("a", "echo main; exec sleep 1000");
  ASSERT_TRUE(Until([&] { return LogHas("a", "main") && State("a") == RunState::kRunning; }));
  supervisor_.reset();
  fs::rename(root_ / "a", root_ / "b");
  Restart();
  ASSERT_EQ(State("b"), RunState::kRunning);
  supervisor_->Stop("b", SIGTERM, seconds(10));
  EXPECT_TRUE(UntilState("b", RunState::kEnded));
}

TEST_F(SupervisorTest, AReusedPidIsNotSignalled) {
  fs::create_directories(root_ / "a/app");
  Spec({"x"}).WriteTo(root_ / "a/run");
  Record running;
  running.Add(key::kBootId, BootId());
  for (const char* k : {key::kShimPid, key::kAppPid}) running.Add(k, getpid());  // us, but
  for (const char* k : {key::kShimStart, key::kAppStart})
    running.Add(k, 12345);  // not our start time
  running.WriteTo(root_ / "a/running");
  Restart();
  ASSERT_TRUE(UntilState("a", RunState::kEnded));
}

TEST_F(SupervisorTest, ForgetDeletesOnlyWhatDoesNotRun) {
  StartShell("a", "exec sleep 1000");
  ASSERT_TRUE(UntilState("a", RunState::kRunning));
  EXPECT_EQ(supervisor_->Forget("a").code(), absl::StatusCode::kFailedPrecondition);
  supervisor_->Stop("a", SIGTERM, seconds(10));
  ASSERT_TRUE(UntilState("a", RunState::kEnded));
  EXPECT_TRUE(supervisor_->Forget("a").ok());
  EXPECT_FALSE(fs::exists(root_ / "a"));
  EXPECT_EQ(supervisor_->Find("a"), nullptr);
}

}  // namespace
}  // namespace remuda::agent

int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == "shim") return remuda::agent::ShimMain(argv[2]);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
