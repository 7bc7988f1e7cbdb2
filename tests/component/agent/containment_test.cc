// The real remuda-agent and an app that does what no app should: each is stopped, and the host and
// its neighbours are well.
#include <gmock/gmock.h>

#include <fstream>
#include <string>
#include <vector>

#include "agent/run_record.h"
#include "tests/component/agent/agent_fixture.h"

namespace remuda::agent {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

class ContainmentTest : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    if (geteuid() != 0) GTEST_SKIP() << "only root gives each app a user of its own";
    digest_ = AddImage(controller_, {{"serve.sh", kServe},
                                     {"misbehave", *ReadWholeFile(REMUDA_BIN_DIR "/misbehave")}});
  }
  v1::InstanceAssignment Misbehaves(const std::string& id, std::vector<std::string> words) {
    words.insert(words.begin(), "./misbehave");
    return Runs(id, digest_, words);
  }
  // What it said, once it has done all.
  std::string Said(const std::string& id) {
    EXPECT_TRUE(Running(id)) << controller_.Status(id).ShortDebugString();
    std::string log;
    EXPECT_TRUE(WaitUntil([&] {
      log = Log(id);
      return log.find("over\n") != std::string::npos;
    })) << log;
    return log;
  }
  static bool CanListenOn(int port) { return CanListen("127.0.1.9", port); }
  // A record of an instance that runs.
  int64_t NumberIn(const std::string& id, const char* file, const char* key) const {
    const auto record = Record::ReadFrom((data_ / "instances" / id / file).string());
    return record ? record->Number(key) : 0;
  }
};

