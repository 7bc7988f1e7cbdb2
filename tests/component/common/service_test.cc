// What the real programs tell a service manager: READY once they serve, WATCHDOG while they live,
// STOPPING when they end; and that their settings may stand in a file.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/fake_service_manager.h"

namespace remuda {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

struct Case {
  const char* program;
  std::string settings;  // of the file that `flag` names
  const char* flag;
};

class ServiceTest : public testing::Test {
 protected:
  ServiceTest() {
    std::string pattern = (fs::temp_directory_path() / "remuda-service-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    ready_file_ = (root_ / "ready").string();
    output_ = (root_ / "output").string();
  }
  ~ServiceTest() override {
    if (pid_ > 0) End(SIGKILL);
    std::error_code error;
    fs::remove_all(root_, error);
  }

  // A controller, an agent and a proxy that need nothing else to serve.
  std::vector<Case> Programs() {
    std::ofstream(root_ / "proxy.yaml") << "{}\n";
    const std::string common = "ready-file = " + ready_file_ + "\n";
    const std::string data = "data-dir = " + (root_ / "data").string() + "\n";
    return {
        {"remuda-controller", common + data + "listen = 127.0.0.1:0\nhttp = 127.0.0.1:0\n",
         "--config"},
        {"remuda-agent",
         common + data +
             "name = h1\ninsecure = true\ncontroller = 127.0.0.1:1\nadmin = 127.0.0.1:0\n",
         "--config"},
        {"remuda-proxy",
         common + "config = " + (root_ / "proxy.yaml").string() +
             "\nadmin = 127.0.0.1:0\nworkers = 3\n",
         "--settings"},
    };
  }

  void Start(const Case& c, const std::string& watchdog_usec = "100000") {
    const std::string file = (root_ / "settings").string();
    std::ofstream(file, std::ios::trunc) << c.settings;
    const std::string program = std::string(REMUDA_BIN_DIR "/") + c.program;
    fs::remove(ready_file_);
    pid_ = fork();
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setenv("NOTIFY_SOCKET", manager_.socket().c_str(), 1);
    setenv("WATCHDOG_USEC", watchdog_usec.c_str(), 1);
    setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
    const int out = open(output_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(out, 1);
    dup2(out, 2);
    execl(program.c_str(), c.program, c.flag, file.c_str(), nullptr);
    _exit(127);
  }
  int End(int signal) {
    kill(pid_, signal);
    return WaitForEnd();
  }
  int WaitForEnd() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string Output() const {
    std::ifstream in(output_);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  FakeServiceManager manager_;
  fs::path root_;
  std::string ready_file_;
  std::string output_;
  pid_t pid_ = -1;
};

TEST_F(ServiceTest, EachSaysWhenItServesThatItLivesAndWhenItEnds) {
  for (const Case& c : Programs()) {
    SCOPED_TRACE(c.program);
    Start(c);
    EXPECT_THAT(manager_.NextOf("READY=1"), StartsWith("READY=1\nSTATUS=")) << Output();
    EXPECT_TRUE(fs::exists(ready_file_)) << "it said so before it served";
    for (int i = 0; i < 3; ++i) EXPECT_EQ(manager_.NextOf("WATCHDOG=1"), "WATCHDOG=1");
    kill(pid_, SIGTERM);
    EXPECT_THAT(manager_.NextOf("STOPPING=1"), StartsWith("STOPPING=1\nSTATUS="));
    EXPECT_EQ(WaitForEnd(), 0) << Output();
  }
}

TEST_F(ServiceTest, WithoutAWatchdogNoneIsFed) {
  for (const Case& c : Programs()) {
    SCOPED_TRACE(c.program);
    Start(c, "");
    EXPECT_THAT(manager_.Next(), StartsWith("READY=1")) << Output();
    kill(pid_, SIGTERM);
    EXPECT_THAT(manager_.Next(), StartsWith("STOPPING=1")) << Output();
    EXPECT_EQ(WaitForEnd(), 0);
  }
}

TEST_F(ServiceTest, AProxyWithoutAConfigYetIsReadyAndSaysWhatItWaitsFor) {
  Start({"remuda-proxy",
         "insecure = true\ncontroller = 127.0.0.1:1\nname = p1\nadmin = 127.0.0.1:0\n",
         "--settings"});
  EXPECT_THAT(manager_.NextOf("READY=1"), HasSubstr("waiting for the first config")) << Output();
}

TEST_F(ServiceTest, AProxySaysThatItReadsItsConfigAnew) {
  const Case proxy = Programs().back();
  Start(proxy, "");
  EXPECT_THAT(manager_.Next(), StartsWith("READY=1"));
  kill(pid_, SIGHUP);
  EXPECT_THAT(manager_.Next(), StartsWith("RELOADING=1"));
  EXPECT_THAT(manager_.Next(), HasSubstr("in force"));
  std::ofstream(root_ / "proxy.yaml") << "nonsense: 1\n";
  kill(pid_, SIGHUP);
  EXPECT_THAT(manager_.NextOf("RELOADING=1"), StartsWith("RELOADING=1"));
  EXPECT_THAT(manager_.Next(), HasSubstr("refused")) << "still ready, with what it had";
}

TEST_F(ServiceTest, OneThatCannotServeIsNeverReady) {
  std::ofstream(root_ / "data") << "a file";
  for (const Case& c : Programs()) {
    if (c.program == std::string("remuda-proxy")) continue;
    SCOPED_TRACE(c.program);
    Start(c, "");
    EXPECT_EQ(WaitForEnd(), 1) << Output();
    EXPECT_EQ(manager_.Next(std::chrono::milliseconds(0)), "");
  }
}

TEST_F(ServiceTest, ASettingThatIsNoneIsNamedWithItsLine) {
  for (Case c : Programs()) {
    SCOPED_TRACE(c.program);
    c.settings = "\nzoen = a\n";
    Start(c);
    EXPECT_EQ(WaitForEnd(), 2);
    EXPECT_THAT(Output(), HasSubstr("settings:2: there is no setting \"zoen\""));
  }
}

}  // namespace
}  // namespace remuda
