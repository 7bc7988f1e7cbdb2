// What comes before the first byte of a protocol: a PROXY protocol header, then a TLS handshake, as
// the listener asks for. Afterwards the transport is handed over to who speaks the protocol.
//
// Thread: its worker's.
#pragma once

#include "proxy/client/handshake_turns.h"
#include "proxy/io/transport.h"
#include "proxy/tls/connection_info.h"

namespace remuda::proxy {

namespace tls {
class TlsStream;
}

class Greeting final : public Handshaking {
 public:
  explicit Greeting(ClientWorker& worker);

  // Whether connections to `listener` begin with one; if not they are served at once.
  static bool IsNeeded(const Listener& listener, const PeerAddress& peer);
  // Whether `peer` is a listed sender of PROXY headers, so that its clients' addresses are other
  // ones.
  static bool IsOfProxy(const Listener& listener, const PeerAddress& peer);

  void Open(Transport transport, const PeerAddress& peer, std::shared_ptr<Listener> listener);

  void OnIo(uint32_t events) override;
  void TakeTurn() override;
  void CloseWhenIdle() override;
  bool CloseIfIdle() override;
  void EndExchangeWith(const TargetState& /*target*/) override {}
  void Abort() override { Close(); }

 private:
  enum class Stage : uint8_t { kProxyHeader, kTls, kDone };

  void GoOn(bool has_turn);
  // 0: go on with the next stage; -EAGAIN: wait for an event; else the connection is closed.
  int Step();
  // greeting_proxy.cc
  static bool IsProxySource(const Listener& listener, const PeerAddress& peer);
  int StepProxyHeader();
  int StepTls();
  // Whether an event can bring it on: it reads, and hardly ever waits for room to send in.
  bool IsOfUse(uint32_t events) const;
  void OnTimer();
  void CountTlsFailure(tls::HandshakeFailure failure);
  void HandOver();
  void Close();

  Transport transport_;
  Stage stage_ = Stage::kProxyHeader;
  tls::TlsStream* tls_ = nullptr;  // transport_'s layer once the handshake has begun
  bool awaits_turn_ = false;
  bool is_closing_ = false;  // when idle: its time is shorter now
  tls::ClientCertificates client_certificates_ = tls::ClientCertificates::kOff;
  Timer timer_;
};

}  // namespace remuda::proxy
