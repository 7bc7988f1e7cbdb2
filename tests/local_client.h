// A TCP connection to a server on 127.0.0.1 that says only what the test says.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>

namespace remuda {

class LocalClient {
 public:
  explicit LocalClient(uint16_t port) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  }
  // "127.0.0.1:PORT".
  explicit LocalClient(const std::string& address)
      : LocalClient(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)))) {}
  LocalClient(const LocalClient&) = delete;
  LocalClient& operator=(const LocalClient&) = delete;
  ~LocalClient() { close(fd_); }

  int fd() const { return fd_; }

  // Sends `request` as it is and returns everything that comes back until the server closes.
  std::string Talk(const std::string& request) const {
    EXPECT_EQ(send(fd_, request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    std::string answer;
    char buffer[4096];
    for (ssize_t n; (n = recv(fd_, buffer, sizeof buffer, 0)) > 0;)
      answer.append(buffer, static_cast<size_t>(n));
    return answer;
  }

 private:
  const int fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
};

}  // namespace remuda
