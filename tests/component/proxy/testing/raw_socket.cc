#include "tests/component/proxy/testing/raw_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace remuda::proxy::testing {
namespace {

bool WaitFor(int fd, short events) {
  pollfd poll_fd{fd, events, 0};
  return poll(&poll_fd, 1, static_cast<int>(std::chrono::milliseconds(kDeadline).count())) == 1;
}

}  // namespace

ListeningSocket ListenOnLoopback(int backlog) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), length) != 0 || listen(fd, backlog) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    throw std::runtime_error("cannot listen");
  }
  return {fd, ntohs(address.sin_port)};
}

RawSocket& RawSocket::operator=(RawSocket&& other) noexcept {
  Close();
  fd_ = std::exchange(other.fd_, -1);
  buffer_ = std::move(other.buffer_);
  tls_ = std::move(other.tls_);
  return *this;
}

RawSocket RawSocket::Connect(uint16_t port, const std::string& source) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  if (!source.empty()) {
    inet_pton(AF_INET, source.c_str(), &address.sin_addr);
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      close(fd);
      return RawSocket();
    }
  }
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    close(fd);
    return RawSocket();
  }
  return RawSocket(fd);
}

bool RawSocket::StartTls(SSL* ssl) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  tls_.reset(ssl, [](SSL* gone) {
    // Else OpenSSL takes the session for a bad one that nobody may resume.
    SSL_set_shutdown(gone, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(gone);
  });
  const timeval deadline{kDeadline.count(), 0};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline);
  SSL_set_fd(ssl, fd_);
  return SSL_do_handshake(ssl) == 1;
}

bool RawSocket::Send(std::string_view bytes) {
  if (tls_ != nullptr) {
    return bytes.empty() || SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size())) > 0;
  }
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
  if (fd_ < 0) return false;
  ssize_t n = 0;
  if (tls_ != nullptr) {
    n = SSL_read(tls_.get(), block, sizeof block);
  } else {
    if (!WaitFor(fd_, POLLIN)) return false;
    n = recv(fd_, block, sizeof block, 0);
  }
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

ChunkedBody RawSocket::ReadChunked() {
  ChunkedBody got;
  while (true) {
    const std::string line = ReadUntil("\r\n");
    got.raw += line;
    const size_t size = std::strtoul(line.c_str(), nullptr, 16);
    if (size == 0 || line.empty()) break;
    const std::string chunk = ReadBytes(size + 2);
    got.raw += chunk;
    got.body += chunk.substr(0, size);
  }
  while (true) {
    const std::string line = ReadUntil("\r\n");
    got.raw += line;
    if (line.size() <= 2) return got;
    got.trailers += line;
  }
}

std::string RawSocket::ReadMessage(bool bodiless) {
  std::string message = ReadUntil("\r\n\r\n");
  if (bodiless) return message;
  if (message.find("Transfer-Encoding: chunked\r\n") != std::string::npos)
    return message + ReadChunked().raw;
  const size_t at = message.find("Content-Length: ");
  if (at == std::string::npos) return message;
  return message + ReadBytes(std::strtoul(message.c_str() + at + 16, nullptr, 10));
}

bool RawSocket::WaitClosed() {
  if (!buffer_.empty()) return false;
  char byte;
  if (tls_ != nullptr) return SSL_read(tls_.get(), &byte, 1) <= 0;
  if (!WaitFor(fd_, POLLIN)) return false;
  return recv(fd_, &byte, 1, 0) <= 0;
}

void RawSocket::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  tls_.reset();
}

void RawSocket::EndSending() { shutdown(fd_, SHUT_WR); }

void RawSocket::Reset() {
  const linger hard{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  Close();
}

}  // namespace remuda::proxy::testing
