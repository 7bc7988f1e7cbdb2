// A target of bytes: what a script says with each connection, from its first byte on. Health checks
// are connections that say nothing.
//
// Thread: one accepts, each connection has its own; the script runs on that.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/component/proxy/raw_socket.h"

namespace remuda::proxy::testing {

class RawTarget {
 public:
  using Script = std::function<void(RawSocket& connection)>;

  explicit RawTarget(Script script) : script_(std::move(script)) {
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
  RawTarget(const RawTarget&) = delete;
  RawTarget& operator=(const RawTarget&) = delete;
  ~RawTarget() {
    StopListening();
    {
      std::lock_guard lock(mutex_);
      for (const int fd : open_) shutdown(fd, SHUT_RDWR);
    }
    for (auto& thread : threads_) thread.join();
  }

  uint16_t port() const { return port_; }
  // New connections are refused; those that are open go on.
  void StopListening() {
    if (is_stopped_.exchange(true)) return;
    shutdown(listen_fd_, SHUT_RDWR);
    acceptor_.join();
    close(listen_fd_);
  }

 private:
  void Accept() {
    while (!is_stopped_) {
      const int fd = accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      std::lock_guard lock(mutex_);
      open_.push_back(fd);
      threads_.emplace_back([this, fd] {
        RawSocket connection(fd);
        script_(connection);
        std::lock_guard inner(mutex_);
        std::erase(open_, fd);
        connection.Close();
      });
    }
  }

  const Script script_;
  int listen_fd_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> is_stopped_{false};
  std::mutex mutex_;
  std::vector<int> open_;             // guarded by mutex_
  std::vector<std::thread> threads_;  // guarded by mutex_; joined when nothing accepts any more
  std::thread acceptor_;
};

}  // namespace remuda::proxy::testing
