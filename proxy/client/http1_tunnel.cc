// Upgrades: from the target's 101 on a connection is a tunnel.
#include <utility>

#include "proxy/client/client_worker.h"
#include "proxy/client/http1_connection.h"
#include "proxy/client/upgraded_request.h"
#include "proxy/exchange/exchange.h"

namespace remuda::proxy {

using http::Reason;

// The client has the 101.
void Http1Connection::BeginTunnel() {
  upgraded_ = std::make_unique<UpgradedRequest>(worker_, *this);
  Upgrade& upgrade = upgraded_->upgrade;
  exchange_->TakeUpgrade(upgrade);
  TakeDownExchange();
  const Tunnel::Options options{.traffic = &traffic(),
                                .subset = &upgrade.record.in_flight.subset_slot(worker_),
                                .idle_timeout = IdleTimeout(),
                                .is_websocket = upgrade.is_websocket};
  if (upgrade.from_client) upgraded_->tunnel.PreloadFromClient(upgrade.from_client);
  if (upgrade.from_target) upgraded_->tunnel.PreloadFromTarget(upgrade.from_target);
  timer_.Cancel();
  phase_ = Phase::kTunnel;
  if (!upgraded_->tunnel.Start(options, transport_, this, *upgrade.upstream)) {
    CloseNow();
  } else if (is_last()) {
    upgraded_->tunnel.SayGoodbye();
  } else if (upgrade.record.in_flight.target()->is_leaving()) {
    ScheduleGoodbye(*upgrade.record.in_flight.target());
  }
}

// An exchange again, that is at its end: for the log, and to let go of the target.
void Http1Connection::RecallExchange() {
  UpgradedRequest& upgraded = *upgraded_;
  upgraded.tunnel.Stop();
  upgraded.goodbye.Cancel();
  upgraded.upgrade.upstream->End(/*may_reuse=*/false);
  exchange_ = worker_.TakeExchange();
  exchange_->Open(
      {.client = this, .peer = &peer_, .entrance = listener_.get(), .connection_id = log_id()});
  exchange_->TakeBack(upgraded.upgrade, upgraded.tunnel.bytes_to_target(),
                      upgraded.tunnel.bytes_to_client());
  // The tunnel may be on the stack, and the head is read until the exchange is taken down.
  worker_.loop().Defer([raw = upgraded_.release()] { delete raw; });
}

void Http1Connection::EndTunnel(Reason reason) {
  upgraded_->upgrade.record.reason = reason;
  // Whoever still is there must see that it is not the end of what the other had to say.
  if (reason != Reason::kNone && reason != Reason::kTunnelIdleTimeout) {
    ResetOnClose(transport_.fd());
    ResetOnClose(upgraded_->upgrade.upstream->transport.fd());
  }
  CloseNow();
}

void Http1Connection::OnTunnelEnd(TunnelEnd how) { EndTunnel(ReasonOf(how)); }

void Http1Connection::TargetLeaves(const TargetState& target) {
  if (phase_ == Phase::kTunnel) ScheduleGoodbye(target);
}

// Each at a moment of its own: clients come back one after the other.
void Http1Connection::ScheduleGoodbye(const TargetState& target) {
  const GoodbyeTimes times = target.slots()[worker_.index()].goodbye;
  if (times.end == SteadyTime()) return;  // this worker has yet to hear of it, and tells then
  const SteadyTime now = worker_.loop().now();
  const auto span = static_cast<uint64_t>((times.end - times.begin).count());
  const SteadyTime at =
      times.begin +
      SteadyTime::duration(static_cast<int64_t>(span == 0 ? 0 : worker_.Random() % span));
  if (at <= now) return upgraded_->tunnel.SayGoodbye();
  if (!upgraded_->goodbye.is_armed()) upgraded_->goodbye.Arm(worker_.loop(), at);
}

}  // namespace remuda::proxy
