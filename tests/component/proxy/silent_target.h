// A target that connects to nobody: its backlog is full and nothing accepts, so that SYNs are
// dropped, as by a host that is gone.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "tests/component/proxy/raw_socket.h"

namespace remuda::proxy::testing {

class SilentTarget {
 public:
  SilentTarget() {
    const ListeningSocket listening = ListenOnLoopback(0);
    listen_fd_ = listening.fd;
    port_ = listening.port;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port_);
    // A backlog of 0 holds one connection; some more, should a kernel round it up.
    for (int i = 0; i < kFillers; ++i) {
      fillers_.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      connect(fillers_.back().fd(), reinterpret_cast<sockaddr*>(&address), sizeof address);
    }
  }
  SilentTarget(const SilentTarget&) = delete;
  SilentTarget& operator=(const SilentTarget&) = delete;
  ~SilentTarget() { close(listen_fd_); }

  uint16_t port() const { return port_; }

 private:
  static constexpr int kFillers = 8;

  int listen_fd_ = -1;
  uint16_t port_ = 0;
  std::vector<RawSocket> fillers_;
};

}  // namespace remuda::proxy::testing
