// A controller for tests of the real agent: speaks the agent stream and serves images; decides
// nothing.
//
// Public functions: the test's thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "remuda/agent/v1/agent.grpc.pb.h"
#include "remuda/v1/image.grpc.pb.h"

namespace remuda::agent {

class FakeController {
 public:
  // Serves on any port. The same object may be stopped and started again on its port.
  explicit FakeController(int64_t epoch = 1);
  ~FakeController();

  void Serve();
  void StopServing();
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  int port() const { return port_; }

  void Send(const v1::ConnectResponse& message);
  // Sends a whole assignment with the next sequence number; returns the number.
  int64_t Assign(const std::vector<v1::InstanceAssignment>& instances);
  // Sends a delta to what was assigned last.
  int64_t Change(const std::vector<v1::InstanceAssignment>& upserts,
                 const std::vector<std::string>& removed);

  // Waits until `done`, asked under the lock after each message, or the deadline.
  bool Wait(const std::function<bool()>& done,
            std::chrono::seconds deadline = std::chrono::seconds(20));
  bool WaitState(const std::string& instance, v1::ProcessState state) {
    return Wait([&] { return status[instance].state() == state; });
  }
  v1::InstanceStatus Status(const std::string& instance) {
    const std::lock_guard lock(mutex_);
    return status[instance];
  }

  // What the agent said; read them in Wait's condition, or after it while nothing comes.
  std::vector<v1::Hello> hellos;
  std::map<std::string, v1::InstanceStatus> status;  // the newest of each
  std::map<std::string, std::set<v1::ProcessState>> states_seen;
  std::map<std::string, std::vector<v1::InstanceStatus>> history;  // all of each, in order
  std::set<std::string> removed;
  int64_t acked = 0;
  std::set<int64_t> pongs;
  std::vector<v1::Nack> nacks;
  std::map<std::string, v1::InstanceUsage> usage;
  remuda::v1::HostCapacity host_usage;
  v1::UsageReport usage_report;  // the newest
  std::map<int64_t, std::string> logs;
  std::set<int64_t> logs_ended;
  std::map<int64_t, std::string> log_errors;
  std::map<int64_t, std::string> snapshots;
  std::vector<v1::AppCall> app_calls;

  // What the Welcome says of where the controllers are. Before the agent begins.
  std::vector<std::string> controllers;

  // Answers AppCalls, without their call_id; unset: they are not answered. Before the agent begins.
  std::function<v1::AppAnswer(const v1::AppCall&)> answer_app_call;

  // Begins the transfers that were held, and holds none any more.
  void ReleaseImages();

  // Images by digest. `break_after`: the next `breaks` transfers end with UNAVAILABLE after so many
  // bytes. `hold_images`: transfers begin with ReleaseImages.
  std::map<std::string, std::string> images;
  std::optional<size_t> break_after;
  int breaks = 1;
  bool hold_images = false;
  std::vector<int64_t> fetch_offsets;
  std::map<std::string, std::string> pushed;  // image id → bytes
  std::map<std::string, remuda::v1::ImageHeader> pushed_headers;

 private:
  class Stream;
  class AgentServer;
  class ImageServer;
  class ImageWriter;
  void Received(const v1::ConnectRequest& message, Stream* stream);
  void Ended(Stream* stream);

  const int64_t epoch_;
  int64_t sequence_ = 0;
  int port_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  Stream* stream_ = nullptr;        // guarded by mutex_
  std::vector<ImageWriter*> held_;  // guarded by mutex_
  std::unique_ptr<AgentServer> agent_server_;
  std::unique_ptr<ImageServer> image_server_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace remuda::agent