TEST_F(ContainmentTest, AnAppHasAUserOfItsOwnAndNothingOfTheAgents) {
  Begin();
  controller_.Assign({Misbehaves("i-a", {"show"}), Misbehaves("i-b", {"show"})});
  const std::string a = Said("i-a");
  const int64_t uid = NumberIn("i-a", "run", key::kUid), other = NumberIn("i-b", "run", key::kUid);
  EXPECT_GE(uid, 700'000);
  EXPECT_NE(uid, other);
  const std::string id = std::to_string(uid), four = id + "\t" + id + "\t" + id + "\t" + id + "\n";
  EXPECT_THAT(a, HasSubstr("Uid:\t" + four));
  EXPECT_THAT(a, HasSubstr("Gid:\t" + four));
  EXPECT_THAT(a, ContainsRegex("Groups:[ \t]*\n"));
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
    EXPECT_THAT(a, HasSubstr(std::string(set) + ":\t0000000000000000\n"));
  EXPECT_THAT(a, HasSubstr("NoNewPrivs:\t1\n"));
  EXPECT_THAT(a, HasSubstr("Seccomp:\t2\n"));
  for (int fd = 0; fd < 3; ++fd) EXPECT_THAT(a, HasSubstr("open: " + std::to_string(fd) + "\n"));
  for (int fd = 3; fd < 64; ++fd)
    EXPECT_THAT(a, Not(HasSubstr("open: " + std::to_string(fd) + "\n")));
  EXPECT_THAT(a, HasSubstr("stdin: 0\n"));
  EXPECT_THAT(a, HasSubstr("limit core: 0 0\n"));
  EXPECT_THAT(a, ContainsRegex("limit files: [0-9]+ [0-9]+\n"));
  for (const char* name : {"PATH", "HOME", "USER", "LOGNAME", "LANG", "HOST", "PORT"})
    EXPECT_THAT(a, HasSubstr("env: " + std::string(name) + "\n"));
  EXPECT_THAT(a, Not(HasSubstr("env: SHELL\n")));
  EXPECT_THAT(a, Not(HasSubstr("env: SUDO_USER\n")));
}

TEST_F(ContainmentTest, NothingOfTheHostsOrANeighboursIsReached) {
  std::ofstream(root_ / "secret") << "of another user of this host";
  Begin();
  controller_.Assign({Serve("i-b")});
  ASSERT_TRUE(Running("i-b"));
  const std::string data = data_.string(), b = data + "/instances/i-b";
  const std::string neighbour = std::to_string(NumberIn("i-b", "running", key::kAppPid)),
                    shim = std::to_string(NumberIn("i-b", "running", key::kShimPid));
  const std::string agent = std::to_string(agent_);
  const std::vector<std::string> unread = {data + "/machine",
                                           data + "/assignment",
                                           data + "/instances",
                                           b + "/app/serve.sh",
                                           b + "/run",
                                           b + "/token",
                                           data + "/instances/i-a/token",
                                           data + "/instances/i-a/run",
                                           (root_ / "secret").string(),
                                           "/root",
                                           "/home",
                                           "/var/lib",
                                           "/proc/" + neighbour + "/environ",
                                           "/proc/" + agent + "/environ",
                                           "/proc/" + agent + "/cmdline",
                                           "/dev/mem",
                                           "/dev/kmsg"};
  const std::vector<std::string> unwritten = {"/etc/x",    "/usr/x",     "/var/x", "/dev/x",
                                              data + "/x", b + "/app/x", b + "/x"};
  std::vector<std::string> words;
  for (const auto& path : unread) words.insert(words.end(), {"read", path});
  for (const auto& path : unwritten) words.insert(words.end(), {"write", path});
  for (const auto& pid : {neighbour, shim, agent, std::string("1")})
    words.insert(words.end(), {"signal", pid});
  // What an app does need.
  const std::vector<std::string> allowed = {"/tmp/x", "/var/tmp/y", "/dev/shm/x", "x", "/dev/null"};
  for (const auto& path : allowed) words.insert(words.end(), {"write", path});
  for (const char* path : {"/etc/hostname", "/proc/self/status", "/proc/cpuinfo", "/dev/urandom",
                           "/bin/sh", "misbehave"})
    words.insert(words.end(), {"read", path});
  controller_.Change({Misbehaves("i-a", words)}, {});
  const std::string said = Said("i-a");
  for (const auto& path : unread)
    EXPECT_THAT(said, ContainsRegex("read " + path + ": (EACCES|ENOENT|EPERM)\n"));
  for (const auto& path : unwritten)
    EXPECT_THAT(said, ContainsRegex("write " + path + ": (EACCES|ENOENT|EPERM|EROFS)\n"));
  for (const auto& pid : {neighbour, shim, agent, std::string("1")})
    EXPECT_THAT(said, ContainsRegex("signal " + pid + ": (EPERM|ESRCH)\n"));
  for (const auto& path : allowed) EXPECT_THAT(said, HasSubstr("write " + path + ": done\n"));
  for (const char* path : {"/etc/hostname", "/proc/self/status", "/bin/sh", "misbehave"})
    EXPECT_THAT(said, HasSubstr(std::string("read ") + path + ": done\n"));
  EXPECT_TRUE(fs::exists(data_ / "instances/i-a/tmp/x")) << "its /tmp is in its own directory";
  EXPECT_FALSE(fs::exists("/tmp/x") && fs::exists("/var/tmp/y")) << "and not the host's";
}

TEST_F(ContainmentTest, SystemCallsThatNoAppNeedsAreRefused) {
  const std::vector<std::string> refused = {"raw-socket",
                                            "raw-socket-6",
                                            "packet-socket",
                                            "netfilter-socket",
                                            "kernel-crypto-socket",
                                            "user-namespace",
                                            "mount-namespace",
                                            "clone-namespace",
                                            "mount",
                                            "trace",
                                            "keys",
                                            "bpf",
                                            "perf",
                                            "io-uring",
                                            "load-module",
                                            "chroot",
                                            "personality",
                                            "x32",
                                            "become-root",
                                            "device"};
  const std::vector<std::string> allowed = {"route-socket", "tcp-socket",      "udp-socket",
                                            "local-socket", "ask-personality", "thread-flags"};
  std::vector<std::string> words = refused;
  words.insert(words.end(), allowed.begin(), allowed.end());
  words.push_back("clone3");
  Begin();
  controller_.Assign({Misbehaves("i-a", words)});
  const std::string said = Said("i-a");
  for (const auto& word : refused)
    EXPECT_THAT(said, ContainsRegex("(^|\n)" + word + ": (EPERM|EACCES)\n"));
  for (const auto& word : allowed) EXPECT_THAT(said, HasSubstr("\n" + word + ": done\n"));
  EXPECT_THAT(said, HasSubstr("\nclone3: ENOSYS\n"));
}

TEST_F(ContainmentTest, ADaemonLeftBehindIsEndedWithItsAppAndItsPortIsFree) {
  Begin();
  auto app = Misbehaves("i-a", {"leave-daemon"});
  app.mutable_launch_template()->mutable_stop_grace()->set_seconds(1);
  controller_.Assign({app});
  Said("i-a");
  const int port = controller_.Status("i-a").port();
  EXPECT_FALSE(CanListenOn(port));
  controller_.Change({Stops(app)}, {});
  ASSERT_TRUE(Exited("i-a"));
  EXPECT_TRUE(CanListenOn(port)) << "what it left behind would hold the port of its successor";
}

TEST_F(ContainmentTest, WhatAKilledShimLeavesIsFoundByItsUserToo) {
  Begin();
  auto app = Misbehaves("i-a", {"leave-daemon"});
  controller_.Assign({app});
  Said("i-a");
  const int port = controller_.Status("i-a").port();
  ASSERT_TRUE(KillShim("i-a"));
  ASSERT_TRUE(Exited("i-a"));
  EXPECT_TRUE(CanListenOn(port));
}

TEST_F(ContainmentTest, AForkBombIsHeldAndEndedAndNeighboursLive) {
  Begin();
  auto bomb = Misbehaves("i-a", {"fork-bomb"});
  bomb.mutable_launch_template()->mutable_limits()->set_pids(100);
  bomb.mutable_launch_template()->mutable_stop_grace()->set_seconds(1);
  controller_.Assign({bomb, Serve("i-b")});
  EXPECT_THAT(Said("i-a"), HasSubstr("fork-bomb: EAGAIN\n"));
  ASSERT_TRUE(Running("i-b"));
  const auto uid = static_cast<uint32_t>(NumberIn("i-a", "run", key::kUid));
  EXPECT_LE(ProcessesOfUser(uid).size(), 100u);
  controller_.Change({Stops(bomb), Serve("i-c")}, {});
  ASSERT_TRUE(Exited("i-a"));
  EXPECT_TRUE(WaitUntil([&] { return ProcessesOfUser(uid).empty(); }));
  EXPECT_TRUE(Running("i-c"));
  EXPECT_EQ(controller_.Status("i-b").state(), v1::PROCESS_STATE_RUNNING);
}

TEST_F(ContainmentTest, OneThatEatsMemoryIsEndedAndSaysSo) {
  Begin();
  auto eater = Misbehaves("i-a", {"eat-memory"});
  eater.mutable_launch_template()->mutable_limits()->set_memory("64Mi");
  controller_.Assign({eater, Serve("i-b")});
  ASSERT_TRUE(Exited("i-a"));
  EXPECT_TRUE(controller_.Status("i-a").exit().out_of_memory());
  EXPECT_TRUE(Running("i-b"));
}

// It would stay when they have ended, and count for no limit.
TEST_F(ContainmentTest, MemoryThatProcessesShareIsTheAppsAlone) {
  Begin();
  controller_.Assign({Misbehaves("i-a", {"shared-memory"})});
  EXPECT_THAT(Said("i-a"), HasSubstr("shared-memory: done\n"));
  const std::string uid = " " + std::to_string(NumberIn("i-a", "run", key::kUid)) + " ";
  EXPECT_THAT(ReadWholeFile("/proc/sysvipc/shm").value_or(""), Not(HasSubstr(uid)));
}

TEST_F(ContainmentTest, OneThatFillsTheDiskIsEndedAndSaysSo) {
  Begin();
  std::vector<v1::InstanceAssignment> all = {
      Misbehaves("i-a", {"fill-disk", "."}), Misbehaves("i-b", {"fill-disk", "/tmp"}),
      Misbehaves("i-c", {"fill-file"}), Serve("i-d"), Misbehaves("i-e", {"fill-disk", "/dev/shm"})};
  for (auto& one : all) one.mutable_launch_template()->mutable_limits()->set_disk("32Mi");
  controller_.Assign(all);
  for (const char* id : {"i-a", "i-b"}) {
    ASSERT_TRUE(Exited(id)) << id;
    EXPECT_EQ(controller_.Status(id).exit().signal(), SIGKILL) << id;
    EXPECT_FALSE(controller_.Status(id).exit().requested()) << id;
    EXPECT_THAT(controller_.Status(id).message(), HasSubstr("over its disk limit: ")) << id;
  }
  EXPECT_TRUE(WaitUntil([&] { return Log("i-c").find("fill-file: EFBIG\n") != std::string::npos; }))
      << "one file is bounded at once";
  EXPECT_THAT(Said("i-e"), HasSubstr("fill-disk /dev/shm: ENOSPC\n"));
  EXPECT_TRUE(Running("i-d"));
}

TEST_F(ContainmentTest, ALogWithoutEndIsBoundedAndHoldsNobodyUp) {
  Begin();
  auto flood = Misbehaves("i-a", {"flood"});
  flood.mutable_launch_template()->mutable_stop_grace()->set_seconds(1);
  controller_.Assign({flood});
  ASSERT_TRUE(Running("i-a"));
  const fs::path logs = data_ / "instances/i-a/logs";
  // Its first segments are gone: it has printed more than is kept.
  ASSERT_TRUE(WaitUntil(
      [&] { return fs::exists(logs) && !fs::exists(logs / "00000000000000000000.log"); }));
  controller_.Change({Serve("i-b")}, {});
  EXPECT_TRUE(Running("i-b"));
  uintmax_t bytes = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(logs)) bytes += entry.file_size(error);
  EXPECT_LE(bytes, uintmax_t{24} << 20);
  controller_.Change({Stops(flood)}, {});
  EXPECT_TRUE(Exited("i-a"));
}

