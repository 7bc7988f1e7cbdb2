// The agent of one host: its instances, and what it says about them to the controller.
//
// Wires Instances, Session, logs, usage and snapshots together; lives on the event loop's thread.
#pragma once

#include <absl/status/status.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/app_api.h"
#include "agent/event_loop.h"
#include "agent/identity.h"
#include "agent/image_client.h"
#include "agent/instances.h"
#include "agent/log_streams.h"
#include "agent/session.h"
#include "agent/task_threads.h"
#include "agent/usage.h"
#include "common/admin_http.h"
#include "common/identity/controller_addresses.h"
#include "common/identity/controller_channel.h"
#include "common/identity/dial.h"
#include "common/identity/renewer.h"

namespace remuda::agent {

struct AgentOptions {
  std::string name;
  std::vector<std::string> controllers;  // HOST:PORT of each, as --controller has them
  identity::Dial dial;
  std::string data_directory;
  std::string address;
  std::string zone;
  std::map<std::string, std::string> labels;
  std::string version;
  std::string program = "/proc/self/exe";
  bool stop_instances_on_exit = false;
  UserRange users = {};
  bool allow_root_apps = false;
  std::vector<std::string> readable = {};  // directories that apps may read beside the system's
  ImageKeys image_keys = {};               // not empty: images must be signed by one of them
  std::string nft = {};  // the program; empty: it is looked for; "none": nothing is filtered
};

class Agent {
 public:
  Agent(EventLoop& loop, AgentOptions options);
  ~Agent();

  // Takes up what the data directory holds and begins to dial. The error says why this host cannot
  // be run.
  absl::Status Start();
  // Ends the session, and the instances too if the options say so; then `done`.
  void Stop(std::function<void()> done);
  // SIGCHLD came.
  void ReapChildren() { instances_.supervisor().ReapStrays(); }

  // /healthz, /readyz, /metrics and what apps ask for; before the server starts, which must end
  // before this does. They read only what is made for other threads to read.
  void AddPages(AdminHttp& http);
  // The port that the HTTP server of an earlier agent had, whose apps may know it; 0: not known.
  uint16_t LastHttpPort() const;
  // Tells apps where the server is, and a later agent. Before the loop runs.
  void UseHttp(const std::string& address, uint16_t port);

 private:
  v1::Hello MakeHello();
  bool OnWelcome(const v1::Welcome& welcome);
  void OnMessage(const v1::ConnectResponse& message);
  void OnDown();
  void OnUpdate(const v1::AssignmentUpdate& update);
  void OnSnapshot(const v1::SnapshotRequest& request);
  void ReportStatus(const v1::InstanceStatus& status);
  void ReportUsage();
  // Locks the data directory and reads whose it is. The error says why it cannot be used.
  absl::Status OpenDirectory();
  // Whether it is on disk.
  bool SaveIdentity();
  std::string HttpPortPath() const { return options_.data_directory + "/http-port"; }

  // What /metrics shows; written by the loop, read by the admin server's thread.
  struct Counters {
    std::atomic<int64_t> sessions{0}, session_up{0}, instances{0}, running{0}, exits{0}, updates{0},
        refusals{0};
  };

  EventLoop& loop_;
  const AgentOptions options_;
  const uint64_t seed_;
  Fd lock_;
  identity::ControllerAddresses controllers_;
  identity::ControllerChannel channel_;
  ImageClient images_;
  // Destroyed first: their tasks use the rest.
  std::unique_ptr<TaskThreads> transfers_;  // over the network: fetches, pushes
  std::unique_ptr<TaskThreads> files_;      // on this disk
  Instances instances_;
  Session session_;
  LogStreams logs_;
  AppApi app_api_;
  std::unique_ptr<identity::Renewer> renewer_;  // null without an identity
  UsageMeter meter_;
  const std::string incarnation_;  // of this process
  Identity identity_;
  std::chrono::milliseconds usage_interval_{5000};
  EventLoop::TimerId usage_timer_ = 0;
  std::shared_ptr<Counters> counters_ = std::make_shared<Counters>();
};

}  // namespace remuda::agent
