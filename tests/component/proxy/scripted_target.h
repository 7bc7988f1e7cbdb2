// A target that does exactly what a script says with each connection, good or bad. Health checks
// ("GET /health") are answered by themselves, with a code that the test sets.
//
// Thread: one accepts, each connection has its own; the script runs on that.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/component/proxy/raw_socket.h"

namespace remuda::proxy::testing {

class ScriptedTarget {
 public:
  // Gets a request's head and its connection, to read a body from and to answer; false ends the
  // connection.
  using Script = std::function<bool(const std::string& head, RawSocket& connection)>;

  // With `tls`, which must outlive it, every connection begins with a handshake.
  explicit ScriptedTarget(Script script, SSL_CTX* tls = nullptr);
  ~ScriptedTarget();  // stops listening, ends every connection

  uint16_t port() const { return port_; }
  std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }
  int requests() const { return requests_.load(); }
  int connections() const { return connections_.load(); }
  // Of TLS.
  int resumptions() const { return resumptions_.load(); }
  void SetHealth(int status) { health_.store(status); }
  // As a process that is killed: the port is closed, every connection is reset.
  void Kill();

  // Answers every request with 200 and `body`.
  static Script Answers(std::string body);

 private:
  void Accept();
  void Serve(int fd);

  const Script script_;
  SSL_CTX* const tls_;
  int listen_fd_ = -1;
  uint16_t port_ = 0;
  std::atomic<int> requests_{0};
  std::atomic<int> connections_{0};
  std::atomic<int> resumptions_{0};
  std::atomic<int> health_{200};
  std::atomic<bool> is_stopped_{false};
  std::mutex mutex_;
  std::vector<std::thread> threads_;  // guarded by mutex_
  std::vector<int> open_;             // guarded by mutex_
  std::thread acceptor_;
};

}  // namespace remuda::proxy::testing
