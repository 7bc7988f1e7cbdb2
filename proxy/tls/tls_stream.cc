#include "proxy/tls/tls_stream.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "proxy/tls/openssl.h"

namespace remuda::proxy::tls {
namespace {

constexpr size_t kMaxRecordBytes = SSL3_RT_MAX_PLAIN_LENGTH;

HandshakeFailure FailureOf(unsigned long error) {
  const int reason = ERR_GET_REASON(error);
  if (ERR_GET_LIB(error) != ERR_LIB_SSL) return HandshakeFailure::kMalformed;
  switch (reason) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
      return HandshakeFailure::kPlainHttp;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return HandshakeFailure::kNothingInCommon;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      return HandshakeFailure::kClientCertificate;
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
      return HandshakeFailure::kClosed;
    default:
      return reason >= SSL_AD_REASON_OFFSET ? HandshakeFailure::kPeerAlert
                                            : HandshakeFailure::kMalformed;
  }
}

// What a record holds next: `size` bytes of the pieces from `skip` on, in one stretch.
const char* Stretch(const iovec* pieces, size_t count, size_t skip, size_t& size) {
  static thread_local char scratch[kMaxRecordBytes];
  while (count > 0 && skip >= pieces->iov_len) {
    skip -= pieces->iov_len;
    ++pieces;
    --count;
  }
  size = 0;
  if (count == 0) return scratch;
  const auto* const first = static_cast<const char*>(pieces->iov_base) + skip;
  const size_t first_size = pieces->iov_len - skip;
  if (count == 1 || first_size >= kMaxRecordBytes) {
    size = std::min(first_size, kMaxRecordBytes);
    return first;
  }
  for (; count > 0 && size < kMaxRecordBytes; ++pieces, --count, skip = 0) {
    const size_t take = std::min(pieces->iov_len - skip, kMaxRecordBytes - size);
    std::memcpy(scratch + size, static_cast<const char*>(pieces->iov_base) + skip, take);
    size += take;
  }
  return scratch;
}

}  // namespace

std::string_view NameOf(HandshakeFailure failure) {
  static constexpr std::string_view kNames[] = {
      "None",      "Closed",          "Timeout",           "PlainHttp",
      "Malformed", "NothingInCommon", "ClientCertificate", "PeerAlert"};
  static_assert(std::size(kNames) == static_cast<size_t>(HandshakeFailure::kCount));
  return kNames[static_cast<size_t>(failure)];
}

// The socket as OpenSSL sees it.
struct TlsStream::Bio {
  static TlsStream& Of(BIO* bio) { return *static_cast<TlsStream*>(BIO_get_data(bio)); }

  static int Read(BIO* bio, char* out, size_t size, size_t* got) {
    TlsStream& stream = Of(bio);
    BIO_clear_retry_flags(bio);
    *got = 0;
    if (stream.is_drained_) {
      BIO_set_retry_read(bio);
      return 0;
    }
    ssize_t bytes;
    do {
      bytes = recv(stream.fd_, out, size, 0);
    } while (bytes < 0 && errno == EINTR);
    if (bytes > 0) {
      // epoll(7): a short read has emptied the socket; the next event tells of more.
      stream.is_drained_ = stream.was_short_ = static_cast<size_t>(bytes) < size;
      *got = static_cast<size_t>(bytes);
      return 1;
    }
    if (bytes == 0) {
      stream.is_ended_ = true;
    } else if (errno == EAGAIN) {
      stream.is_drained_ = true;
      stream.was_short_ = false;
      BIO_set_retry_read(bio);
    } else {
      stream.socket_error_ = errno;
    }
    return 0;
  }

  static int Write(BIO* bio, const char* data, size_t size, size_t* written) {
    TlsStream& stream = Of(bio);
    BIO_clear_retry_flags(bio);
    *written = 0;
    if (stream.is_corked_) {
      stream.unsent_.append(data, size);
      *written = size;
      return 1;
    }
    ssize_t bytes;
    do {
      bytes = send(stream.fd_, data, size, MSG_NOSIGNAL);
    } while (bytes < 0 && errno == EINTR);
    if (bytes >= 0) {
      *written = static_cast<size_t>(bytes);
      return 1;
    }
    if (errno == EAGAIN) {
      BIO_set_retry_write(bio);
    } else {
      stream.socket_error_ = errno;
    }
    return 0;
  }

