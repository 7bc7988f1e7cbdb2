// SelfCall: calls the controller's own port now and then, over a new connection each time, so that
// /readyz tells what a caller would see: a listener that accepts, a loop that answers.
//
// Thread: its own, which blocks in the call.
#pragma once

#include <grpcpp/security/credentials.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "controller/engine/readiness.h"

namespace remuda {

class SelfCall {
 public:
  // `address` is what the server listens on ("ADDRESS:PORT"); a wildcard is called by its loopback
  // address, with `credentials`. `readiness` outlives it. Makes the first call before it returns.
  SelfCall(const std::string& address, std::shared_ptr<grpc::ChannelCredentials> credentials,
           Readiness& readiness);
  SelfCall(const SelfCall&) = delete;
  SelfCall& operator=(const SelfCall&) = delete;
  ~SelfCall();  // stops; waits for a call under way

 private:
  void Call();
  void Run();

  const std::string address_;
  const std::shared_ptr<grpc::ChannelCredentials> credentials_;
  Readiness& readiness_;
  std::string error_;  // of the newest call
  std::mutex mutex_;   // guards what follows
  std::condition_variable stopped_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace remuda
