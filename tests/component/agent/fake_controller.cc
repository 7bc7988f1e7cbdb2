#include "tests/component/agent/fake_controller.h"

#include <algorithm>
#include <utility>

#include "common/grpc_channel.h"

namespace remuda::agent {

// One session. Deletes itself when gRPC is done with it.
class FakeController::Stream
    : public grpc::ServerBidiReactor<v1::ConnectRequest, v1::ConnectResponse> {
 public:
  explicit Stream(FakeController& owner) : owner_(owner) { StartRead(&incoming_); }

  void Send(v1::ConnectResponse message) {
    const std::lock_guard lock(mutex_);
    outgoing_.push_back(std::move(message));
    if (!writing_ && !finished_) Next();
  }
  void End() {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(finished_, true))
      Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "stopped"));
  }
  void OnReadDone(bool ok) override {
    if (!ok) {
      End();
      return;
    }
    owner_.Received(incoming_, this);
    StartRead(&incoming_);
  }
  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    outgoing_.pop_front();
    if (ok && !finished_ && !outgoing_.empty()) Next();
  }
  void OnCancel() override { End(); }
  void OnDone() override {
    owner_.Ended(this);
    delete this;
  }

 private:
  void Next() {
    writing_ = true;
    StartWrite(&outgoing_.front());
  }
  FakeController& owner_;
  v1::ConnectRequest incoming_;
  std::mutex mutex_;
  std::deque<v1::ConnectResponse> outgoing_;
  bool writing_ = false;
  bool finished_ = false;
};

class FakeController::AgentServer : public v1::AgentService::CallbackService {
 public:
  explicit AgentServer(FakeController& owner) : owner_(owner) {}
  grpc::ServerBidiReactor<v1::ConnectRequest, v1::ConnectResponse>* Connect(
      grpc::CallbackServerContext*) override {
    return new Stream(owner_);
  }

 private:
  FakeController& owner_;
};

// One transfer. Deletes itself when gRPC is done with it.
class FakeController::ImageWriter
    : public grpc::ServerWriteReactor<remuda::v1::FetchImageResponse> {
 public:
  ImageWriter(std::string bytes, grpc::Status end)
      : bytes_(std::move(bytes)), end_(std::move(end)) {}
  void Next() {
    if (at_ >= bytes_.size()) {
      Finish(end_);
      return;
    }
    message_.set_chunk(bytes_.substr(at_, 1000));
    at_ += 1000;
    StartWrite(&message_);
  }
  void OnWriteDone(bool ok) override { ok ? Next() : Finish(grpc::Status::CANCELLED); }
  void OnDone() override { delete this; }

 private:
  const std::string bytes_;
  const grpc::Status end_;
  size_t at_ = 0;
  remuda::v1::FetchImageResponse message_;
};

class FakeController::ImageServer : public remuda::v1::ImageService::CallbackService {
 public:
  explicit ImageServer(FakeController& owner) : owner_(owner) {}

  grpc::ServerWriteReactor<remuda::v1::FetchImageResponse>* FetchImage(
      grpc::CallbackServerContext*, const remuda::v1::FetchImageRequest* request) override {
    const std::lock_guard lock(owner_.mutex_);
    owner_.fetch_offsets.push_back(request->offset());
    owner_.changed_.notify_all();
    const auto it = owner_.images.find(request->digest());
    std::string bytes;
    grpc::Status end;
    if (it == owner_.images.end()) {
      end = {grpc::StatusCode::NOT_FOUND, "no such image"};
    } else {
      bytes = it->second.substr(static_cast<size_t>(request->offset()));
      if (owner_.break_after && owner_.breaks > 0) {
        --owner_.breaks;
        bytes.resize(std::min(bytes.size(), *owner_.break_after));
        end = {grpc::StatusCode::UNAVAILABLE, "broken off"};
      }
    }
    auto* writer = new ImageWriter(std::move(bytes), std::move(end));
    if (owner_.hold_images) {
      owner_.held_.push_back(writer);
    } else {
      writer->Next();
    }
    return writer;
  }

  grpc::ServerReadReactor<remuda::v1::PushImageRequest>* PushImage(
      grpc::CallbackServerContext*, remuda::v1::Image* image) override {
    class Reader : public grpc::ServerReadReactor<remuda::v1::PushImageRequest> {
     public:
      Reader(FakeController& owner, remuda::v1::Image* image) : owner_(owner), image_(image) {
        StartRead(&message_);
      }
      void OnReadDone(bool ok) override {
        const std::lock_guard lock(owner_.mutex_);
        if (!ok) {
          owner_.pushed[header_.image_id()] = bytes_;
          owner_.pushed_headers[header_.image_id()] = header_;
          image_->set_name("images/" + header_.image_id());
          Finish(grpc::Status::OK);
          return;
        }
        if (message_.has_header()) header_ = message_.header();
        bytes_ += message_.chunk();
        StartRead(&message_);
      }
      void OnDone() override { delete this; }

     private:
      FakeController& owner_;
      remuda::v1::Image* image_;
      remuda::v1::PushImageRequest message_;
      remuda::v1::ImageHeader header_;
      std::string bytes_;
    };
    return new Reader(owner_, image);
  }

