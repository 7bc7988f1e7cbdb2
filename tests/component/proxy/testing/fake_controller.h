// A controller that says what the test says: one ProxyService on a port of its own, with every
// message from the proxy kept.
#pragma once

#include <grpcpp/server.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "remuda/proxy/v1/proxy.grpc.pb.h"

namespace remuda::proxy::testing {

class FakeController final : public v1::ProxyService::CallbackService {
 public:
  // Port 0: any. `lease`: of each proxy, renewed by its reports (every 200 ms).
  explicit FakeController(int64_t epoch, int port = 0,
                          std::chrono::milliseconds lease = std::chrono::seconds(15));
  ~FakeController() override;

  int port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  // Whether reports are answered.
  void set_renews(bool renews) { renews_ = renews; }

  // Where the controllers are, as later welcomes say.
  void set_controllers(const std::vector<std::string>& addresses);
  // The same to the present session.
  void SendControllers(const std::vector<std::string>& addresses);

  // The same before the welcome of later sessions, where it does not count.
  void set_controllers_before_welcome(const std::vector<std::string>& addresses);

  // Waits for a session and its hello, and sends it what it shall serve first.
  void Begin(v1::ConfigUpdate first);

  // To the present session.
  void Send(v1::ConfigUpdate update);
  void SendPing(int64_t ping_id);
  void SendTicketKeys(const std::vector<std::string>& keys);
  // Waits for a message from the proxy, of any session and not taken yet, that `wanted` accepts;
  // takes it and what came before it. An empty message after the deadline.
  v1::ConnectRequest Expect(const std::function<bool(const v1::ConnectRequest&)>& wanted);
  v1::Ack ExpectAck(int64_t sequence);
  v1::Nack ExpectNack();
  // True once the proxy said that the target is healthy, also in a message that was taken already.
  bool ExpectHealthy(const std::string& target);

  grpc::ServerBidiReactor<v1::ConnectRequest, v1::ConnectResponse>* Connect(
      grpc::CallbackServerContext* context) override;

 private:
  class Session;
  friend class Session;

  const int64_t epoch_;
  const std::chrono::milliseconds lease_;
  std::atomic<bool> renews_{true};
  std::vector<std::string> controllers_;     // guarded by mutex_
  std::vector<std::string> before_welcome_;  // guarded by mutex_
  int port_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<v1::ConnectRequest> received_;  // guarded by mutex_
  std::map<std::string, bool> healthy_;      // as of what was taken; guarded by mutex_
  Session* session_ = nullptr;               // guarded by mutex_
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace remuda::proxy::testing
