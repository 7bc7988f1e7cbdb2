// Runs the real remuda-agent for a test, in a directory of its own, and leaves nothing behind: the
// agent, its shims and every process of their trees are ended in TearDown, also when the test
// failed.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "agent/instance_dir.h"
#include "agent/process.h"
#include "agent/record_file.h"
#include "agent/supervisor.h"
#include "common/archive.h"
#include "common/sha256.h"
#include "tests/component/agent/fake_controller.h"
#include "tests/wait.h"

namespace remuda::agent {

namespace fs = std::filesystem;

class AgentHarness : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "remuda-agent-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    chmod(root_.c_str(), 0755);
    data_ = root_ / "data";
  }

  void TearDown() override {
    if (agent_ > 0) KillAgent();
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(data_ / "instances", error)) {
      const InstanceDir dir{entry.path().string()};
      const auto run = Record::ReadFrom(dir.Run());
      if (!run) continue;
      if (const auto running = Record::ReadFrom(dir.Running())) {
        const ProcessName shim{static_cast<pid_t>(running->Number(key::kShimPid)),
                               static_cast<uint64_t>(running->Number(key::kShimStart)),
                               running->Text(key::kBootId)};
        if (const Fd fd = OpenProcess(shim); fd.valid()) SendSignal(fd, SIGKILL);
      }
      EXPECT_TRUE(WaitUntil([&] {
        bool any = false;
        for (const ProcessStat& p : ProcessesOfRun(run->Text(key::kRunId))) {
          if (p.state == 'Z') continue;
          SendSignal(p, SIGKILL);
          any = true;
        }
        return !any;
      })) << entry.path();
      for (const std::string& cgroup : run->All(key::kCgroup)) rmdir(cgroup.c_str());
    }
    fs::remove_all(root_, error);
  }

  void StartAgent(const std::string& controller, std::vector<std::string> more = {}) {
    std::vector<std::string> args = {"remuda-agent", "--controller", controller,    "--zone", "z1",
                                     "--label",      "disk=ssd",     "--log-level", "warn"};
    for (const auto& [flag, value] : {std::pair<std::string, std::string>{"--name", "h1"},
                                      {"--data-dir", data_.string()},
                                      {"--address", "127.0.1.9"},
                                      {"--admin", ""}}) {
      if (std::find(more.begin(), more.end(), flag) == more.end())
        args.insert(args.end(), {flag, value});
    }
    if (std::find(more.begin(), more.end(), "--identity-dir") == more.end())
      args.emplace_back("--insecure");
    args.insert(args.end(), more.begin(), more.end());
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    // Its own group; and it dies with this test, should the test crash.
    agent_ = fork();
    ASSERT_GE(agent_, 0);
    if (agent_ > 0) return;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execv(program_.c_str(), argv.data());
    _exit(127);
  }

  // As by `kill -9`, or a crash.
  void KillAgent() {
    kill(agent_, SIGKILL);
    waitpid(std::exchange(agent_, -1), nullptr, 0);
  }

  // SIGTERM; the exit code, or -1 if it does not end in time.
  int EndAgent() {
    kill(agent_, SIGTERM);
    int status = 0;
    const bool ended = WaitUntil([&] { return waitpid(agent_, &status, WNOHANG) == agent_; });
    if (!ended) return -1;
    agent_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  // Puts these bytes into the fake controller as an image; returns their digest.
  static std::string AddArchive(FakeController& controller, const std::string& bytes) {
    const std::string digest = "sha256:" + Sha256Hex(bytes);
    controller.images[digest] = bytes;
    return digest;
  }

  // Puts an image with these files into the fake controller; returns its digest.
  std::string AddImage(FakeController& controller,
                       const std::vector<std::pair<std::string, std::string>>& files) {
    const fs::path dir = root_ / ("image-" + std::to_string(++images_));
    fs::create_directories(dir);
    for (const auto& [name, content] : files) {
      std::ofstream(dir / name) << content;
      fs::permissions(dir / name, fs::perms(0755));
    }
    const std::string archive = dir.string() + ".tar.zst";
    const auto packed = PackDirectory(dir, archive);
    EXPECT_TRUE(packed.ok()) << packed.status();
    const std::string digest = "sha256:" + packed->sha256;
    controller.images[digest] = *ReadWholeFile(archive);
    return digest;
  }

  static v1::InstanceAssignment Runs(const std::string& id, const std::string& digest,
                                     const std::vector<std::string>& command) {
    v1::InstanceAssignment assignment;
    assignment.set_instance(id);
    assignment.set_auto_scaling_group("blue");
    assignment.set_desired(v1::DESIRED_STATE_RUNNING);
    auto* t = assignment.mutable_launch_template();
    t->set_image_digest(digest);
    for (const std::string& word : command) t->add_command(word);
    t->mutable_stop_grace()->set_seconds(5);
    return assignment;
  }
  static v1::InstanceAssignment Stops(v1::InstanceAssignment assignment) {
    assignment.set_desired(v1::DESIRED_STATE_STOPPED);
    return assignment;
  }

  fs::path root_, data_;
  std::string program_ = REMUDA_BIN_DIR "/remuda-agent";
  pid_t agent_ = -1;
  int images_ = 0;
};

}  // namespace remuda::agent
