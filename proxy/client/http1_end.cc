// The end of an exchange and of a connection: what comes next, lingering, and what the worker asks
// for.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "proxy/client/client_worker.h"
#include "proxy/client/http1_connection.h"
#include "proxy/client/upgraded_request.h"
#include "proxy/exchange/exchange.h"

namespace remuda::proxy {
namespace {

// How long answered clients are read from while connections are to end.
constexpr std::chrono::milliseconds kDrainingLinger{2000};

// How long a new connection may take to bring its first request when it is to be closed.
constexpr std::chrono::milliseconds kFirstRequestGrace{250};

}  // namespace

// Goes on to the next request, or ends.
void Http1Connection::FinishExchange() {
  if (!exchange_->is_whole()) {
    CloseNow();
    return;
  }
  const ExchangeEnd end = TakeDownExchange();
  // Its answer may have begun before the drain, and have promised that the connection goes on.
  if (!end.close && (!is_last() || (worker_.keeps_idle() && !is_orphaned()))) {
    PrepareNextRequest();
  } else if (end.linger || transport_.CloseNotify() == -EAGAIN) {
    lingers_for_client_ = end.linger;
    BeginLinger();
  } else {
    CloseNow();
  }
}

ExchangeEnd Http1Connection::TakeDownExchange() {
  const ExchangeEnd end = exchange_->Finish();
  in_ = std::exchange(exchange_->input(), {});
  worker_.GiveExchange(std::exchange(exchange_, nullptr));
  return end;
}

void Http1Connection::PrepareNextRequest() {
  phase_ = Phase::kIdle;
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

void Http1Connection::BeginLinger() {
  phase_ = Phase::kLingering;
  lingered_bytes_ = 0;
  worker_.buffers().Give(in_);
  linger_end_ =
      worker_.loop().now() + (is_last() ? kDrainingLinger : worker_.settings().linger_timeout);
  owes_goodbye_ = transport_.ShutdownSending() == -EAGAIN;
  if (owes_goodbye_) {
    Arm(IdleTimeout());
  } else {
    ArmLinger();
  }
}

void Http1Connection::ArmLinger() {
  timer_.Arm(worker_.loop(),
             std::min(linger_end_, worker_.loop().now() + worker_.settings().linger_silence));
}

// A client that is still sending may read the answer only afterwards, and a reset would take it
// away: what it sends is thrown away for a while.
bool Http1Connection::Linger() {
  if (owes_goodbye_ && transport_.ShutdownSending() == 0) {
    owes_goodbye_ = false;
    if (!lingers_for_client_) return CloseNow();
    ArmLinger();
  }
  const uint64_t before = lingered_bytes_;
  while (is_readable) {
    const ssize_t got = Discard();
    if (got == -EAGAIN) break;
    if (got <= 0) return CloseNow();
    lingered_bytes_ += static_cast<uint64_t>(got);
    if (lingered_bytes_ > worker_.settings().linger_max_bytes) return CloseNow();
    if (lingered_bytes_ - before < kMaxBytesATurn) continue;
    Yield();
    break;
  }
  if (lingered_bytes_ > before && !owes_goodbye_) ArmLinger();
  return false;
}

// Reads and throws away: in the kernel, if the connection is plain.
ssize_t Http1Connection::Discard() {
  if (!transport_.is_plain()) {
    in_ = worker_.buffers().Take();
    const Received got = Receive(in_.room(), in_.capacity);
    worker_.buffers().Give(in_);
    return got.bytes;
  }
  const ssize_t got = recv(transport_.fd(), nullptr, kMaxBytesATurn, MSG_TRUNC | MSG_DONTWAIT);
  if (got < 0) is_readable = false;
  if (got > 0) traffic().received_bytes.Add(static_cast<uint64_t>(got));
  return got < 0 ? -errno : got;
}

bool Http1Connection::CloseNow() {
  if (phase_ == Phase::kClosed) return true;
  if (phase_ == Phase::kTunnel) RecallExchange();
  if (exchange_ != nullptr) {
    // Without TLS's goodbye the client knows that what it got is not whole. Nor may the end of the
    // connection pass for the end of a body.
    if (TakeDownExchange().is_cut_unseen) ResetOnClose(transport_.fd());
  } else if (!is_hung_up_) {
    transport_.CloseNotify();
  }
  timer_.Cancel();
  phase_ = Phase::kClosed;
  worker_.buffers().Give(in_);
  worker_.loop().RemoveClosing(this);
  transport_.Close();
  listener_.reset();
  worker_.Http1Closed(this);
  return true;
}

void Http1Connection::Abort() { CloseNow(); }

void Http1Connection::CloseWhenIdle() {
  close_when_idle_ = true;
  if (phase_ == Phase::kTunnel) return upgraded_->tunnel.SayGoodbye();
  if (phase_ == Phase::kLingering) {
    linger_end_ = std::min(linger_end_, worker_.loop().now() + kDrainingLinger);
    if (!owes_goodbye_) ArmLinger();
  }
  if (phase_ != Phase::kIdle) return;
  // A request may have come that no event has told of yet: closing over it would reset the client.
  is_readable = true;
  Drive();
  if (phase_ != Phase::kIdle || (worker_.keeps_idle() && !is_orphaned())) return;
  if (requests_ > 0) {
    CloseNow();
  } else {
    Arm(kFirstRequestGrace);  // who has just connected is about to ask
  }
}

bool Http1Connection::CloseIfIdle() {
  if (phase_ != Phase::kIdle) return false;
  const uint32_t before = requests_;
  is_readable = true;  // as above
  Drive();
  if (phase_ == Phase::kIdle && requests_ == before) CloseNow();
  return phase_ == Phase::kClosed;
}

TargetState* Http1Connection::target() const {
  if (phase_ == Phase::kTunnel) return upgraded_->upgrade.record.in_flight.target();
  return exchange_ == nullptr ? nullptr : exchange_->target();
}

void Http1Connection::EndExchangeWith(const TargetState& target) {
  if (this->target() != &target) return;
  if (phase_ == Phase::kTunnel) return EndTunnel(http::Reason::kTargetDrainTimeout);
  exchange_->OnDrainTimeout();
  Drive();
}

void Http1Connection::TargetFell(const TargetState& /*target*/, bool is_gone) {
  if (phase_ == Phase::kTunnel) return upgraded_->upgrade.upstream->Doubt(true);
  exchange_->OnTargetFell(is_gone);
  Drive();
}

void Http1Connection::EndUnanswered(const TargetState& /*target*/) {
  if (phase_ != Phase::kExchange) return;
  exchange_->OnTargetGone();
  Drive();
}

}  // namespace remuda::proxy
