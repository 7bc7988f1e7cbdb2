// Blocking loopback sockets with a deadline on everything, for scripted targets and raw clients.
#pragma once

#include <openssl/ssl.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace remuda::proxy::testing {

inline constexpr std::chrono::seconds kDeadline{10};

// A socket that listens on a free port of 127.0.0.1. Throws std::runtime_error.
struct ListeningSocket {
  int fd;  // the caller's to close
  uint16_t port;
};
ListeningSocket ListenOnLoopback(int backlog);

// One connection. Every call gives up after kDeadline.
// A body in chunks: as it came, what it means, and the lines behind it.
struct ChunkedBody {
  std::string raw;
  std::string body;
  std::string trailers;
};

class RawSocket {
 public:
  RawSocket() = default;
  explicit RawSocket(int fd) : fd_(fd) {}
  RawSocket(RawSocket&& other) noexcept
      : fd_(other.fd_), buffer_(std::move(other.buffer_)), tls_(std::move(other.tls_)) {
    other.fd_ = -1;
  }
  RawSocket& operator=(RawSocket&& other) noexcept;
  ~RawSocket() { Close(); }

  // To a port of 127.0.0.1, from `source` (any 127.x.y.z) if it is given.
  static RawSocket Connect(uint16_t port, const std::string& source = "");

  // Everything is under TLS from now on. `ssl` is told its side (SSL_set_accept_state or
  // SSL_set_connect_state) and belongs to this then. False if the handshake fails.
  bool StartTls(SSL* ssl);
  SSL* tls() const { return tls_.get(); }
  // Of TLS: the peer has said that this is all.
  bool has_ended_cleanly() const {
    return tls_ != nullptr && (SSL_get_shutdown(tls_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
  }

  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  // False if the peer is gone or does not read in time.
  bool Send(std::string_view bytes);
  // Reads until `mark` was read and returns everything up to and with it; what came until the end
  // if it never comes.
  std::string ReadUntil(std::string_view mark);
  ChunkedBody ReadChunked();
  std::string ReadBytes(size_t count);
  // What has come, at least a byte; empty at the end.
  std::string ReadSome();
  std::string ReadToEnd();
  // A whole message: its head, and a body by Content-Length or chunked (as sent), or none if
  // `bodiless`.
  std::string ReadMessage(bool bodiless = false);
  // True if the peer closes or resets within the deadline with nothing more to read.
  bool WaitClosed();
  void Close();
  // Sends no more; goes on reading.
  void EndSending();
  // Closes with a reset instead of a FIN.
  void Reset();

 private:
  bool Fill();

  int fd_ = -1;
  std::string buffer_;
  std::shared_ptr<SSL> tls_;
};

}  // namespace remuda::proxy::testing