 private:
  FakeController& owner_;
};

FakeController::FakeController(int64_t epoch) : epoch_(epoch) {}

FakeController::~FakeController() { StopServing(); }

void FakeController::Serve() {
  agent_server_ = std::make_unique<AgentServer>(*this);
  image_server_ = std::make_unique<ImageServer>(*this);
  grpc::ServerBuilder builder;
  AllowKeepalive(builder);
  builder.AddListeningPort(address(), grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(agent_server_.get());
  builder.RegisterService(image_server_.get());
  server_ = builder.BuildAndStart();
}

void FakeController::ReleaseImages() {
  const std::lock_guard lock(mutex_);
  hold_images = false;
  for (ImageWriter* writer : std::exchange(held_, {})) writer->Next();
}

void FakeController::StopServing() {
  if (!server_) return;
  ReleaseImages();
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  server_.reset();
}

void FakeController::Received(const v1::ConnectRequest& message, Stream* stream) {
  const std::lock_guard lock(mutex_);
  if (message.has_hello()) {
    stream_ = stream;
    hellos.push_back(message.hello());
    for (const auto& s : message.hello().instances()) {
      status[s.instance()] = s;
      history[s.instance()].push_back(s);
    }
    v1::ConnectResponse welcome;
    welcome.mutable_welcome()->set_epoch(epoch_);
    welcome.mutable_welcome()->set_cluster_id("c1");
    welcome.mutable_welcome()->mutable_usage_interval()->set_nanos(200'000'000);
    for (const std::string& address : controllers)
      welcome.mutable_welcome()->mutable_controllers()->add_addresses(address);
    stream->Send(welcome);
  }
  for (const auto& s : message.report().instances()) {
    status[s.instance()] = s;
    states_seen[s.instance()].insert(s.state());
    history[s.instance()].push_back(s);
  }
  for (const auto& id : message.report().removed()) removed.insert(id);
  if (message.has_ack()) acked = message.ack().revision().sequence();
  if (message.has_pong()) pongs.insert(message.pong().ping_id());
  if (message.has_nack()) nacks.push_back(message.nack());
  for (const auto& u : message.usage().instances()) usage[u.instance()] = u;
  if (message.has_usage()) {
    usage_report = message.usage();
    host_usage = message.usage().host();
  }
  if (message.has_log()) {
    logs[message.log().stream_id()] += message.log().data();
    if (message.log().end()) logs_ended.insert(message.log().stream_id());
    if (!message.log().error().empty())
      log_errors[message.log().stream_id()] = message.log().error();
  }
  if (message.has_app_call()) {
    app_calls.push_back(message.app_call());
    if (answer_app_call) {
      v1::ConnectResponse answer;
      *answer.mutable_app_answer() = answer_app_call(message.app_call());
      answer.mutable_app_answer()->set_call_id(message.app_call().call_id());
      stream->Send(answer);
    }
  }
  if (message.has_snapshot())
    snapshots[message.snapshot().snapshot_id()] = message.snapshot().error();
  changed_.notify_all();
}

void FakeController::Ended(Stream* stream) {
  const std::lock_guard lock(mutex_);
  if (stream_ == stream) stream_ = nullptr;
  changed_.notify_all();
}

void FakeController::Send(const v1::ConnectResponse& message) {
  const std::lock_guard lock(mutex_);
  if (stream_ != nullptr) stream_->Send(message);
}

int64_t FakeController::Assign(const std::vector<v1::InstanceAssignment>& instances) {
  v1::ConnectResponse message;
  message.mutable_update()->mutable_revision()->set_epoch(epoch_);
  message.mutable_update()->mutable_revision()->set_sequence(++sequence_);
  for (const auto& instance : instances) *message.mutable_update()->add_upserts() = instance;
  Send(message);
  return sequence_;
}

int64_t FakeController::Change(const std::vector<v1::InstanceAssignment>& upserts,
                               const std::vector<std::string>& gone) {
  v1::ConnectResponse message;
  message.mutable_update()->mutable_base()->set_epoch(epoch_);
  message.mutable_update()->mutable_base()->set_sequence(sequence_);
  message.mutable_update()->mutable_revision()->set_epoch(epoch_);
  message.mutable_update()->mutable_revision()->set_sequence(++sequence_);
  for (const auto& instance : upserts) *message.mutable_update()->add_upserts() = instance;
  for (const auto& id : gone) message.mutable_update()->add_removed(id);
  Send(message);
  return sequence_;
}

bool FakeController::Wait(const std::function<bool()>& done, std::chrono::seconds deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, deadline, done);
}

}  // namespace remuda::agent
