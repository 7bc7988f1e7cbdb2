// The real remuda-agent where something beside it is wrong: another agent before it was killed, a
// foreign process has the port, names are not UTF-8.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "tests/component/agent/agent_fixture.h"

namespace remuda::agent {
namespace {

// A tar file (ustar, POSIX.1-1988) with one symbolic link, of any bytes.
std::string TarWithLink(const std::string& name, const std::string& target) {
  std::string header(512, '\0');
  const auto put = [&](size_t at, const std::string& text) {
    header.replace(at, text.size(), text);
  };
  put(0, name);
  put(100, "0000777");
  put(108, "0000000");
  put(116, "0000000");
  put(124, "00000000000");
  put(136, "00000000000");
  put(148, "        ");
  put(156, "2");
  put(157, target);
  put(257, std::string("ustar\0", 6) + "00");
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  char text[8];
  std::snprintf(text, sizeof text, "%06o", sum);
  put(148, std::string(text, 7));
  return header + std::string(1024, '\0');
}

TEST_F(AgentTest, ARestartedAgentTouchesNoFilesOfWhatRuns) {
  Begin();
  const std::vector<std::string> ids = {"i-a", "i-b", "i-c", "i-d", "i-e", "i-f"};
  std::vector<v1::InstanceAssignment> all;
  for (const std::string& id : ids) all.push_back(Shell(id, "echo precious > mine; sleep 1000"));
  controller_.Assign(all);
  for (const std::string& id : ids) {
    ASSERT_TRUE(Running(id));
    ASSERT_TRUE(WaitUntil([&] { return fs::exists(data_ / "instances" / id / "app/mine"); }));
  }
  KillAgent();
  // Some end while no agent is there: whichever the next one meets first.
  const std::set<std::string> dead = {"i-a", "i-d", "i-f"};
  for (const std::string& id : dead) {
    kill(static_cast<pid_t>(controller_.Status(id).pid()), SIGKILL);
    ASSERT_TRUE(WaitUntil([&] { return fs::exists(data_ / "instances" / id / "exit"); }));
  }
  StartAgent(controller_.address());
  ASSERT_TRUE(controller_.Wait([&] { return controller_.hellos.size() == 2; }));
  for (const v1::InstanceStatus& status : controller_.hellos[1].instances()) {
    EXPECT_EQ(status.state(), dead.count(status.instance()) > 0 ? v1::PROCESS_STATE_EXITED
                                                                : v1::PROCESS_STATE_RUNNING)
        << status.instance();
  }
  // One more, so that what was decided at the start has been done.
  controller_.Change({Serve("i-z")}, {});
  ASSERT_TRUE(Running("i-z"));
  for (const std::string& id : ids) {
    if (dead.count(id) > 0) continue;
    EXPECT_EQ(controller_.Status(id).state(), v1::PROCESS_STATE_RUNNING) << id;
    EXPECT_EQ(ReadWholeFile((data_ / "instances" / id / "app/mine").string()), "precious\n") << id;
    const std::string cwd =
        fs::read_symlink("/proc/" + std::to_string(controller_.Status(id).pid()) + "/cwd").string();
    EXPECT_EQ(cwd.find("(deleted)"), std::string::npos) << cwd;
  }
}

TEST_F(AgentTest, AForeignProcessOnTheFixedPortFailsTheLaunch) {
  int port = 0;
  const Fd foreign = ListenOn(0, &port);
  Begin();
  auto fixed = Serve("i-a");
  fixed.mutable_launch_template()->set_port(port);
  controller_.Assign({fixed});
  // At first it is tried again: the port may be given up at once.
  ASSERT_TRUE(controller_.Wait(
      [&] { return controller_.status["i-a"].message().find("is in use") != std::string::npos; }));
  ASSERT_TRUE(controller_.Wait(
      [&] { return controller_.status["i-a"].state() == v1::PROCESS_STATE_FAILED; },
      kPastLaunchDeadline));
  EXPECT_NE(controller_.Status("i-a").message().find("port " + std::to_string(port) +
                                                     " on 127.0.1.9 is in use by a process"),
            std::string::npos)
      << controller_.Status("i-a").message();
}

// A message is what hinders a launch: the controller gives such a one up sooner.
TEST_F(AgentTest, AFetchThatIsTriedAgainIsHinderedNoMore) {
  controller_.break_after = 100;
  Begin();
  controller_.Assign({Serve("i-a")});
  ASSERT_TRUE(controller_.Wait([&] {
    if (controller_.status["i-a"].message().find("broken off") == std::string::npos) return false;
    controller_.hold_images = true;  // the next try waits
    return true;
  }));
  ASSERT_TRUE(controller_.Wait([&] { return controller_.status["i-a"].message().empty(); }));
  EXPECT_EQ(controller_.Status("i-a").state(), v1::PROCESS_STATE_FETCHING);
  controller_.ReleaseImages();
  ASSERT_TRUE(Running("i-a"));
}

TEST_F(AgentTest, AFetchThatGoesOnWithEachTryIsNotGivenUp) {
  // Without progress it would be given up before so many tries.
  constexpr int kBreaks = 16;
  std::string noise(400'000, 0);
  std::mt19937 random(1);  // what cannot be packed smaller
  for (char& byte : noise) byte = static_cast<char>(random());
  digest_ = AddImage(controller_, {{"serve.sh", kServe}, {"noise", noise}});
  controller_.break_after = 20'000;
  controller_.breaks = kBreaks;
  Begin();
  controller_.Assign({Serve("i-a")});
  ASSERT_TRUE(controller_.Wait(
      [&] {
        const auto state = controller_.status["i-a"].state();
        return state == v1::PROCESS_STATE_RUNNING || state == v1::PROCESS_STATE_FAILED;
      },
      kPastLaunchDeadline));
  EXPECT_EQ(controller_.Status("i-a").state(), v1::PROCESS_STATE_RUNNING)
      << controller_.Status("i-a").message();
  EXPECT_THAT(controller_.fetch_offsets, testing::SizeIs(kBreaks + 1u));
}

TEST_F(AgentTest, AFetchThatFailsAgainAndAgainIsGivenUp) {
  controller_.break_after = 0;
  controller_.breaks = 1000;
  Begin();
  controller_.Assign({Serve("i-a")});
  ASSERT_TRUE(controller_.Wait(
      [&] { return controller_.status["i-a"].state() == v1::PROCESS_STATE_FAILED; },
      kPastLaunchDeadline));
  EXPECT_NE(controller_.Status("i-a").message().find("broken off"), std::string::npos);
}

TEST_F(AgentTest, ALockedDirectoryFailsTheLaunchAndKeepsItsFiles) {
  fs::create_directories(data_ / "instances/i-a/app");
  std::ofstream(data_ / "instances/i-a/app/file") << "precious";
  const auto lock = LockInstance({(data_ / "instances/i-a").string()});
  ASSERT_TRUE(lock.ok());
  Begin();
  controller_.Assign({Serve("i-a")});
  ASSERT_TRUE(controller_.Wait(
      [&] { return controller_.status["i-a"].state() == v1::PROCESS_STATE_FAILED; },
      kPastLaunchDeadline));
  EXPECT_NE(controller_.Status("i-a").message().find("is locked by a process that is no shim"),
            std::string::npos)
      << controller_.Status("i-a").message();
  controller_.Change({Serve("i-z")}, {"i-a"});
  ASSERT_TRUE(Running("i-z"));
  EXPECT_TRUE(fs::exists(data_ / "instances/i-a/app/file"));
  EXPECT_EQ(controller_.removed.count("i-a"), 0u);
}

TEST_F(AgentTest, ANameThatIsNotUtf8IsReportedAndTheSessionGoesOn) {
  const std::string odd = AddArchive(controller_, TarWithLink("caf\xe9", "/etc/hostname"));
  Begin();
  controller_.Assign(
      {Runs("i-odd", odd, {"x"}), Shell("i-says", "printf 'caf\\351 is closed\\n'; exit 3")});
  ASSERT_TRUE(controller_.WaitState("i-odd", v1::PROCESS_STATE_FAILED));
  EXPECT_NE(controller_.Status("i-odd").message().find("entry \"caf\\xe9\""), std::string::npos)
      << controller_.Status("i-odd").message();
  ASSERT_TRUE(Exited("i-says"));
  EXPECT_EQ(controller_.Status("i-says").log_tail(), "caf\\xe9 is closed\n");
  EXPECT_EQ(controller_.hellos.size(), 1u) << "one session";
}

TEST_F(AgentTest, TheLogOfWhatDiedIsToldAndKept) {
  Begin();
  controller_.Assign({Shell("i-a", "echo starting; echo 'FATAL: no database'; exit 3"),
                      Shell("i-b", "echo bye; exec sleep 1000")});
  ASSERT_TRUE(Exited("i-a") && Running("i-b"));
  EXPECT_EQ(controller_.Status("i-a").log_tail(), "starting\nFATAL: no database\n");
  ASSERT_TRUE(WaitUntil([&] { return Log("i-b") == "bye\n"; })) << "running, but not at its echo";
  controller_.Change({Stops(Serve("i-b"))}, {});
  ASSERT_TRUE(Exited("i-b"));
  EXPECT_EQ(controller_.Status("i-b").log_tail(), "") << "it ended as asked";

  controller_.Change({}, {"i-a", "i-b"});
  ASSERT_TRUE(controller_.Wait([&] {
    return controller_.removed.count("i-a") > 0 && controller_.removed.count("i-b") > 0;
  }));
  EXPECT_FALSE(fs::exists(data_ / "instances/i-a"));
  EXPECT_EQ(Log("i-a"), "starting\nFATAL: no database\n");
  EXPECT_EQ(Log("i-b"), "bye\n");
  // The next agent has them too.
  EXPECT_EQ(EndAgent(), 0);
  StartAgent(controller_.address());
  ASSERT_TRUE(controller_.Wait([&] { return controller_.hellos.size() == 2; }));
  EXPECT_EQ(Log("i-a"), "starting\nFATAL: no database\n");
}

TEST_F(AgentTest, ARestartWithoutAControllerKeepsThePort) {
  Begin();
  controller_.Assign({Serve("i-a")});
  ASSERT_TRUE(Running("i-a"));
  const v1::InstanceStatus first = controller_.Status("i-a");
  controller_.StopServing();
  const std::string record = (data_ / "instances/i-a/running").string();
  const auto restarted_from = [&](int64_t pid) {
    const auto running = Record::ReadFrom(record);
    return running && running->Number(key::kAppPid) != pid;
  };
  const auto port = [&] {
    return Record::ReadFrom((data_ / "instances/i-a/run").string())->Number(key::kPort);
  };
  kill(static_cast<pid_t>(first.pid()), SIGKILL);
  ASSERT_TRUE(WaitUntil([&] { return restarted_from(first.pid()); }));
  EXPECT_EQ(port(), first.port());

  // By the next agent too; and one that cannot be had is given up, and the new one reported.
  KillAgent();
  const int64_t second = Record::ReadFrom(record)->Number(key::kAppPid);
  const Fd taken = ListenOn(first.port());
  kill(static_cast<pid_t>(second), SIGKILL);
  StartAgent(controller_.address());
  ASSERT_TRUE(WaitUntil([&] { return restarted_from(second); }));
  EXPECT_NE(port(), first.port());
  controller_.Serve();
  ASSERT_TRUE(controller_.Wait([&] {
    return controller_.status["i-a"].state() == v1::PROCESS_STATE_RUNNING &&
           controller_.status["i-a"].port() == port();
  }));
}

TEST_F(AgentTest, NoCgroupOfAnEndedRunStays) {
  Begin();
  controller_.Assign({Shell("i-a", "(while :; do sleep 0.05; done) & echo up; exec sleep 1000")});
  ASSERT_TRUE(Running("i-a"));
  const auto run = KillShim("i-a");
  ASSERT_TRUE(run);
  ASSERT_TRUE(Exited("i-a"));
  for (const std::string& cgroup : run->All(key::kCgroup))
    EXPECT_TRUE(WaitUntil([&] { return !fs::exists(cgroup); })) << cgroup;
}

// An upgrade: the agent ends, its program's file is another one, and a new agent takes up what a
// shim of the old program runs.
TEST_F(AgentTest, AnAppAndItsLogGoOnOverAnotherProgramOfTheAgents) {
  program_ = (root_ / "remuda-agent").string();
  fs::copy_file(REMUDA_BIN_DIR "/remuda-agent", program_);
  Begin();
  const auto app = Shell("i-a", "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.02; done");
  controller_.Assign({app});
  ASSERT_TRUE(Running("i-a"));
  const auto before = controller_.Status("i-a");
  ASSERT_TRUE(WaitUntil([&] { return Log("i-a").find("tick 5\n") != std::string::npos; }));
  ASSERT_EQ(EndAgent(), 0);
  fs::copy_file(REMUDA_BIN_DIR "/remuda-agent", program_ + ".new");
  std::ofstream(program_ + ".new", std::ios::app) << "another program";
  fs::rename(program_ + ".new", program_);

  Begin();
  ASSERT_TRUE(controller_.Wait([&] { return controller_.hellos.size() == 2; }));
  ASSERT_EQ(controller_.hellos[1].instances_size(), 1);
  EXPECT_EQ(controller_.hellos[1].instances(0).state(), v1::PROCESS_STATE_RUNNING);
  EXPECT_EQ(controller_.hellos[1].instances(0).pid(), before.pid());
  EXPECT_EQ(controller_.hellos[1].instances(0).port(), before.port());
  const auto shim = Record::ReadFrom((data_ / "instances/i-a/running").string());
  ASSERT_TRUE(shim.has_value());
  const fs::path exe = fs::read_symlink("/proc/" + shim->Text(key::kShimPid) + "/exe");
  EXPECT_TRUE(exe.string().ends_with(" (deleted)")) << exe << ": it is the old program's still";
  const auto ticks = [&] {
    const std::string log = Log("i-a");
    return std::count(log.begin(), log.end(), '\n');
  };
  const auto had = ticks();
  ASSERT_TRUE(WaitUntil([&] { return ticks() > had + 5; }));
  std::istringstream log(Log("i-a"));
  int expected = 0;
  for (std::string line; std::getline(log, line) && !log.eof();)
    ASSERT_EQ(line, "tick " + std::to_string(++expected));
  controller_.Change({Stops(app)}, {});
  ASSERT_TRUE(Exited("i-a"));
  EXPECT_TRUE(controller_.Status("i-a").exit().requested());
}

}  // namespace
}  // namespace remuda::agent
