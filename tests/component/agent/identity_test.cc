// Whose a data directory is, as the real remuda-agent sees it: its own after a restart, another's
// copy, another host's.
#include <cstdio>
#include <string>
#include <utility>

#include "tests/component/agent/agent_fixture.h"

namespace remuda::agent {
namespace {

class IdentityTest : public AgentTest {
 protected:
  void BeginWithAnApp() {
    Begin();
    controller_.Assign({Serve("i-a")});
    ASSERT_TRUE(Running("i-a"));
    app_ = static_cast<pid_t>(controller_.Status("i-a").pid());
  }
  bool AppRuns() const {
    const auto stat = ReadStat(app_);
    return stat && stat->state != 'Z';
  }
  // The hello of the agent that was started after `before` others.
  v1::Hello HelloAfter(size_t before) {
    EXPECT_TRUE(controller_.Wait([&] { return controller_.hellos.size() > before; }));
    return controller_.hellos.back();
  }

  pid_t app_ = 0;
};

TEST_F(IdentityTest, ARestartedAgentIsAnotherProcessOfTheSameMachineWithTheSameLock) {
  Begin();
  const v1::Hello first = HelloAfter(0);
  EXPECT_FALSE(first.incarnation().empty());
  EXPECT_FALSE(first.lock().empty());
  KillAgent();
  StartAgent(controller_.address());
  const v1::Hello second = HelloAfter(1);
  EXPECT_NE(second.incarnation(), first.incarnation());
  EXPECT_EQ(second.machine_id(), first.machine_id());
  EXPECT_EQ(second.lock(), first.lock());
}

TEST_F(IdentityTest, ItAnswersPings) {
  Begin();
  v1::ConnectResponse ping;
  ping.mutable_ping()->set_ping_id(7);
  controller_.Send(ping);
  EXPECT_TRUE(controller_.Wait([&] { return controller_.pongs.contains(7); }));
}

TEST_F(IdentityTest, ACopyOfTheDirectoryIsAnotherMachineAndLeavesTheAppsAlone) {
  BeginWithAnApp();
  const v1::Hello first = HelloAfter(0);
  KillAgent();
  const fs::path copy = root_ / "copy";
  fs::copy(data_, copy, fs::copy_options::recursive);
  StartAgent(controller_.address(), {"--data-dir", copy.string()});
  const v1::Hello second = HelloAfter(1);
  EXPECT_NE(second.machine_id(), first.machine_id());
  EXPECT_NE(second.lock(), first.lock());
  EXPECT_FALSE(second.has_held()) << "the assignment is the other's";
  // What it has a copy of is not its own: it goes, here alone.
  EXPECT_TRUE(WaitUntil([&] { return !fs::exists(copy / "instances/i-a"); }));
  EXPECT_TRUE(AppRuns());
  KillAgent();
  // It stays that machine, and the first one stays the first.
  StartAgent(controller_.address(), {"--data-dir", copy.string()});
  EXPECT_EQ(HelloAfter(2).machine_id(), second.machine_id());
  KillAgent();
  StartAgent(controller_.address());
  EXPECT_EQ(HelloAfter(3).machine_id(), first.machine_id());
  ASSERT_TRUE(Running("i-a"));
  EXPECT_TRUE(AppRuns());
  EXPECT_EQ(controller_.Status("i-a").pid(), app_);
}

TEST_F(IdentityTest, ADirectoryThatWasRenamedIsTheSameOne) {
  BeginWithAnApp();
  const v1::Hello first = HelloAfter(0);
  KillAgent();
  const fs::path before = std::exchange(data_, root_ / "renamed");
  fs::rename(before, data_);
  StartAgent(controller_.address());
  const v1::Hello second = HelloAfter(1);
  EXPECT_EQ(second.machine_id(), first.machine_id());
  EXPECT_TRUE(second.has_held());
  ASSERT_EQ(second.instances_size(), 1);
  EXPECT_EQ(second.instances(0).state(), v1::PROCESS_STATE_RUNNING);
  EXPECT_TRUE(AppRuns());
}

TEST_F(IdentityTest, AnotherHostsNameIsRefusedAndTheAppsRunOn) {
  BeginWithAnApp();
  KillAgent();
  const std::string command =
      std::string("timeout 20 " REMUDA_BIN_DIR "/remuda-agent --insecure --name h9 --admin '' ") +
      "--controller " + controller_.address() + " --data-dir " + data_.string() + " 2>&1";
  FILE* out = popen(command.c_str(), "r");
  std::string said;
  char buffer[4096];
  while (const size_t n = fread(buffer, 1, sizeof buffer, out)) said.append(buffer, n);
  const int status = pclose(out);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << status;
  for (const std::string& part : {std::string("host h1"), std::string("--name is h9"),
                                  data_.string(), std::string("remuda host drain h1")})
    EXPECT_NE(said.find(part), std::string::npos) << part << ": " << said;
  EXPECT_TRUE(AppRuns());
  StartAgent(controller_.address());
  EXPECT_EQ(HelloAfter(1).host(), "h1");
  EXPECT_TRUE(AppRuns());
}

}  // namespace
}  // namespace remuda::agent
