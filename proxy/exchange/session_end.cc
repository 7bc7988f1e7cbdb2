// The end of an exchange and of a connection: what is given back, what comes next, and deadlines.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "proxy/client/client_worker.h"
#include "proxy/client/upgraded_session.h"
#include "proxy/exchange/session.h"

namespace remuda::proxy {
namespace {

// How long answered clients are read from while connections are to end.
constexpr std::chrono::milliseconds kDrainingLinger{2000};

// How long a new connection may take to bring its first request when it is to be closed.
constexpr std::chrono::milliseconds kFirstRequestGrace{250};

}  // namespace

// The answer is out: writes the log and goes on to the next request, or ends.
void Session::FinishExchange() {
  DropExchange();
  is_answered_ = true;
  if (stream_ != nullptr) {
    CloseNow();
  } else if (!MustClose()) {
    PrepareNextRequest();
  } else if (linger_after_ || transport_.CloseNotify() == -EAGAIN) {
    BeginLinger();
  } else {
    CloseNow();
  }
}

// Logs, and gives back what the exchange held. Input behind its request stays in in_.
void Session::DropExchange() {
  if (exchange_ == nullptr) return;
  Exchange& x = *exchange_;
  // Ended without an answer, as AWS counts a 460, or within the target's.
  if (x.reason != http::Reason::kNone && (x.status == 0 || x.any_answered))
    worker_.counters().reasons[static_cast<size_t>(x.reason)].Add(1);
  if (x.reason != http::Reason::kNone && x.status == 0)
    traffic().own_codes[static_cast<size_t>(http::StatusOf(x.reason) / 100)].Add(1);
  if (x.queued.is_waiting()) LeaveQueue();
  if (x.upstream != nullptr) ReleaseUpstream(false);
  x.in_flight.End(worker_);
  if (ClassifyExchange().classification != http::Classification::kCompliant)
    traffic().non_compliant.Add(1);
  if (worker_.log() != nullptr) WriteLog();
  // Without a body in chunks, body_end is where the next request begins; DecodeBody keeps it so
  // with them.
  if (x.head_size > 0) in_.begin = std::min(in_.end, std::max(x.body_end, x.head_size));
  worker_.buffers().Give(x.request_head);
  worker_.buffers().Give(x.rewritten_bytes);
  worker_.buffers().Give(x.response_in);
  worker_.buffers().Give(x.response_head);
  worker_.pipes().Give(std::move(x.request_pipe));
  worker_.pipes().Give(std::move(x.response_pipe));
  if (x.table != nullptr) worker_.Unpin(x.table);
  x.in_flight.Unpin(worker_);
  worker_.GiveExchange(exchange_);
  exchange_ = nullptr;
}

void Session::PrepareNextRequest() {
  phase_ = Phase::kIdle;
  is_answered_ = false;
  if (in_.size() == 0 || in_.capacity != BufferPool::kBlockBytes) {
    Buffer rest;
    if (in_.size() > 0) {  // back into a block of the usual size, if it fits
      rest = in_.size() <= BufferPool::kBlockBytes ? worker_.buffers().Take()
                                                   : BufferPool::TakeLarge();
      std::memcpy(rest.block.get(), in_.data(), in_.size());
      rest.end = in_.size();
    }
    worker_.buffers().Give(in_);
    in_ = std::move(rest);
  } else {
    std::memmove(in_.block.get(), in_.data(), in_.size());
    in_.end = in_.size();
    in_.begin = 0;
  }
  worker_.NoteIdle(*this);
  const auto* spec = listener_->spec;
  Arm(spec != nullptr ? spec->load_balancer->client_keep_alive : std::chrono::milliseconds(1000));
}

bool Session::BeginLinger() {
  phase_ = Phase::kLingering;
  lingered_bytes_ = 0;
  in_.begin = in_.end = 0;
  worker_.buffers().Give(in_);
  const bool is_last = close_when_idle_ || worker_.is_draining();
  linger_end_ =
      worker_.loop().now() + (is_last ? kDrainingLinger : worker_.settings().linger_timeout);
  owes_goodbye_ = transport_.ShutdownSending() == -EAGAIN;
  if (owes_goodbye_) {
    Arm(IdleTimeout());
  } else {
    ArmLinger();
  }
  return true;
}

void Session::ArmLinger() {
  timer_.Arm(worker_.loop(),
             std::min(linger_end_, worker_.loop().now() + worker_.settings().linger_silence));
}

// A client that is still sending may read the answer only afterwards, and a reset would take it
// away: what it sends is thrown away for a while.
bool Session::Linger() {
  if (owes_goodbye_ && transport_.ShutdownSending() == 0) {
    owes_goodbye_ = false;
    if (!linger_after_) return CloseNow();
    ArmLinger();
  }
  const uint64_t before = lingered_bytes_;
  while (is_readable_) {
    const ssize_t got = Discard();
    if (got == -EAGAIN) break;
    if (got <= 0) return CloseNow();
    lingered_bytes_ += static_cast<uint64_t>(got);
    if (lingered_bytes_ > worker_.settings().linger_max_bytes) return CloseNow();
    if (lingered_bytes_ - before < kMaxBytesATurn) continue;
    worker_.loop().Rebind(transport_.fd(), this, this);  // others first
    break;
  }
  if (lingered_bytes_ > before && !owes_goodbye_) ArmLinger();
  return false;
}

// Reads and throws away: in the kernel, if the connection is plain.
ssize_t Session::Discard() {
  if (!transport_.is_plain()) {
    in_ = worker_.buffers().Take();
    const ssize_t got = ReceiveFromClient(in_.capacity);
    in_.begin = in_.end = 0;
    worker_.buffers().Give(in_);
    return got;
  }
  const ssize_t got = recv(transport_.fd(), nullptr, kMaxBytesATurn, MSG_TRUNC | MSG_DONTWAIT);
  if (got < 0) is_readable_ = false;
  if (got > 0) traffic().received_bytes.Add(static_cast<uint64_t>(got));
  return got < 0 ? -errno : got;
}

bool Session::CloseNow() {
  if (phase_ == Phase::kClosed) return true;
  if (phase_ == Phase::kTunnel) RecallExchange();
  // Without it the client knows that what it got is not whole.
  if (exchange_ == nullptr && !is_hung_up_) transport_.CloseNotify();
  // Nor may the end of the connection pass for the end of a body.
  const bool is_cut = exchange_ != nullptr && exchange_->any_answered &&
                      exchange_->client_body == http::BodyKind::kUntilClose;
  if (is_cut && stream_ == nullptr) ResetOnClose(transport_.fd());
  DropExchange();
  timer_.Cancel();
  phase_ = Phase::kClosed;
  worker_.buffers().Give(in_);
  if (stream_ != nullptr) {
    std::exchange(stream_, nullptr)->Finish(is_answered_);
  } else {
    worker_.loop().RemoveClosing(this);
    transport_.Close();
  }
  listener_.reset();
  worker_.SessionClosed(this);
  return true;
}

void Session::Abort() { CloseNow(); }

void Session::CloseWhenIdle() {
  close_when_idle_ = true;
  if (phase_ == Phase::kTunnel) return upgraded_->tunnel.SayGoodbye();
  if (phase_ == Phase::kLingering) {
    linger_end_ = std::min(linger_end_, worker_.loop().now() + kDrainingLinger);
    if (!owes_goodbye_) ArmLinger();
  }
  if (phase_ != Phase::kIdle) return;
  // A request may have come that no event has told of yet: closing over it would reset the client.
  is_readable_ = true;
  Drive();
  if (phase_ != Phase::kIdle) return;
  if (requests_ > 0) {
    CloseNow();
  } else {
    Arm(kFirstRequestGrace);  // who has just connected is about to ask
  }
}

bool Session::CloseIfIdle() {
  if (phase_ != Phase::kIdle) return false;
  const uint32_t before = requests_;
  is_readable_ = true;  // as above
  Drive();
  if (phase_ == Phase::kIdle && requests_ == before) CloseNow();
  return phase_ == Phase::kClosed;
}

void Session::EndExchangeWith(const TargetState& target) {
  if (phase_ == Phase::kTunnel && upgraded_->record.in_flight.target() == &target) {
    EndTunnel(http::Reason::kTargetDrainTimeout);
    return;
  }
  if (exchange_ == nullptr || exchange_->in_flight.target() != &target) return;
  Exchange& x = *exchange_;
  if (x.any_answered) {
    x.reason = http::Reason::kTargetDrainTimeout;
    CloseNow();  // cut short: the client must see that it is not whole
    return;
  }
  FailAttempt(http::Reason::kTargetDrainTimeout, false);
  Drive();
}

TargetState* Session::target() const {
  if (phase_ == Phase::kTunnel) return upgraded_->record.in_flight.target();
  return exchange_ == nullptr ? nullptr : exchange_->in_flight.target();
}

// A connect is given up if there is another that is well; nothing was sent. With what is sent
// already the kernel finds out whether the host still answers: an application that is only slow may
// finish.
void Session::TargetFell(const TargetState& /*target*/, bool is_gone) {
  if (phase_ != Phase::kConnecting) {
    const bool is_tunnel = phase_ == Phase::kTunnel;
    UpstreamConnection* const upstream = is_tunnel ? upgraded_->upstream : exchange_->upstream;
    if (upstream == nullptr) return;
    upstream->is_doubted = true;
    DoubtPeer(upstream->transport.fd(), is_tunnel || !IsUploadOver());
    return;
  }
  Exchange& x = *exchange_;
  x.pick.tried = {x.tried.data(), x.attempts};
  if (!is_gone && !worker_.HasHealthyUntried(*x.group, x.pick)) return;
  x.has_connect_timed_out = true;  // as good as
  FailAttempt(http::Reason::kTargetConnectFailed, false);
  Drive();
}

void Session::EndUnanswered(const TargetState& /*target*/) {
  if (phase_ != Phase::kConnecting && phase_ != Phase::kForwarding) return;
  // What it has sent may still be on its way.
  if (exchange_->has_response_bytes || exchange_->any_answered) return;
  FailAttempt(http::Reason::kTargetClosed, false);
  Drive();
}

void Session::OnTimer() {
  Exchange* x = exchange_;
  switch (phase_) {
    case Phase::kClosed:
    case Phase::kTunnel:
      return;
    case Phase::kIdle:
    case Phase::kLingering:
      CloseNow();
      return;
    case Phase::kHead:
      Answer(http::Reason::kClientHeadTimeout);
      break;
    case Phase::kQueued:
      LeaveQueue();
      Answer(http::Reason::kQueueTimeout);
      break;
    case Phase::kConnecting:
      FailAttempt(http::Reason::kTargetConnectTimeout, true);
      break;
    case Phase::kAnswering:
      x->reason = http::Reason::kClientWriteTimeout;
      CloseNow();
      return;
    case Phase::kForwarding:
      if (!OnForwardingTimer()) return;
      break;
  }
  Drive();
}

// Whoever it was that we waited for. False: there is nothing to drive.
bool Session::OnForwardingTimer() {
  Exchange& x = *exchange_;
  const bool is_in_time = IsUploadInTime();
  if (is_in_time && worker_.loop().now() < x.last_progress + IdleTimeout()) {
    ArmForwarding();
    return false;
  }
  const bool is_clients = !is_in_time || AwaitsBody();
  const bool is_client_behind =
      !x.to_client.empty() || (x.response_pipe != nullptr && x.response_pipe->size() > 0);
  if (is_client_behind || x.any_answered) {
    x.reason = is_client_behind ? http::Reason::kClientWriteTimeout
               : is_clients     ? http::Reason::kClientBodyTimeout
                                : http::Reason::kTargetResponseTimeout;
    CloseNow();
    return false;
  }
  // Without a 100 (Continue) neither side has to go on: the client may never mean to.
  if (!is_clients && !MayAwaitContinue()) NoteOutcome(true);
  ReleaseUpstream(false);
  x.in_flight.End(worker_);
  Answer(is_clients ? http::Reason::kClientBodyTimeout : http::Reason::kTargetResponseTimeout);
  return true;
}

}  // namespace remuda::proxy