TEST_F(ContainmentTest, WhatProtectsTheAgentFromTheOomKillerIsNotItsApps) {
  Begin();
  std::ofstream agents("/proc/" + std::to_string(agent_) + "/oom_score_adj");
  if (!(agents << "-500").flush()) GTEST_SKIP() << "lowering it takes CAP_SYS_RESOURCE";
  controller_.Assign({Serve("i-a")});
  ASSERT_TRUE(Running("i-a"));
  const auto score = [&](const char* key) {
    return ReadWholeFile("/proc/" + std::to_string(NumberIn("i-a", "running", key)) +
                         "/oom_score_adj");
  };
  EXPECT_EQ(score(key::kShimPid), "-500\n");
  EXPECT_EQ(score(key::kAppPid), "0\n");
}

TEST_F(ContainmentTest, OpenFilesAreLimited) {
  Begin();
  auto app = Misbehaves("i-a", {"show", "open-files"});
  app.mutable_launch_template()->mutable_limits()->set_open_files(64);
  controller_.Assign({app});
  const std::string said = Said("i-a");
  EXPECT_THAT(said, HasSubstr("limit files: 64 64\n"));
  EXPECT_THAT(said, HasSubstr("open-files: EMFILE\n"));
}

TEST_F(ContainmentTest, RootIsForThoseWhoAreAllowedItAndThenWithoutCapabilities) {
  Begin();
  auto root = Misbehaves("i-a", {"show", "mount", "become-root"});
  root.mutable_launch_template()->set_user("root");
  controller_.Assign({root});
  ASSERT_TRUE(controller_.WaitState("i-a", v1::PROCESS_STATE_FAILED));
  EXPECT_THAT(controller_.Status("i-a").message(), HasSubstr("--allow-root-apps"));
  ASSERT_EQ(EndAgent(), 0);
  Begin({"--allow-root-apps"});
  ASSERT_TRUE(controller_.Wait([&] { return controller_.hellos.size() == 2; }));
  root.set_instance("i-b");
  controller_.Assign({root});
  const std::string said = Said("i-b");
  EXPECT_THAT(said, HasSubstr("Uid:\t0\t0\t0\t0\n"));
  EXPECT_THAT(said, HasSubstr("CapEff:\t0000000000000000\n"));
  EXPECT_THAT(said, HasSubstr("\nmount: EPERM\n"));
}