  static long Control(BIO* bio, int command, long /*number*/, void* /*pointer*/) {
    switch (command) {
      case BIO_CTRL_FLUSH:
        return 1;
      case BIO_CTRL_EOF:
        return Of(bio).is_ended_ ? 1 : 0;
      default:
        return 0;
    }
  }

  static BIO_METHOD* Method() {
    static BIO_METHOD* const method = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "remuda socket");
      BIO_meth_set_read_ex(made, Read);
      BIO_meth_set_write_ex(made, Write);
      BIO_meth_set_ctrl(made, Control);
      return made;
    }();
    return method;
  }
};

TlsStream::TlsStream(SslPtr ssl, int fd, Side side)
    : ssl_(std::move(ssl)), fd_(fd), is_drained_(side == Side::kClient) {
  BIO* const bio = BIO_new(Bio::Method());
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  BIO_up_ref(bio);
  SSL_set0_rbio(ssl_.get(), bio);
  SSL_set0_wbio(ssl_.get(), bio);
  SSL_set_app_data(ssl_.get(), this);
  side == Side::kServer ? SSL_set_accept_state(ssl_.get()) : SSL_set_connect_state(ssl_.get());
}

TlsStream::~TlsStream() {
  // Else OpenSSL takes a lock to forget the session, and it could not be resumed (RFC 5246 no
  // longer asks for that).
  SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

int TlsStream::OnNewSession(SSL* ssl, SSL_SESSION* session) {
  static_cast<TlsStream*>(SSL_get_app_data(ssl))->session_.reset(session);
  return 1;  // the reference is ours now
}

std::string_view TlsStream::VerifyError() const {
  const long result = SSL_get_verify_result(ssl_.get());
  return result == X509_V_OK ? std::string_view() : X509_verify_cert_error_string(result);
}

int TlsStream::Judge(int result) {
  wants_write_ = false;
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_WRITE:
      wants_write_ = true;
      return -EAGAIN;
    case SSL_ERROR_WANT_READ:
      return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
      return 0;
    case SSL_ERROR_SYSCALL:
      is_broken_ = true;
      failure_ = HandshakeFailure::kClosed;
      ERR_clear_error();
      return socket_error_ != 0 ? -socket_error_ : -ECONNRESET;
    default: {
      is_broken_ = true;
      const unsigned long error = ERR_peek_error();
      failure_ = FailureOf(error);
      ERR_clear_error();
      // An end without a goodbye: what came may have been cut short by anyone.
      return failure_ == HandshakeFailure::kClosed ? -ECONNRESET : -EPROTO;
    }
  }
}

// A short read has emptied the socket of bytes, but the peer's end may have come with them, in the
// one event that told of both. Where the bytes make no whole record, nobody would ask for it.
bool TlsStream::LooksAgain() {
  if (!std::exchange(was_short_, false)) return false;
  is_drained_ = false;
  return true;
}

int TlsStream::Handshake() {
  if (is_open_) return 0;
  if (is_broken_) return -EPROTO;
  // Nobody has anything to say to a client that has said nothing.
  if (has_begun_) is_drained_ = false;
  has_begun_ = true;
  is_corked_ = true;
  int result;
  int error;
  do {
    result = SSL_do_handshake(ssl_.get());
    error = result == 1 ? 0 : Judge(result);
  } while (error == -EAGAIN && LooksAgain());
  is_corked_ = false;
  const int flushed = unsent_.empty() ? 0 : FlushHandshake();
  if (result != 1) {
    if (error == -EAGAIN && flushed != 0) return flushed;
    return error == 0 ? -ECONNRESET : error;  // a goodbye instead of a handshake
  }
  if (flushed != 0) return flushed;
  wants_write_ = false;
  is_open_ = true;
  Finish();
  return 0;
}

