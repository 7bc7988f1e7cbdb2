// `remuda dev` with programs that only pretend: order, readiness, restarts, ends.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>

#include "common/yaml_tree.h"
#include "tests/component/cli/remuda_process.h"

namespace remuda::testing_cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class DevTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(root_ + "/bin");
    for (const char* name : {"remuda-controller", "remuda-agent", "remuda-proxy"}) {
      fs::create_symlink(std::string(REMUDA_BIN_DIR) + "/cli_fake_program", root_ + "/bin/" + name);
    }
  }
  void TearDown() override { fs::remove_all(root_); }

  std::vector<std::string> Arguments(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> out = {"dev", "--data-dir", data_, "--ready-file", ready_};
    for (const char* flag : {"--controller-port", "--controller-http-port", "--agent-http-port",
                             "--proxy-http-port"}) {
      if (std::find(more.begin(), more.end(), flag) != more.end()) continue;
      out.insert(out.end(), {flag, "0"});
    }
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  std::map<std::string, std::string> Environment() const {
    return {{"REMUDA_BIN_DIR", root_ + "/bin"}};
  }

  bool AwaitUp() const {
    return WaitUntil([this] { return fs::exists(ready_); });
  }
  // Value of a pid in the ready file, found by the program's name.
  pid_t PidOf(const std::string& name) const {
    const std::string text = ReadAll(ready_);
    const size_t at = text.find("\"name\": \"" + name + "\"");
    const size_t pid = text.find("\"pid\": ", at);
    return at == std::string::npos || pid == std::string::npos ? -1
                                                               : std::stoi(text.substr(pid + 7));
  }
  static bool IsAlive(pid_t pid) {
    const std::string stat = ReadAll("/proc/" + std::to_string(pid) + "/stat");
    const size_t end = stat.rfind(')');
    return end != std::string::npos && stat.substr(end + 2, 1) != "Z";
  }

  const std::string root_ = MakeTempDir();
  const std::string data_ = root_ + "/data";
  const std::string ready_ = root_ + "/ready.json";
};

TEST_F(DevTest, StartsEverythingAndStopsItOnSigterm) {
  RemudaProcess dev(Arguments({"--hosts", "3", "--proxies", "2"}), Environment());
  ASSERT_TRUE(AwaitUp()) << dev.err();
  EXPECT_THAT(ReadAll(data_ + "/agents/h2/arguments"),
              HasSubstr("--address\n127.0.1.2\n--zone\nb\n"));
  EXPECT_THAT(ReadAll(data_ + "/agents/h2/arguments"), HasSubstr("--stop-instances-on-exit"));
  // Listeners without an address are for this machine alone.
  EXPECT_THAT(ReadAll(data_ + "/proxies/p2/arguments"),
              HasSubstr("--default-listen-address\n127.0.0.1\n"));
  EXPECT_TRUE(ParseYaml(ReadAll(ready_), "ready").ok());
  const pid_t agent = PidOf("h1");
  ASSERT_TRUE(IsAlive(agent));
  dev.Signal(SIGTERM);
  const Finished finished = dev.Wait();
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("The cluster is up"));
  EXPECT_FALSE(IsAlive(agent));
  EXPECT_THAT(ReadAll(data_ + "/logs/h1.log"), HasSubstr("stops"));  // by SIGTERM, not by force
  EXPECT_FALSE(fs::exists(ready_));
}

TEST_F(DevTest, HostsAndProxiesGetZonesInTurn) {
  RemudaProcess dev(Arguments({"--hosts", "3", "--proxies", "2", "--zones", "east,west"}),
                    Environment());
  ASSERT_TRUE(AwaitUp()) << dev.err();
  EXPECT_THAT(ReadAll(data_ + "/agents/h2/arguments"), HasSubstr("--zone\nwest\n"));
  EXPECT_THAT(ReadAll(data_ + "/agents/h3/arguments"), HasSubstr("--zone\neast\n"));
  EXPECT_THAT(ReadAll(data_ + "/proxies/p1/arguments"), HasSubstr("--zone\neast\n"));
  EXPECT_THAT(ReadAll(data_ + "/proxies/p2/arguments"), HasSubstr("--zone\nwest\n"));
  EXPECT_THAT(ReadAll(ready_), HasSubstr("\"zone\": \"west\"}]}"));
  dev.Signal(SIGTERM);
  EXPECT_EQ(dev.Wait().exit_code, 0);
}

