// A target of bytes: what a script says with each connection, from its first byte on. Health checks
// are connections that say nothing.
//
// Thread: one accepts, each connection has its own; the script runs on that.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/component/proxy/testing/raw_socket.h"

namespace remuda::proxy::testing {

class RawTarget {
 public:
  using Script = std::function<void(RawSocket& connection)>;

  explicit RawTarget(Script script);
  RawTarget(const RawTarget&) = delete;
  RawTarget& operator=(const RawTarget&) = delete;
  ~RawTarget() { Kill(); }

  uint16_t port() const { return port_; }
  bool is_listening() const { return !is_stopped_; }
  // New connections are refused; those that are open go on.
  void StopListening();
  // As a process that is killed: the port is closed, every connection is reset. Waits for the
  // scripts' end.
  void Kill();

 private:
  void Accept();
  void Serve(int fd);

  const Script script_;
  int listen_fd_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> is_stopped_{false};
  std::mutex mutex_;
  std::vector<int> open_;             // guarded by mutex_
  std::vector<std::thread> threads_;  // guarded by mutex_; joined when nothing accepts any more
  std::thread acceptor_;
};

// Sends back what comes until it ends; false, for nothing is left to say.
bool EchoAll(RawSocket& connection);

}  // namespace remuda::proxy::testing
