// A target that connects to nobody: its backlog is full and nothing accepts, so that SYNs are
// dropped, as by a host that is gone.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "tests/component/proxy/testing/raw_socket.h"

namespace remuda::proxy::testing {

// Connections that fill the backlog of 0 of who listens on `port`.
inline std::vector<RawSocket> Fillers(uint16_t port) {
  // It holds one; some more, should a kernel round it up.
  constexpr int kFillers = 8;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  std::vector<RawSocket> fillers;
  for (int i = 0; i < kFillers; ++i) {
    fillers.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    connect(fillers.back().fd(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  return fillers;
}

class SilentTarget {
 public:
  SilentTarget() : listening_(ListenOnLoopback(0)), fillers_(Fillers(listening_.port)) {}
  SilentTarget(const SilentTarget&) = delete;
  SilentTarget& operator=(const SilentTarget&) = delete;
  ~SilentTarget() { close(listening_.fd); }

  uint16_t port() const { return listening_.port; }

 private:
  const ListeningSocket listening_;
  const std::vector<RawSocket> fillers_;
};

}  // namespace remuda::proxy::testing
