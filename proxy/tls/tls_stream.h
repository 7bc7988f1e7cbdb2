// TLS on a connected socket: a TransportLayer with few system calls. A record's head and body come
// with one receive; a gathered message leaves as one record with one send. When the socket was
// emptied by a short receive it is not asked again before the next event. Buffers are held only
// while something is in them.
//
// Thread: its worker's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/io/transport.h"
#include "proxy/tls/connection_info.h"
#include "proxy/tls/openssl.h"

namespace remuda::proxy::tls {

class TlsStream final : public TransportLayer {
 public:
  enum class Side : uint8_t { kServer, kClient };

  // `ssl` is new; `fd` belongs to the Transport that this becomes the layer of.
  TlsStream(SslPtr ssl, int fd, Side side);
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;
  ~TlsStream() override;

  int Handshake() override;
  Received Receive(char* data, size_t size) override;
  ssize_t Send(const iovec* pieces, size_t count) override;
  bool has_pending() const override;
  int CloseNotify() override;
  const ConnectionInfo* tls_info() const override { return is_open_ ? &info_ : nullptr; }

  // It waits for room to send in, not for bytes.
  bool wants_write() const { return wants_write_; }
  // Why Handshake failed.
  HandshakeFailure failure() const { return failure_; }
  // Of a client whose verification of the server failed: why, else empty.
  std::string_view VerifyError() const;
  // Of a client: the newest session to resume, once; or null.
  SslSessionPtr TakeSession() { return std::move(session_); }
  SSL* ssl() const { return ssl_.get(); }
  void set_client_fields(std::string fields) { info_.client_fields = std::move(fields); }

  // For ClientContext: keeps `session`.
  static int OnNewSession(SSL* ssl, SSL_SESSION* session);

 private:
  struct Bio;
  friend struct Bio;

  // -EAGAIN, 0 at a clean end, or -errno; empties the error queue.
  int Judge(int result);
  bool LooksAgain();
  // Sends what the handshake has left in unsent_. 0, -EAGAIN or -errno.
  int FlushHandshake();
  void Finish();

  SslPtr ssl_;
  const int fd_;
  bool is_open_ = false;    // the handshake is over
  bool is_drained_;         // the last receive took all that was there
  bool was_short_ = false;  // as a short read shows, which says nothing of an end
  bool has_begun_ = false;  // the handshake
  bool is_corked_ = false;  // what is written waits in unsent_: a flight leaves with one send
  bool is_ended_ = false;   // the peer's FIN was read
  bool wants_write_ = false;
  bool is_broken_ = false;    // nothing more can be said
  bool cannot_send_ = false;  // the socket takes nothing any more
  bool has_said_goodbye_ = false;
  HandshakeFailure failure_ = HandshakeFailure::kNone;
  int socket_error_ = 0;
  size_t owed_ = 0;  // bytes at the front of the next Send that are sealed already
  std::string unsent_;
  SslSessionPtr session_;
  ConnectionInfo info_;
};

}  // namespace remuda::proxy::tls