TEST_F(ContainmentTest, WritablePathsAndAppPathsAreWhatTheySay) {
  fs::create_directories(root_ / "disk");
  fs::create_directories(root_ / "runtime");
  std::ofstream(root_ / "runtime/library") << "x";
  fs::permissions(root_ / "disk", fs::perms(01777));
  Begin({"--app-path", (root_ / "runtime").string()});
  const std::string disk = (root_ / "disk/x").string(),
                    library = (root_ / "runtime/library").string();
  auto app = Misbehaves("i-a", {"write", disk, "read", library, "write", library});
  app.mutable_launch_template()->add_writable_paths((root_ / "disk").string());
  auto without = Misbehaves("i-b", {"write", disk, "read", disk, "read", library});
  auto missing = Misbehaves("i-c", {"show"});
  missing.mutable_launch_template()->add_writable_paths((root_ / "none").string());
  controller_.Assign({app, without, missing});
  const std::string said = Said("i-a");
  EXPECT_THAT(said, HasSubstr("write " + disk + ": done\n"));
  EXPECT_THAT(said, HasSubstr("read " + library + ": done\n"));
  EXPECT_THAT(said, HasSubstr("write " + library + ": EACCES\n"));
  const std::string other = Said("i-b");
  EXPECT_THAT(other, ContainsRegex("write " + disk + ": (EACCES|ENOENT)\n"));
  EXPECT_THAT(other, ContainsRegex("read " + disk + ": (EACCES|ENOENT)\n"));
  EXPECT_THAT(other, HasSubstr("read " + library + ": done\n"));
  ASSERT_TRUE(controller_.WaitState("i-c", v1::PROCESS_STATE_FAILED));
  EXPECT_THAT(controller_.Status("i-c").message(), HasSubstr("is no directory on this host"));
}

}  // namespace
}  // namespace remuda::agent