int TlsStream::FlushHandshake() {
  ssize_t sent;
  do {
    sent = send(fd_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0 && errno != EAGAIN) {
    is_broken_ = true;
    if (failure_ == HandshakeFailure::kNone) failure_ = HandshakeFailure::kClosed;
    return -errno;
  }
  const size_t done = sent < 0 ? 0 : static_cast<size_t>(sent);
  if (done == unsent_.size()) {
    unsent_ = std::string();  // gives its memory back
    return 0;
  }
  unsent_.erase(0, done);
  wants_write_ = true;
  return -EAGAIN;
}

void TlsStream::Finish() {
  SSL* const ssl = ssl_.get();
  info_.protocol = SSL_get_version(ssl);
  info_.cipher = SSL_get_cipher_name(ssl);
  const unsigned char* alpn = nullptr;
  unsigned int alpn_size = 0;
  SSL_get0_alpn_selected(ssl, &alpn, &alpn_size);
  info_.alpn = {reinterpret_cast<const char*>(alpn), alpn_size};
  info_.is_resumed = SSL_session_reused(ssl) == 1;
  if (const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name); name != nullptr)
    info_.server_name = name;
  if (const Certificate* chosen = Certificate::Of(SSL_get_certificate(ssl)); chosen != nullptr)
    info_.certificate = chosen->id();
}

bool TlsStream::has_pending() const { return SSL_has_pending(ssl_.get()) == 1 || !is_drained_; }

Received TlsStream::Receive(char* data, size_t size) {
  if (is_broken_) return {-EPROTO, true};
  is_drained_ = false;  // there was an event, or it was not empty the last time
  size_t total = 0;
  while (total < size) {
    size_t got = 0;
    if (const int result = SSL_read_ex(ssl_.get(), data + total, size - total, &got); result != 1) {
      const int error = Judge(result);
      if (total > 0) return {static_cast<ssize_t>(total), error == -EAGAIN};
      if (error == -EAGAIN && LooksAgain()) continue;
      return {error, true};
    }
    total += got;
    if (is_drained_ && SSL_has_pending(ssl_.get()) == 0) break;
  }
  return {static_cast<ssize_t>(total), is_drained_ && SSL_has_pending(ssl_.get()) == 0};
}

ssize_t TlsStream::Send(const iovec* pieces, size_t count) {
  if (is_broken_ || cannot_send_) return -EPIPE;
  socket_error_ = 0;
  size_t total = 0;
  while (true) {
    size_t size = 0;
    const char* const data = Stretch(pieces, count, total, size);
    if (size == 0) return static_cast<ssize_t>(total);
    // A record that the socket took in part is sealed: OpenSSL wants the same length again and
    // sends what is left of it.
    if (owed_ > size) return -EPIPE;  // the caller has forgotten what it was sending
    if (owed_ > 0) size = owed_;
    size_t written = 0;
    if (const int result = SSL_write_ex(ssl_.get(), data, size, &written); result != 1) {
      const int error = Judge(result);
      if (socket_error_ != 0) {  // what the peer said before it went can still be read
        cannot_send_ = true;
        is_broken_ = false;
      }
      if (error == -EAGAIN) owed_ = size;
      if (total > 0) return static_cast<ssize_t>(total);
      return error == 0 ? -EPIPE : error;
    }
    owed_ = 0;
    total += written;
  }
}

int TlsStream::CloseNotify() {
  // Within a record that is sent in part there is no place for it.
  if (!is_open_ || is_broken_ || cannot_send_ || owed_ > 0 || has_said_goodbye_) return 0;
  // Its result is 0 also for an alert that still waits, from the second call on.
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
  if (SSL_want_write(ssl_.get()) && BIO_should_write(SSL_get_wbio(ssl_.get()))) return -EAGAIN;
  has_said_goodbye_ = true;
  return 0;
}

}  // namespace remuda::proxy::tls
