#include "tests/component/proxy/raw_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

namespace remuda::proxy::testing {
namespace {

bool WaitFor(int fd, short events) {
  pollfd poll_fd{fd, events, 0};
  return poll(&poll_fd, 1, static_cast<int>(std::chrono::milliseconds(kDeadline).count())) == 1;
}

}  // namespace

RawSocket& RawSocket::operator=(RawSocket&& other) noexcept {
  Close();
  fd_ = std::exchange(other.fd_, -1);
  buffer_ = std::move(other.buffer_);
  return *this;
}

RawSocket RawSocket::Connect(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    close(fd);
    return RawSocket();
  }
  return RawSocket(fd);
}

bool RawSocket::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    if (!WaitFor(fd_, POLLOUT)) return false;
    const ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

bool RawSocket::Fill() {
  char block[65536];
  if (fd_ < 0 || !WaitFor(fd_, POLLIN)) return false;
  const ssize_t n = recv(fd_, block, sizeof block, 0);
  if (n <= 0) return false;
  buffer_.append(block, static_cast<size_t>(n));
  return true;
}

std::string RawSocket::ReadUntil(std::string_view mark) {
  size_t found;
  while ((found = buffer_.find(mark)) == std::string::npos) {
    if (!Fill()) return std::exchange(buffer_, {});
  }
  std::string out = buffer_.substr(0, found + mark.size());
  buffer_.erase(0, out.size());
  return out;
}

std::string RawSocket::ReadBytes(size_t count) {
  while (buffer_.size() < count && Fill()) {
  }
  std::string out = buffer_.substr(0, count);
  buffer_.erase(0, out.size());
  return out;
}

std::string RawSocket::ReadSome() {
  if (buffer_.empty()) Fill();
  return std::exchange(buffer_, {});
}

std::string RawSocket::ReadToEnd() {
  while (Fill()) {
  }
  return std::exchange(buffer_, {});
}

std::string RawSocket::ReadMessage(bool bodiless) {
  std::string message = ReadUntil("\r\n\r\n");
  if (bodiless) return message;
  if (message.find("Transfer-Encoding: chunked\r\n") != std::string::npos) {
    while (true) {
      const std::string line = ReadUntil("\r\n");
      message += line;
      const size_t size = std::strtoul(line.c_str(), nullptr, 16);
      message += ReadBytes(size + 2);
      if (size == 0 || line.empty()) return message;
    }
  }
  const size_t at = message.find("Content-Length: ");
  if (at == std::string::npos) return message;
  return message + ReadBytes(std::strtoul(message.c_str() + at + 16, nullptr, 10));
}

bool RawSocket::WaitClosed() {
  if (!buffer_.empty() || !WaitFor(fd_, POLLIN)) return false;
  char byte;
  return recv(fd_, &byte, 1, 0) <= 0;
}

void RawSocket::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

void RawSocket::EndSending() { shutdown(fd_, SHUT_WR); }

void RawSocket::Reset() {
  const linger hard{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  Close();
}

}  // namespace remuda::proxy::testing
