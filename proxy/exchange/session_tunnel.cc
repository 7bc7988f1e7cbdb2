// Upgrades: from the target's 101 on a session is a tunnel.
#include <algorithm>
#include <string>
#include <utility>

#include "proxy/client/client_worker.h"
#include "proxy/client/upgraded_session.h"
#include "proxy/exchange/session.h"
#include "proxy/http/chars.h"
#include "proxy/http/target.h"

namespace remuda::proxy {

using http::Reason;

namespace {

// The head as it is understood, so that parsing it again gives the same: the canonical path has
// overwritten what came.
std::string WriteHead(const http::RequestHead& head) {
  std::string out;
  const auto add = [&](std::string_view text) { out.append(text); };
  add(head.method_name);
  add(" ");
  add(head.path);
  if (head.has_query) add("?");
  add(head.query);
  add(" HTTP/1.1\r\n");
  for (const http::Field& field : head.fields) {
    add(field.name);
    add(":");
    add(field.value);
    add("\r\n");
  }
  add("\r\n");
  return out;
}

}  // namespace

// Passed on only if it was asked for, and nothing of the request is left to be sent.
Session::Pump Session::TakeSwitch() {
  Exchange& x = *exchange_;
  const bool is_asked = stream_ == nullptr && !x.framing.upgrade.empty() &&
                        http::EqualsIgnoreCase(x.framing.upgrade, x.response_framing.upgrade);
  if (!is_asked || !x.is_request_staged || !x.to_upstream.empty())
    return FailResponse(Reason::kTargetUnaskedUpgrade);
  x.target_status = x.status = x.response.status;
  if (x.stickiness != nullptr || x.group_stickiness.count() > 0) AddStickyCookies();
  http::ResponseStyle style;
  style.upgrade = x.response_framing.upgrade;
  if (const Pump step = StageResponseHead(style); step != Pump::kProgress) return step;
  x.any_answered = x.is_switching = true;
  x.response_in.begin += x.response_parser.head_size();
  x.group->slot(worker_.index()).codes[1].Add(1);
  NoteOutcome(false);
  return Pump::kProgress;
}

// The client has the 101.
Session::Pump Session::BeginTunnel() {
  Exchange& x = *exchange_;
  upgraded_ = std::make_unique<UpgradedSession>(worker_, *this);
  UpgradedSession& upgraded = *upgraded_;
  upgraded.head = WriteHead(x.request);
  upgraded.record = x;
  upgraded.upstream = std::exchange(x.upstream, nullptr);
  const Tunnel::Options options{
      .traffic = &traffic(),
      .idle_timeout = IdleTimeout(),
      .is_websocket = http::EqualsIgnoreCase(x.framing.upgrade, "websocket")};
  // What came behind the heads.
  in_.begin = std::min(in_.end, std::max(x.body_end, x.head_size));
  if (in_.size() > 0) upgraded.tunnel.PreloadFromClient(in_);
  if (x.response_in.size() > 0) upgraded.tunnel.PreloadFromTarget(x.response_in);
  worker_.buffers().Give(in_);
  static_cast<ExchangeRecord&>(x) = ExchangeRecord();  // the exchange does not end here
  x.head_size = 0;
  DropExchange();
  timer_.Cancel();
  phase_ = Phase::kTunnel;
  if (!upgraded.tunnel.Start(options, transport_, this, *upgraded.upstream)) {
    CloseNow();
  } else if (close_when_idle_ || worker_.is_draining()) {
    upgraded.tunnel.SayGoodbye();
  } else if (upgraded.record.in_flight.target()->is_leaving()) {
    ScheduleGoodbye(*upgraded.record.in_flight.target());
  }
  return Pump::kEnded;
}

// An exchange again, that is at its end: for the log, and to let go of the target.
void Session::RecallExchange() {
  UpgradedSession& upgraded = *upgraded_;
  upgraded.tunnel.Stop();
  upgraded.goodbye.Cancel();
  exchange_ = worker_.TakeExchange();
  Exchange& x = *exchange_;
  static_cast<ExchangeRecord&>(x) = upgraded.record;
  x.upstream = upgraded.upstream;
  x.any_answered = true;
  x.received_bytes += upgraded.tunnel.bytes_to_target();
  x.sent_bytes += upgraded.tunnel.bytes_to_client();
  if (x.parser.Parse(upgraded.head.data(), upgraded.head.size(), x.request) ==
      http::ParseStatus::kDone) {
    const ListenerSpec* const spec = listener_->spec;
    http::CanonicalizeTarget(x.request, http::DesyncMode::kMonitor,  // it has passed
                             spec != nullptr ? spec->load_balancer->paths : http::PathRules());
    x.head_size = x.parser.head_size();
  }
  // The tunnel may be on the stack, and the head is read until the exchange is dropped.
  worker_.loop().Defer([raw = upgraded_.release()] { delete raw; });
}

void Session::EndTunnel(Reason reason) {
  upgraded_->record.reason = reason;
  // Whoever still is there must see that it is not the end of what the other had to say.
  if (reason != Reason::kNone && reason != Reason::kTunnelIdleTimeout) {
    ResetOnClose(transport_.fd());
    ResetOnClose(upgraded_->upstream->transport.fd());
  }
  CloseNow();
}

void Session::OnTunnelEnd(TunnelEnd how) { EndTunnel(ReasonOf(how)); }

void Session::TargetLeaves(const TargetState& target) {
  if (phase_ == Phase::kTunnel) ScheduleGoodbye(target);
}

// Each at a moment of its own: clients come back one after the other.
void Session::ScheduleGoodbye(const TargetState& target) {
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
