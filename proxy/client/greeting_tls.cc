// The TLS handshake of a client's connection.
#include <sys/socket.h>

#include <string_view>

#include "proxy/client/client_worker.h"
#include "proxy/client/greeting.h"
#include "proxy/tls/client_fields.h"
#include "proxy/tls/server_context.h"
#include "proxy/tls/tls_stream.h"

namespace remuda::proxy {
namespace {

constexpr std::string_view kPlainHttpAnswer =
    "HTTP/1.1 400 Bad Request\r\nServer: remuda\r\nX-Remuda-Reason: PlainHttpToTls\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 48\r\nConnection: close\r\n\r\n"
    "This port speaks TLS: ask for https:// instead.\n";

}  // namespace

int Greeting::StepTls() {
  if (tls_ == nullptr) {
    const ListenerSpec* const spec = listener_->spec;
    if (spec == nullptr) return -ECONNABORTED;  // the listener is gone
    if (spec->tls == nullptr) return 0;         // a listener without TLS
    tls::SslPtr ssl = spec->tls->NewConnection();
    if (ssl == nullptr) return -ENOMEM;
    client_certificates_ = spec->tls->client_certificates();
    auto layer = std::make_unique<tls::TlsStream>(std::move(ssl), transport_.fd(),
                                                  tls::TlsStream::Side::kServer);
    tls_ = layer.get();
    transport_.SetLayer(std::move(layer));
  }
  const int result = tls_->Handshake();
  if (result == -EAGAIN) return result;
  if (result != 0) {
    if (tls_->failure() == tls::HandshakeFailure::kPlainHttp) {
      // As far as it goes: the connection is closed anyhow.
      send(transport_.fd(), kPlainHttpAnswer.data(), kPlainHttpAnswer.size(), MSG_NOSIGNAL);
    }
    CountTlsFailure(tls_->failure());
    return result;
  }
  // A resumption does not look at the certificate again.
  if (client_certificates_ == tls::ClientCertificates::kVerify && tls_->tls_info()->is_resumed &&
      tls::HasClientExpired(tls_->ssl())) {
    CountTlsFailure(tls::HandshakeFailure::kClientCertificate);
    return -EPROTO;
  }
  worker_.counters().tls_handshakes.Add(1);
  if (tls_->tls_info()->is_resumed) worker_.counters().tls_resumptions.Add(1);
  if (client_certificates_ != tls::ClientCertificates::kOff)
    tls_->set_client_fields(tls::ClientFields(tls_->ssl(), client_certificates_));
  return 0;
}

bool Greeting::IsOfUse(uint32_t events) const {
  return (events & ~EPOLLOUT) != 0 || (tls_ != nullptr && tls_->wants_write());
}

void Greeting::OnTimer() {
  if (is_closing_) return Close();
  const bool wants_tls = listener_->spec != nullptr && listener_->spec->tls != nullptr;
  if (tls_ != nullptr || wants_tls) CountTlsFailure(tls::HandshakeFailure::kTimeout);
  Close();
}

void Greeting::CountTlsFailure(tls::HandshakeFailure failure) {
  worker_.counters().tls_failures[static_cast<size_t>(failure)].Add(1);
}

}  // namespace remuda::proxy
