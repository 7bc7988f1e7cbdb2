// The real remuda-agent and a fake controller that serves one image.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/component/agent/agent_harness.h"

namespace remuda::agent {

inline constexpr char kServe[] =
    "#!/bin/sh\n"
    "echo HOST=$HOST PORT=$PORT I=$REMUDA_INSTANCE G=$REMUDA_GROUP Z=$REMUDA_ZONE X=$X\n"
    "exec sleep 1000\n";

// Longer than the agent's own deadline of a launch.
inline constexpr std::chrono::seconds kPastLaunchDeadline{60};

// A listener on the agent's address, as a foreign process would have; port 0: any.
inline Fd ListenOn(int port, int* bound = nullptr) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, "127.0.1.9", &address.sin_addr);
  socklen_t length = sizeof address;
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  EXPECT_EQ(listen(fd.get(), 1), 0);
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length);
  if (bound != nullptr) *bound = ntohs(address.sin_port);
  return fd;
}

class AgentTest : public AgentHarness {
 protected:
  void SetUp() override {
    AgentHarness::SetUp();
    controller_.Serve();
    digest_ = AddImage(controller_, {{"serve.sh", kServe}});
  }
  void TearDown() override {
    AgentHarness::TearDown();
    controller_.StopServing();
  }
  void Begin(std::vector<std::string> more = {}) {
    StartAgent(controller_.address(), std::move(more));
    ASSERT_TRUE(controller_.Wait([&] { return !controller_.hellos.empty(); }));
  }
  v1::InstanceAssignment Serve(const std::string& id) { return Runs(id, digest_, {"./serve.sh"}); }
  v1::InstanceAssignment Shell(const std::string& id, const std::string& script) {
    return Runs(id, digest_, {"/bin/sh", "-c", script});
  }
  bool Running(const std::string& id) {
    return controller_.WaitState(id, v1::PROCESS_STATE_RUNNING);
  }
  bool Exited(const std::string& id) { return controller_.WaitState(id, v1::PROCESS_STATE_EXITED); }
  // Kills the shim of an instance that runs. The record of its run.
  std::optional<Record> KillShim(const std::string& id) const {
    const fs::path dir = data_ / "instances" / id;
    auto run = Record::ReadFrom((dir / "run").string());
    const auto running = Record::ReadFrom((dir / "running").string());
    if (!running) return std::nullopt;
    kill(static_cast<pid_t>(running->Number(key::kShimPid)), SIGKILL);
    return run;
  }

  // The whole log of an instance, through the stream.
  std::string Log(const std::string& id) {
    v1::ConnectResponse request;
    request.mutable_log()->set_stream_id(++stream_id_);
    request.mutable_log()->set_instance(id);
    request.mutable_log()->set_tail_lines(100'000);
    controller_.Send(request);
    EXPECT_TRUE(controller_.Wait([&] { return controller_.logs_ended.count(stream_id_) > 0; }));
    return controller_.logs[stream_id_];
  }

  FakeController controller_;
  std::string digest_;
  int64_t stream_id_ = 0;
};

}  // namespace remuda::agent
