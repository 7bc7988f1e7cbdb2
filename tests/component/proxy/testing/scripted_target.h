// A target that does exactly what a script says with each connection, good or bad. Health checks
// ("GET /health") are answered by themselves, with a code that the test sets.
//
// Thread: each connection has its own; the script runs on that.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "tests/component/proxy/testing/raw_target.h"

namespace remuda::proxy::testing {

class ScriptedTarget {
 public:
  // Gets a request's head and its connection, to read a body from and to answer; false ends the
  // connection.
  using Script = std::function<bool(const std::string& head, RawSocket& connection)>;

  // With `tls`, which must outlive it, every connection begins with a handshake.
  explicit ScriptedTarget(Script script, SSL_CTX* tls = nullptr);

  uint16_t port() const { return target_.port(); }
  std::string endpoint() const { return "127.0.0.1:" + std::to_string(port()); }
  int requests() const { return requests_.load(); }
  int connections() const { return connections_.load(); }
  // Of TLS.
  int resumptions() const { return resumptions_.load(); }
  void SetHealth(int status) { health_.store(status); }
  // As a process that is killed: the port is closed, every connection is reset.
  void Kill() { target_.Kill(); }

  // Answers every request with 200 and `body`.
  static Script Answers(std::string body);
  // The same, once `may_answer`, which must outlive it, is true.
  static Script AnswersOnce(const std::atomic<bool>& may_answer, std::string body);
  // A script: answers with the head that it got.
  static bool EchoHead(const std::string& head, RawSocket& connection);
  // Answers none: waits until the connection is given up.
  static Script NeverAnswers();

 private:
  void Serve(RawSocket& connection);

  const Script script_;
  SSL_CTX* const tls_;
  std::atomic<int> requests_{0};
  std::atomic<int> connections_{0};
  std::atomic<int> resumptions_{0};
  std::atomic<int> health_{200};
  RawTarget target_;  // the last: its threads use the others
};

}  // namespace remuda::proxy::testing
