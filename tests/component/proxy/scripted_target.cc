#include "tests/component/proxy/scripted_target.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

namespace remuda::proxy::testing {

ScriptedTarget::Script ScriptedTarget::Answers(std::string body) {
  return [body = std::move(body)](const std::string& head, RawSocket& connection) {
    const bool is_head = head.rfind("HEAD ", 0) == 0;
    return connection.Send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
                           "\r\n\r\n" + (is_head ? "" : body));
  };
}

ScriptedTarget::ScriptedTarget(Script script, SSL_CTX* tls)
    : script_(std::move(script)), tls_(tls) {
  listen_fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (bind(listen_fd_, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      listen(listen_fd_, 1024) != 0 ||
      getsockname(listen_fd_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    throw std::runtime_error("cannot listen");
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

ScriptedTarget::~ScriptedTarget() { Kill(); }

void ScriptedTarget::Kill() {
  if (is_stopped_.exchange(true)) return;
  shutdown(listen_fd_, SHUT_RDWR);
  acceptor_.join();
  close(listen_fd_);
  std::vector<std::thread> threads;
  {
    std::lock_guard lock(mutex_);
    for (const int fd : open_) {
      const linger hard{1, 0};
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
      shutdown(fd, SHUT_RDWR);
    }
    threads.swap(threads_);
  }
  for (auto& thread : threads) thread.join();
}

void ScriptedTarget::Accept() {
  while (!is_stopped_) {
    const int fd = accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    std::lock_guard lock(mutex_);
    open_.push_back(fd);
    threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

void ScriptedTarget::Serve(int fd) {
  RawSocket connection(fd);
  bool is_counted = false;
  bool is_open = true;
  if (tls_ != nullptr) {
    SSL* const ssl = SSL_new(tls_);
    SSL_set_accept_state(ssl);
    is_open = connection.StartTls(ssl);
    if (is_open && SSL_session_reused(ssl) == 1) ++resumptions_;
  }
  while (is_open && !is_stopped_) {
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
  std::lock_guard lock(mutex_);
  open_.erase(std::remove(open_.begin(), open_.end(), fd), open_.end());
  connection.Close();
}

}  // namespace remuda::proxy::testing
