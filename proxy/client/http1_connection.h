// A client's connection that speaks HTTP/1: reads one head after the other, and is the client's
// side of the exchange that each begins. Between them it is kept, in the end it lingers, and after
// an upgrade it is a tunnel. Driven by readiness: Drive makes all progress that can be made.
//
// Thread: its worker's. Connections are reused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "proxy/client/connection.h"
#include "proxy/client/tunnel.h"
#include "proxy/exchange/client_stream.h"
#include "proxy/io/buffer_pool.h"
#include "proxy/io/event_loop.h"
#include "proxy/io/transport.h"

namespace remuda::proxy {

class Exchange;
struct ExchangeEnd;
struct UpgradedRequest;

class Http1Connection final : public Connection, public ClientStream, public TunnelOwner {
 public:
  explicit Http1Connection(ClientWorker& worker);
  ~Http1Connection() override;

  // Serves a client's connection. `watched_by`: the loop watches it already, for that handler, and
  // bytes may wait in it.
  void Open(Transport transport, const PeerAddress& peer, std::shared_ptr<Listener> listener,
            IoHandler* watched_by = nullptr);

  void OnIo(uint32_t events) override;

  // Of a connection.
  void CloseWhenIdle() override;
  bool CloseIfIdle() override;
  void EndExchangeWith(const TargetState& target) override;
  TargetState* target() const override;
  void TargetLeaves(const TargetState& target) override;
  void TargetFell(const TargetState& target, bool is_gone) override;
  void EndUnanswered(const TargetState& target) override;
  void Abort() override;
  void OnTunnelEnd(TunnelEnd how) override;

  // Of the client's side of an exchange.
  Received Receive(char* data, size_t size) override;
  ssize_t Send(Gather& pieces) override { return pieces.Send(transport_); }
  bool may_splice() const override { return transport_.is_plain(); }
  ssize_t FillPipe(SplicePipe& pipe, size_t max_bytes) override;
  ssize_t DrainPipe(SplicePipe& pipe) override { return pipe.Drain(transport_.fd()); }
  bool Yield() override;
  Sent SendInterim(const http::ResponseHead& head, Buffer& room, Gather& out) override;
  Sent SendHead(const http::ResponseHead& head, const http::ResponseStyle& style, size_t head_size,
                bool ends, Buffer& room, Gather& out) override;
  void SendTrailers(std::string_view /*lines*/) override {}
  Sent SendOwn(const http::OwnAnswer& answer, Buffer& room, Gather& out) override;
  bool delimits_bodies() const override { return false; }
  bool is_last() const override;
  bool may_have_left() const override { return !transport_.is_plain(); }
  const Transport& transport() const override { return transport_; }
  void Describe(bool is_upgraded, AccessEntry& entry) const override;
  void Wake() override { Drive(); }

 private:
  enum class Phase : uint8_t {
    kClosed,
    kIdle,
    kHead,
    kExchange,
    kTunnel,  // the tunnel runs by itself
    kLingering
  };

  void Drive();
  // Each does what it can in its phase; true if the phase changed, so that Drive goes on.
  bool ReadHead();
  bool DriveExchange();
  bool Linger();

  bool TakeLeadingLine();
  void BeginExchange();
  void Arm(std::chrono::milliseconds timeout);
  std::chrono::milliseconds IdleTimeout() const;
  void OnTimer();

  // http1_end.cc
  void FinishExchange();
  ExchangeEnd TakeDownExchange();
  void PrepareNextRequest();
  void BeginLinger();
  void ArmLinger();
  ssize_t Discard();
  bool CloseNow();

  // http1_tunnel.cc: after a 101.
  void BeginTunnel();
  void ScheduleGoodbye(const TargetState& target);
  void EndTunnel(http::Reason reason);
  void RecallExchange();

  Phase phase_ = Phase::kClosed;
  bool is_hung_up_ = false;  // FIN or error seen
  bool close_when_idle_ = false;
  bool lingers_for_client_ = false;  // lingering: not only until TLS's end is sent
  bool owes_goodbye_ = false;        // lingering: TLS's end is not sent yet
  uint8_t leading_bytes_ = 0;        // of an empty line (CR LF) that came before a request
  uint32_t requests_ = 0;
  Exchange* exchange_ = nullptr;
  Transport transport_;
  Buffer in_;  // without an exchange: what has come
  uint64_t lingered_bytes_ = 0;
  SteadyTime linger_end_{};
  std::unique_ptr<UpgradedRequest> upgraded_;  // in the phase kTunnel
  Timer timer_;
};

}  // namespace remuda::proxy
