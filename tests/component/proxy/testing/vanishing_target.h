// A target that answers every request until it vanishes: from then on it connects to nobody, as a
// host that is gone, or a silent_target.h.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/component/proxy/testing/raw_socket.h"
#include "tests/component/proxy/testing/silent_target.h"

namespace remuda::proxy::testing {

class VanishingTarget {
 public:
  VanishingTarget() {
    const ListeningSocket listening = ListenOnLoopback(1024);
    listen_fd_ = listening.fd;
    port_ = listening.port;
    server_ = std::thread([this] { Serve(); });
  }
  VanishingTarget(const VanishingTarget&) = delete;
  VanishingTarget& operator=(const VanishingTarget&) = delete;
  ~VanishingTarget() {
    StopServing();
    close(listen_fd_);
  }

  uint16_t port() const { return port_; }
  void Vanish() {
    StopServing();
    listen(listen_fd_, 0);
    fillers_ = Fillers(port_);
  }

 private:
  static constexpr int kPollMs = 20;

  void StopServing() {
    is_stopped_ = true;
    if (server_.joinable()) server_.join();
  }
  void Serve() {
    while (!is_stopped_) {
      pollfd waiting{listen_fd_, POLLIN, 0};
      if (poll(&waiting, 1, kPollMs) != 1) continue;
      RawSocket connection(accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC));
      connection.ReadUntil("\r\n\r\n");
      connection.Send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nhere");
    }
  }

  int listen_fd_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> is_stopped_{false};
  std::thread server_;
  std::vector<RawSocket> fillers_;
};

}  // namespace remuda::proxy::testing