TEST_F(DevTest, StartsAProgramThatDiedAgainOnTheSamePort) {
  RemudaProcess dev(Arguments(), Environment());
  ASSERT_TRUE(AwaitUp()) << dev.err();
  const std::string agent_before = ReadAll(data_ + "/agents/h1/arguments");
  fs::remove(data_ + "/agents/h1/arguments");
  const pid_t agent_pid = PidOf("h1");
  kill(PidOf("controller"), SIGKILL);
  kill(agent_pid, SIGKILL);
  EXPECT_TRUE(WaitUntil([&] { return dev.err().find("controller is back") != std::string::npos; }))
      << dev.err();
  EXPECT_TRUE(WaitUntil([&] { return dev.err().find("agent h1 is back") != std::string::npos; }))
      << dev.err();
  EXPECT_THAT(dev.err(),
              HasSubstr("controller ended (signal 9 (Killed)); starting it again in 250 ms"));
  // The port that was picked at first is asked for again, so that everyone finds it.
  EXPECT_THAT(ReadAll(data_ + "/controller/arguments"), Not(HasSubstr("--listen\n127.0.0.1:0")));
  const std::string controller = "--controller\n127.0.0.1:";
  const auto address = [&](const std::string& text) {
    return text.substr(text.find(controller), text.find("\n--address") - text.find(controller));
  };
  EXPECT_EQ(address(ReadAll(data_ + "/agents/h1/arguments")), address(agent_before));
  // The ready file knows the new process.
  EXPECT_TRUE(WaitUntil([&] { return PidOf("h1") > 0 && PidOf("h1") != agent_pid; }));
  EXPECT_TRUE(IsAlive(PidOf("h1")));
}

TEST_F(DevTest, ChildrenDieWithItEvenWhenItIsKilled) {
  RemudaProcess dev(Arguments(), Environment());
  ASSERT_TRUE(AwaitUp()) << dev.err();
  const std::vector<pid_t> pids = {PidOf("controller"), PidOf("h1"), PidOf("h2"), PidOf("p1")};
  dev.Signal(SIGKILL);
  dev.Wait();
  for (const pid_t pid : pids) EXPECT_TRUE(WaitUntil([pid] { return !IsAlive(pid); })) << pid;
  // The lock went with it.
  fs::remove(ready_);
  RemudaProcess again(Arguments(), Environment());
  EXPECT_TRUE(AwaitUp()) << again.err();
}

TEST_F(DevTest, SaysWhyAProgramDoesNotStart) {
  fs::create_directories(data_ + "/proxies/p1");
  WriteAll(data_ + "/proxies/p1/fail", "");
  const Finished finished = RunRemuda(Arguments(), Environment());
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("proxy p1 ended before it was ready (exit code 7)"));
  EXPECT_THAT(finished.err, HasSubstr("told to fail"));
  EXPECT_THAT(ReadAll(data_ + "/logs/controller.log"), HasSubstr("stops"));
}

TEST_F(DevTest, RefusesADataDirectoryInUse) {
  RemudaProcess dev(Arguments(), Environment());
  ASSERT_TRUE(AwaitUp()) << dev.err();
  const Finished finished = RunRemuda(Arguments(), Environment());
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("is in use by another `remuda dev` (process " +
                                      std::to_string(dev.pid()) + ")"));
  EXPECT_TRUE(fs::exists(ready_));
}

TEST_F(DevTest, APortInUseNamesTheFlag) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(fd, 1), 0);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  const std::string port = std::to_string(ntohs(address.sin_port));
  const Finished finished = RunRemuda(Arguments({"--proxy-http-port", port}), Environment());
  close(fd);
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("port " + port + " for p1 is in use by another program"));
  EXPECT_THAT(finished.err, HasSubstr("--proxy-http-port"));
}

TEST_F(DevTest, AMissingProgramIsNamed) {
  fs::remove(root_ + "/bin/remuda-agent");
  const Finished finished = RunRemuda(Arguments(), Environment());
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("remuda-agent: No such file or directory"));
}

TEST_F(DevTest, WrongFlagsAreUsage) {
  struct Case {
    std::vector<std::string> arguments;
    const char* error;
  };
  for (const Case& c : std::initializer_list<Case>{
           {{"--hosts", "0"}, "--hosts 0 is not within 1 and 100"},
           {{"--proxies", "17"}, "--proxies 17 is not within 0 and 16"},
           {{"--controller-port", "70000"},
            "--controller-port: port 70000 of controller is not within 0 and 65535"},
           {{"--agent-http-port", "7000", "--proxy-http-port", "7001"},
            "port 7001 would be for both h2 (--agent-http-port) and p1 (--proxy-http-port)"}}) {
    const Finished finished = RunRemuda(Arguments(c.arguments), Environment());
    EXPECT_EQ(finished.exit_code, 2);
    EXPECT_THAT(finished.err, HasSubstr(c.error));
  }
}

}  // namespace
}  // namespace remuda::testing_cli
