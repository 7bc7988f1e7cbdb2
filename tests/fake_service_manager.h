// A service manager's end of the notify protocol: what programs say, in order. Thread: the test's.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/wait.h"

namespace remuda {

class FakeServiceManager {
 public:
  explicit FakeServiceManager(bool is_abstract = false) {
    char pattern[] = "/tmp/remuda-notify-XXXXXX";
    if (mkdtemp(pattern) == nullptr) std::abort();
    directory_ = pattern;
    socket_ = (is_abstract ? "@" : "") + directory_ + "/notify";
    fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, socket_.data(), socket_.size());
    if (is_abstract) address.sun_path[0] = '\0';
    const size_t length =
        offsetof(sockaddr_un, sun_path) + socket_.size() + (is_abstract ? 0u : 1u);
    if (bind(fd_, reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(length)) != 0)
      std::abort();
  }
  FakeServiceManager(const FakeServiceManager&) = delete;
  FakeServiceManager& operator=(const FakeServiceManager&) = delete;
  ~FakeServiceManager() {
    close(fd_);
    unlink((directory_ + "/notify").c_str());
    rmdir(directory_.c_str());
  }

  // For NOTIFY_SOCKET.
  const std::string& socket() const { return socket_; }

  // The next message; empty if none comes in time.
  std::string Next(std::chrono::milliseconds patience = kWaitDeadline) {
    pollfd ready{fd_, POLLIN, 0};
    if (poll(&ready, 1, static_cast<int>(patience.count())) != 1) return "";
    char buffer[8192];
    const ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
    return n < 0 ? "" : std::string(buffer, static_cast<size_t>(n));
  }

  // The next one that begins so; those before it are dropped. Empty if none comes in time.
  std::string NextOf(const std::string& beginning) {
    const auto end = std::chrono::steady_clock::now() + kWaitDeadline;
    while (std::chrono::steady_clock::now() < end) {
      std::string message = Next();
      if (message.starts_with(beginning)) return message;
    }
    return "";
  }

 private:
  std::string directory_;
  std::string socket_;
  int fd_ = -1;
};

}  // namespace remuda
