// AgentPlayer: does at once what an agent would: says that what is assigned runs, and that what
// shall end has ended. Thread: any.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "remuda/agent/v1/agent.pb.h"
#include "tests/bench/control/link.h"
#include "tests/bench/control/tally.h"

namespace remuda::bench {

class AgentPlayer final : public LinkHandler {
 public:
  struct Options {
    std::string name;
    std::string address;
    std::string zone;
  };
  AgentPlayer(Options options, Tally& tally) : options_(std::move(options)), tally_(tally) {}

  using Dial = std::function<std::unique_ptr<Link>(LinkHandler&)>;
  // A session, with all that runs in its hello.
  void Connect(const Dial& dial);
  // Ends the session. Its processes run on.
  void Disconnect();
  // Ends the session, and all that runs is gone with it.
  void Vanish();

  // What is said every few seconds.
  void ReportUsage();
  struct Running {
    std::string instance;
    std::string group;
    int port = 0;
  };
  // One of its instances; nullopt: none runs.
  std::optional<Running> AnyRunning();
  // Ends an instance's process as a signal does, and says so.
  void Kill(const std::string& instance);

  void OnMessage(Link& link, const Frame& message) override;
  void OnEnd(const std::string& why) override;

 private:
  void Send(Link& link, const agent::v1::ConnectRequest& message);
  void Take(Link& link, const agent::v1::AssignmentUpdate& update);
  static agent::v1::InstanceStatus StatusOf(const Running& running);

  const Options options_;
  Tally& tally_;
  std::mutex mutex_;  // guards what follows
  std::map<std::string, Running> running_;
  int next_port_ = 20'000;
  v1::Revision held_;
  std::string digest_;  // of that
  std::unique_ptr<Link> link_;
};

}  // namespace remuda::bench
