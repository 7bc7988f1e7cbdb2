#include "tests/component/proxy/testing/scripted_target.h"

#include <utility>

#include "tests/wait.h"

namespace remuda::proxy::testing {

ScriptedTarget::Script ScriptedTarget::Answers(std::string body) {
  return [body = std::move(body)](const std::string& head, RawSocket& connection) {
    const bool is_head = head.rfind("HEAD ", 0) == 0;
    return connection.Send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
                           "\r\n\r\n" + (is_head ? "" : body));
  };
}

ScriptedTarget::Script ScriptedTarget::AnswersOnce(const std::atomic<bool>& may_answer,
                                                   std::string body) {
  return [&may_answer, answer = Answers(std::move(body))](const std::string& head,
                                                          RawSocket& connection) {
    WaitUntil([&] { return may_answer.load(); });
    return answer(head, connection);
  };
}

bool ScriptedTarget::EchoHead(const std::string& head, RawSocket& connection) {
  return Answers(head)("", connection);
}

ScriptedTarget::Script ScriptedTarget::NeverAnswers() {
  return [](const std::string&, RawSocket& connection) {
    connection.ReadToEnd();
    return false;
  };
}

ScriptedTarget::ScriptedTarget(Script script, SSL_CTX* tls)
    : script_(std::move(script)),
      tls_(tls),
      target_([this](RawSocket& connection) { Serve(connection); }) {}

void ScriptedTarget::Serve(RawSocket& connection) {
  bool is_counted = false;
  bool is_open = true;
  if (tls_ != nullptr) {
    SSL* const ssl = SSL_new(tls_);
    SSL_set_accept_state(ssl);
    is_open = connection.StartTls(ssl);
    if (is_open && SSL_session_reused(ssl) == 1) ++resumptions_;
  }
  while (is_open && target_.is_listening()) {
    const std::string head = connection.ReadUntil("\r\n\r\n");
    if (head.size() < 4 || head.compare(head.size() - 4, 4, "\r\n\r\n") != 0) break;
    if (head.rfind("GET /health", 0) == 0) {
      connection.Send("HTTP/1.1 " + std::to_string(health_.load()) +
                      " x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      break;
    }
    if (!is_counted) ++connections_;
    is_counted = true;
    ++requests_;
    if (!script_(head, connection)) break;
  }
}

}  // namespace remuda::proxy::testing
