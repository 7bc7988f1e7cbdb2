// A client's connection on a TCP or TLS listener: picks a target, connects to it, on another if
// that one refuses, and is a tunnel then.
//
// Thread: its worker's.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "proxy/client/connection.h"
#include "proxy/client/tunnel.h"
#include "proxy/core/picker.h"
#include "proxy/core/routing_table.h"
#include "proxy/exchange/in_flight.h"
#include "proxy/http/reason.h"
#include "proxy/io/transport.h"
#include "proxy/target/upstream.h"

namespace remuda::proxy {

struct AdoptedTable;

class TcpSession final : public Connection, public UpstreamUser, public TunnelOwner {
 public:
  explicit TcpSession(ClientWorker& worker);
  ~TcpSession() override;

  // See Http1Connection::Open. May close the connection at once.
  void Open(Transport transport, const PeerAddress& peer, std::shared_ptr<Listener> listener,
            IoHandler* watched_by);

  void OnIo(uint32_t events) override;  // while it connects
  void OnUpstream() override;           // while it connects
  void OnTunnelEnd(TunnelEnd how) override;

  // Whoever speaks through it is not told: bytes end by themselves, or with the drain.
  void CloseWhenIdle() override {}
  TargetState* target() const override { return in_flight_.target(); }
  void EndExchangeWith(const TargetState& target) override;
  void TargetFell(const TargetState& target, bool is_gone) override;
  void Abort() override;

 private:
  enum class Phase : uint8_t { kConnecting, kTunnel, kClosed };

  PickRequest NextPick() const;
  void StartAttempt();
  void AttemptFailed(http::Reason reason);
  void BeginTunnel();
  void OnConnectTimeout();
  void ReleaseTarget();
  void ResetBoth();
  // With a reason both sides are reset: nobody may take a part for the whole.
  void Close(http::Reason reason);
  void WriteLog(http::Reason reason);

  Phase phase_ = Phase::kConnecting;
  Transport transport_;
  GroupState* group_ = nullptr;
  InFlight in_flight_;
  UpstreamConnection* upstream_ = nullptr;
  std::array<TargetState*, kMaxAttempts> tried_{};
  uint32_t attempts_ = 0;
  bool has_connect_timed_out_ = false;  // then no target is tried twice
  AdoptedTable* table_ = nullptr;       // pinned: group_ is of it
  SteadyTime begin_{};
  SteadyTime connected_{};
  Timer connect_timer_;
  Tunnel tunnel_;
};

}  // namespace remuda::proxy
