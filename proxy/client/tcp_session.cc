#include "proxy/client/tcp_session.h"

#include <cerrno>
#include <utility>

#include "proxy/client/client_worker.h"
#include "proxy/core/forward.h"
#include "proxy/core/mix.h"
#include "proxy/core/retry_policy.h"
#include "proxy/io/socket.h"
#include "proxy/target/target_greeting.h"
#include "proxy/telemetry/access_log.h"
#include "proxy/tls/connection_info.h"

namespace remuda::proxy {

using http::Reason;

TcpSession::TcpSession(ClientWorker& worker)
    : Connection(worker), connect_timer_([this] { OnConnectTimeout(); }), tunnel_(worker, *this) {}

TcpSession::~TcpSession() = default;

void TcpSession::Open(Transport transport, const PeerAddress& peer,
                      std::shared_ptr<Listener> listener, IoHandler* watched_by) {
  transport_ = std::move(transport);
  peer_ = peer;
  listener_ = std::move(listener);
  begin_ = worker_.loop().now();
  worker_.retry_budget().OnRequest();
  table_ = worker_.Pin();
  const bool is_watched = watched_by == nullptr
                              ? worker_.loop().Add(transport_.fd(), this)
                              : worker_.loop().Rebind(transport_.fd(), watched_by, this);
  if (!is_watched) return Close(Reason::kOverloaded);
  // Config check: the only rule of such a listener forwards.
  group_ = PickGroup(std::get<ForwardAction>(listener_->spec->rules.back().action));
  if (group_ == nullptr) return Close(Reason::kNoRegisteredTarget);
  StartAttempt();
}

PickRequest TcpSession::NextPick() const {
  PickRequest pick;
  pick.tried = {tried_.data(), attempts_};
  // See Exchange::PickNext.
  pick.allow_tried = !has_connect_timed_out_;
  // There is no header or cookie to have another key.
  pick.hash = HashOf({reinterpret_cast<const char*>(peer_.bytes.data()), peer_.bytes.size()});
  pick.has_hash = true;
  return pick;
}

// From the pick on the connection is in flight for the target.
void TcpSession::StartAttempt() {
  const Picked picked = worker_.Pick(*group_, NextPick());
  // Nobody waits in a queue who cannot be answered.
  if (picked.target == nullptr) {
    group_->slot(worker_.index()).refused.Add(1);
    return Close(picked.is_full ? Reason::kQueueFull : Reason::kNoRegisteredTarget);
  }
  in_flight_.Begin(worker_, *group_, picked);
  tried_[attempts_++] = picked.target;
  upstream_ = worker_.pool().Connect(*picked.target, this);
  if (upstream_ == nullptr) {
    return AttemptFailed(IsOurShortage(errno) ? Reason::kOverloaded : Reason::kTargetConnectFailed);
  }
  if (const auto proxy = ProxyVersionOf(*group_, worker_.index());
      proxy != http::ProxyVersion::kNone)
    upstream_->greeting = MakeTargetGreeting(proxy, peer_, transport_.fd());
  worker_.counters().connections_made.Add(1);
  connect_timer_.Arm(worker_.loop(), worker_.loop().now() + worker_.settings().connect_timeout);
}

void TcpSession::AttemptFailed(Reason reason) {
  connect_timer_.Cancel();
  const bool is_targets_fault = reason != Reason::kOverloaded;
  if (is_targets_fault) {
    in_flight_.target()->slot(worker_.index()).connection_errors.Add(1);
    in_flight_.NoteError();
    group_->slot(worker_.index()).connection_errors.Add(1);
    // A certificate that is not trusted may be our mistake: checks judge that target.
    if (reason != Reason::kTargetTlsFailed) worker_.TargetRefused(*in_flight_.target());
  }
  ReleaseTarget();
  const FailedAttempt attempt{.attempts = attempts_};
  if (reason == Reason::kTargetConnectTimeout) has_connect_timed_out_ = true;
  if (!is_targets_fault || !MayRetry(attempt)) return Close(reason);
  if (has_connect_timed_out_ && !worker_.HasUntried(*group_, NextPick())) return Close(reason);
  if (!worker_.retry_budget().Take()) {
    worker_.counters().retries_refused.Add(1);
    return Close(reason);
  }
  worker_.counters().retries.Add(1);
  StartAttempt();
}

// The end of what the client sends is the target's to see; what is waited for here is that it is
// gone.
void TcpSession::OnIo(uint32_t events) {
  if (phase_ == Phase::kConnecting && (events & (EPOLLHUP | EPOLLERR)) != 0)
    Close(Reason::kClientClosed);
}

void TcpSession::OnUpstream() {
  if (phase_ != Phase::kConnecting) return;
  switch (upstream_->FinishConnect()) {
    case -EAGAIN:
      return;
    case 0:
      return BeginTunnel();
    default:
      if (!upstream_->is_tls_failed) return AttemptFailed(Reason::kTargetConnectFailed);
      worker_.counters().target_tls_failures.Add(1);
      return AttemptFailed(Reason::kTargetTlsFailed);
  }
}

void TcpSession::OnConnectTimeout() { AttemptFailed(Reason::kTargetConnectTimeout); }

void TcpSession::BeginTunnel() {
  connect_timer_.Cancel();
  connected_ = worker_.loop().now();
  in_flight_.NoteSent();
  ++upstream_->requests;
  phase_ = Phase::kTunnel;
  const auto* spec = listener_->spec;  // null: the listener is gone, what is under way goes on
  const auto idle_timeout =
      spec != nullptr ? spec->tcp_idle_timeout : ListenerSpec().tcp_idle_timeout;
  if (!tunnel_.Start({.traffic = &traffic(),
                      .subset = &in_flight_.subset_slot(worker_),
                      .idle_timeout = idle_timeout},
                     transport_, this, *upstream_))
    Close(Reason::kOverloaded);
}

void TcpSession::OnTunnelEnd(TunnelEnd how) { Close(ReasonOf(how)); }

void TcpSession::EndExchangeWith(const TargetState& target) {
  if (in_flight_.target() == &target) Close(Reason::kTargetDrainTimeout);
}

// See Exchange::OnTargetFell.
void TcpSession::TargetFell(const TargetState& /*target*/, bool is_gone) {
  if (phase_ == Phase::kTunnel) return DoubtPeer(upstream_->transport.fd(), true);
  if (phase_ != Phase::kConnecting || upstream_ == nullptr) return;
  if (!is_gone && !worker_.HasHealthyUntried(*group_, NextPick())) return;
  has_connect_timed_out_ = true;
  AttemptFailed(Reason::kTargetConnectFailed);
}

void TcpSession::ReleaseTarget() {
  if (upstream_ != nullptr) worker_.pool().Close(std::exchange(upstream_, nullptr));
  in_flight_.End(worker_);
}

void TcpSession::ResetBoth() {
  ResetOnClose(transport_.fd());
  if (upstream_ != nullptr) ResetOnClose(upstream_->transport.fd());
}

void TcpSession::Abort() {
  if (phase_ == Phase::kClosed) return;
  ResetBoth();
  Close(Reason::kNone);
}

void TcpSession::Close(Reason reason) {
  if (phase_ == Phase::kClosed) return;
  connect_timer_.Cancel();
  if (phase_ == Phase::kTunnel) tunnel_.Stop();
  phase_ = Phase::kClosed;
  if (reason != Reason::kNone) {
    worker_.counters().reasons[static_cast<size_t>(reason)].Add(1);
    ResetBoth();
  }
  if (worker_.log() != nullptr) WriteLog(reason);
  ReleaseTarget();
  if (table_ != nullptr) worker_.Unpin(table_);
  in_flight_.Unpin(worker_);
  worker_.loop().RemoveClosing(this);
  transport_.Close();
  listener_.reset();
  worker_.ConnectionClosed(this);
}

void TcpSession::WriteLog(Reason reason) {
  AccessEntry entry;
  entry.type = transport_.is_plain() ? TrafficType::kTcp : TrafficType::kTls;
  entry.begin_us = worker_.WallUs(begin_);
  entry.end_us = worker_.WallUs(worker_.loop().now());
  if (const auto* spec = listener_->spec; spec != nullptr)
    entry.load_balancer = spec->load_balancer->id;
  entry.client_address = {peer_.text, peer_.text_size};
  entry.client_port = peer_.port;
  entry.listener_port = listener_->port;
  entry.connection_id = log_id();
  if (const tls::ConnectionInfo* tls = transport_.tls_info(); tls != nullptr) {
    entry.tls_protocol = tls->protocol;
    entry.tls_cipher = tls->cipher;
    entry.certificate = tls->certificate;
    entry.domain_name = tls->server_name;
  }
  if (connected_ != SteadyTime()) {
    entry.request_us =
        std::chrono::duration_cast<std::chrono::microseconds>(connected_ - begin_).count();
  }
  entry.received_bytes = tunnel_.bytes_to_target();
  entry.sent_bytes = tunnel_.bytes_to_client();
  if (group_ != nullptr) entry.target_group = group_->id();
  entry.actions = "forward";
  entry.error_reason = http::NameOf(reason);
  AccessAttempt attempt;
  if (in_flight_.last_target() != nullptr) {
    attempt.endpoint = in_flight_.last_target()->endpoint();
    entry.attempts = &attempt;
    entry.attempt_count = 1;
  }
  worker_.log()->Write(worker_.index(), entry);
}

}  // namespace remuda::proxy
