// FakeAgent and FakeProxy: scripted receivers on the other end of the controller's streams.
//
// Each keeps what it was sent, applied; acknowledges by itself unless told otherwise; and lets the
// test say what it reports. Thread: safe; a reader thread takes what comes.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "remuda/agent/v1/agent.grpc.pb.h"
#include "remuda/proxy/v1/proxy.grpc.pb.h"

namespace remuda {

inline constexpr auto kPatience = std::chrono::seconds(30);

// One stream: what comes goes to OnMessage of the owner, with the stream to answer on. (The owner's
// own pointer to it is not set yet when the first message comes, and not any more when the last
// does.)
template <class Service, class Request, class Response>
class FakeStream {
 public:
  FakeStream(std::shared_ptr<grpc::Channel> channel, const Request& hello,
             std::function<void(const Response&, FakeStream&)> on_message)
      : stub_(Service::NewStub(std::move(channel))),
        stream_(stub_->Connect(&context_)),
        on_message_(std::move(on_message)) {
    stream_->Write(hello);
    reader_ = std::thread([this] {
      Response message;
      while (stream_->Read(&message)) on_message_(message, *this);
      const grpc::Status status = stream_->Finish();
      const std::lock_guard lock(mutex_);
      status_ = status;
      ended_.notify_all();
    });
  }
  ~FakeStream() {
    context_.TryCancel();
    reader_.join();
  }
  void Write(const Request& message) {
    const std::lock_guard lock(write_mutex_);
    stream_->Write(message);
  }
  // How the stream ended; waits for that.
  std::optional<grpc::Status> WaitForEnd() {
    std::unique_lock lock(mutex_);
    ended_.wait_for(lock, kPatience, [this] { return status_.has_value(); });
    return status_;
  }
  // How it ended, if it has.
  std::optional<grpc::Status> end() {
    const std::lock_guard lock(mutex_);
    return status_;
  }
  // Nothing more will be written.
  void WritesDone() {
    const std::lock_guard lock(write_mutex_);
    stream_->WritesDone();
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<typename Service::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<Request, Response>> stream_;
  std::function<void(const Response&, FakeStream&)> on_message_;
  std::mutex write_mutex_;
  std::mutex mutex_;  // guards status_
  std::condition_variable ended_;
  std::optional<grpc::Status> status_;
  std::thread reader_;
};

class FakeProxy {
 public:
  using Stream =
      FakeStream<proxy::v1::ProxyService, proxy::v1::ConnectRequest, proxy::v1::ConnectResponse>;
  enum class Answer { kAck, kNack, kNothing };

  explicit FakeProxy(std::string name) { hello_.set_proxy(std::move(name)); }

  // Dials; an earlier session of this object is dropped.
  void Connect(std::shared_ptr<grpc::Channel> channel);
  void Disconnect() { stream_.reset(); }
  Stream& stream() { return *stream_; }
  proxy::v1::Hello& hello() { return hello_; }

  void set_answer(Answer answer);
  // What it says when it is pinged. Default: that it is there.
  enum class Pong { kHere, kLeaving, kNothing };
  void set_pong(Pong pong);
  // Says that all targets are healthy after each update. Default: yes.
  void set_healthy(bool healthy);
  void Send(const proxy::v1::ConnectRequest& message) { stream_->Write(message); }

  // Waits until `condition` holds for what it has; false after kPatience.
  struct Had {
    std::map<std::string, proxy::v1::Target> targets;  // by GROUP/TARGET
    std::map<std::string, v1::LoadBalancer> load_balancers;
    std::vector<proxy::v1::ConfigUpdate> updates;
    std::optional<proxy::v1::Welcome> welcome;
    std::optional<proxy::v1::TicketKeys> ticket_keys;
    v1::Revision revision;
    std::string digest;         // of that revision
    int64_t lease_renewal = 0;  // the report that the newest answers
    int pings = 0;
  };
  bool WaitFor(const std::function<bool(const Had&)>& condition);
  Had had();

 private:
  void OnMessage(const proxy::v1::ConnectResponse& message, Stream& stream);
  void Apply(const proxy::v1::ConfigUpdate& update);

  proxy::v1::Hello hello_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  Had had_;
  Answer answer_ = Answer::kAck;
  Pong pong_ = Pong::kHere;
  bool healthy_ = true;
  std::unique_ptr<Stream> stream_;  // last: its thread uses the others
};

class FakeAgent {
 public:
  using Stream =
      FakeStream<agent::v1::AgentService, agent::v1::ConnectRequest, agent::v1::ConnectResponse>;

  FakeAgent(std::string name, std::string address) {
    hello_.set_host(std::move(name));
    hello_.set_address(std::move(address));
    hello_.set_zone("a");
    hello_.mutable_capacity()->set_cpu_millis(4000);
    hello_.mutable_capacity()->set_memory_bytes(int64_t{8} << 30);
  }

  // Before Connect: nothing that it shall run comes beyond the fetching of its image.
  bool is_slow = false;

  void Connect(std::shared_ptr<grpc::Channel> channel);
  void Disconnect() { stream_.reset(); }
  Stream& stream() { return *stream_; }
  agent::v1::Hello& hello() { return hello_; }
  void Send(const agent::v1::ConnectRequest& message) { stream_->Write(message); }

  // The process ended by a signal, as the agent would say.
  void Kill(const std::string& instance, int signal);

  struct Had {
    std::map<std::string, agent::v1::InstanceAssignment> assigned;
    std::map<std::string, agent::v1::InstanceStatus> running;  // what it reports: it obeys at once
    std::vector<agent::v1::ConnectResponse> requests;          // logs and snapshots
    std::optional<agent::v1::Welcome> welcome;
    v1::Revision revision;
    std::string digest;  // of that revision
    int updates = 0;
    int whole_updates = 0;
    int pings = 0;  // each is answered
  };
  bool WaitFor(const std::function<bool(const Had&)>& condition);
  Had had();

 private:
  void OnMessage(const agent::v1::ConnectResponse& message, Stream& stream);
  void Apply(const agent::v1::AssignmentUpdate& update, agent::v1::InstanceReport& report);

  agent::v1::Hello hello_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  Had had_;
  int next_port_ = 20'000;
  std::unique_ptr<Stream> stream_;  // last: its thread uses the others
};

}  // namespace remuda
