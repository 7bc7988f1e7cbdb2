#include "tests/component/proxy/testing/fake_controller.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include "common/grpc_channel.h"
#include "tests/component/proxy/testing/raw_socket.h"

namespace remuda::proxy::testing {

class FakeController::Session final
    : public grpc::ServerBidiReactor<v1::ConnectRequest, v1::ConnectResponse> {
 public:
  explicit Session(FakeController& controller) : controller_(controller) {
    StartRead(&incoming_);
    v1::ConnectResponse welcome, before;
    welcome.mutable_welcome()->set_epoch(controller.epoch_);
    welcome.mutable_welcome()->set_cluster_id("test-cluster");
    welcome.mutable_welcome()->mutable_stats_interval()->set_nanos(200000000);
    auto& lease = *welcome.mutable_welcome()->mutable_lease();
    lease.set_seconds(controller.lease_.count() / 1000);
    lease.set_nanos(static_cast<int32_t>(controller.lease_.count() % 1000 * 1000000));
    {
      std::lock_guard lock(controller.mutex_);
      for (const std::string& address : controller.controllers_)
        welcome.mutable_welcome()->mutable_controllers()->add_addresses(address);
      for (const std::string& address : controller.before_welcome_)
        before.mutable_controllers()->add_addresses(address);
    }
    if (before.has_controllers()) Send(std::move(before));
    Send(std::move(welcome));
  }

  // Under the controller's lock or before the session is known.
  void Send(v1::ConnectResponse message) {
    std::lock_guard lock(mutex_);
    outgoing_.push_back(std::move(message));
    if (outgoing_.size() == 1) StartWrite(&outgoing_.front());
  }

  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    if (incoming_.has_stats()) {
      v1::ConnectResponse renewal;
      renewal.mutable_lease()->set_stats_report(++reports_);
      if (controller_.renews_) Send(std::move(renewal));
    }
    {
      std::lock_guard lock(controller_.mutex_);
      controller_.received_.push_back(incoming_);
    }
    controller_.changed_.notify_all();
    StartRead(&incoming_);
  }
  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    outgoing_.pop_front();
    if (ok && !outgoing_.empty()) StartWrite(&outgoing_.front());
  }
  void OnDone() override {
    {
      std::lock_guard lock(controller_.mutex_);
      if (controller_.session_ == this) controller_.session_ = nullptr;
    }
    delete this;
  }

 private:
  FakeController& controller_;
  v1::ConnectRequest incoming_;
  int64_t reports_ = 0;
  std::mutex mutex_;
  std::deque<v1::ConnectResponse> outgoing_;  // guarded by mutex_
};

FakeController::FakeController(int64_t epoch, int port, std::chrono::milliseconds lease)
    : epoch_(epoch), lease_(lease) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(),
                           &port_);
  AllowKeepalive(builder);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
}

FakeController::~FakeController() {
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
}

grpc::ServerBidiReactor<v1::ConnectRequest, v1::ConnectResponse>* FakeController::Connect(
    grpc::CallbackServerContext* /*context*/) {
  auto* session = new Session(*this);
  std::lock_guard lock(mutex_);
  session_ = session;
  return session;
}

void FakeController::set_controllers(const std::vector<std::string>& addresses) {
  std::lock_guard lock(mutex_);
  controllers_ = addresses;
}

void FakeController::set_controllers_before_welcome(const std::vector<std::string>& addresses) {
  std::lock_guard lock(mutex_);
  before_welcome_ = addresses;
}

void FakeController::SendControllers(const std::vector<std::string>& addresses) {
  v1::ConnectResponse message;
  message.mutable_controllers()->mutable_addresses()->Assign(addresses.begin(), addresses.end());
  std::lock_guard lock(mutex_);
  if (session_ != nullptr) session_->Send(std::move(message));
}

void FakeController::Begin(v1::ConfigUpdate first) {
  Expect([](const v1::ConnectRequest& message) { return message.has_hello(); });
  Send(std::move(first));
}

void FakeController::Send(v1::ConfigUpdate update) {
  v1::ConnectResponse message;
  *message.mutable_update() = std::move(update);
  std::lock_guard lock(mutex_);
  if (session_ != nullptr) session_->Send(std::move(message));
}

void FakeController::SendPing(int64_t ping_id) {
  v1::ConnectResponse message;
  message.mutable_ping()->set_ping_id(ping_id);
  std::lock_guard lock(mutex_);
  if (session_ != nullptr) session_->Send(std::move(message));
}

void FakeController::SendTicketKeys(const std::vector<std::string>& keys) {
  v1::ConnectResponse message;
  for (const std::string& key : keys) message.mutable_ticket_keys()->add_keys(key);
  std::lock_guard lock(mutex_);
  if (session_ != nullptr) session_->Send(std::move(message));
}

v1::ConnectRequest FakeController::Expect(
    const std::function<bool(const v1::ConnectRequest&)>& wanted) {
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  std::unique_lock lock(mutex_);
  while (true) {
    while (!received_.empty()) {
      const v1::ConnectRequest message = std::move(received_.front());
      received_.pop_front();
      for (const auto& health : message.health().targets())
        healthy_[health.target()] = health.state() == remuda::v1::TARGET_STATE_HEALTHY;
      if (wanted(message)) return message;
    }
    if (changed_.wait_until(lock, deadline) == std::cv_status::timeout) return {};
  }
}

v1::Ack FakeController::ExpectAck(int64_t sequence) {
  return Expect([&](const v1::ConnectRequest& m) {
           return m.has_ack() && m.ack().revision().sequence() == sequence;
         })
      .ack();
}

v1::Nack FakeController::ExpectNack() {
  return Expect([](const v1::ConnectRequest& m) { return m.has_nack(); }).nack();
}

bool FakeController::ExpectHealthy(const std::string& target) {
  {
    std::lock_guard lock(mutex_);
    // A report may have come before what was waited for last.
    if (const auto it = healthy_.find(target); it != healthy_.end() && it->second) return true;
  }
  return Expect([&](const v1::ConnectRequest& m) {
           for (const auto& health : m.health().targets()) {
             if (health.target() == target && health.state() == remuda::v1::TARGET_STATE_HEALTHY)
               return true;
           }
           return false;
         })
      .has_health();
}

}  // namespace remuda::proxy::testing
