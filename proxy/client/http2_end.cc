// How an HTTP/2 connection ends: by the client, by us, by time.
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "proxy/client/client_worker.h"
#include "proxy/client/http2_connection.h"
#include "proxy/client/http2_limits.h"
#include "proxy/client/http2_stream.h"
#include "proxy/client/http2_worker.h"

namespace remuda::proxy {
namespace {

constexpr uint32_t kGoawayPayloadBytes = 8;
constexpr size_t kGoawayBytes = kHttp2FrameHeadBytes + kGoawayPayloadBytes;

void PutNumber(uint32_t number, size_t bytes, char* out) {
  for (size_t i = 0; i < bytes; ++i)
    out[i] = static_cast<char>(static_cast<uint8_t>(number >> (8 * (bytes - 1 - i))));
}

// Of a frame without flags on no stream.
void PutFrameHead(uint8_t type, uint32_t payload_bytes, char* out) {
  PutNumber(payload_bytes, 3, out);
  PutNumber(type, 1, out + 3);
  PutNumber(0, 1, out + 4);
  PutNumber(0, 4, out + 5);
}

void PutGoaway(uint32_t last_stream, uint32_t error_code, char* out) {
  PutFrameHead(NGHTTP2_GOAWAY, kGoawayPayloadBytes, out);
  PutNumber(last_stream, 4, out + kHttp2FrameHeadBytes);
  PutNumber(error_code, 4, out + kHttp2FrameHeadBytes + 4);
}

}  // namespace

void Http2Connection::CloseIfOver() {
  if (phase_ != Phase::kOpen || shutdown_ == Shutdown::kNoticed || !unsent_.empty()) return;
  if (nghttp2_session_want_read(http2_) != 0 || nghttp2_session_want_write(http2_) != 0) return;
  EndStreams(http::Reason::kClientClosed);
  BeginLinger();
}

int Http2Connection::Broken(uint32_t error_code) {
  failure_ = error_code;
  return NGHTTP2_ERR_CALLBACK_FAILURE;
}

int Http2Connection::Charge(TokenBucket& budget) {
  if (budget.Take(worker_.loop().now())) return 0;
  if (is_told_to_go_) return Broken(NGHTTP2_ENHANCE_YOUR_CALM);
  TellToGo();
  return 0;
}

// Whoever hears of a last stream relies on it that those up to it are served.
void Http2Connection::TellToGo() {
  is_told_to_go_ = true;
  worker_.counters().http2_errors.Add(1);
  resets_ = TokenBucket(kHttp2ResetBurst, kHttp2ResetsASecond);
  frames_ = TokenBucket(kHttp2FrameBurst, kHttp2FramesASecond);
  shutdown_ = Shutdown::kFinal;
  nghttp2_submit_goaway(http2_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(http2_),
                        NGHTTP2_ENHANCE_YOUR_CALM, nullptr, 0);
}

// Returns where its payload goes.
char* Http2Connection::AddFrame(uint8_t type, uint32_t payload_bytes) {
  char* const frame = shared_.Extend(kHttp2FrameHeadBytes + payload_bytes);
  PutFrameHead(type, payload_bytes, frame);
  return frame + kHttp2FrameHeadBytes;
}

void Http2Connection::AddGoaway(uint32_t last_stream, uint32_t error_code) {
  PutGoaway(last_stream, error_code, shared_.Extend(kGoawayBytes));
}

// Written by hand: after a fatal error nghttp2 writes no more.
void Http2Connection::Fail(uint32_t error_code) {
  if (error_code != NGHTTP2_NO_ERROR && !is_told_to_go_) worker_.counters().http2_errors.Add(1);
  const auto last = static_cast<uint32_t>(nghttp2_session_get_last_proc_stream_id(http2_));
  EndStreams(http::Reason::kClientClosed);
  if (unsent_.empty()) {
    shared_.ClearOutput();
    AddGoaway(last, error_code);
    if (!SendOutput() && phase_ != Phase::kOpen) return;
  }
  BeginLinger();
}

void Http2Connection::CloseWhenIdle() {
  if (phase_ != Phase::kOpen || shutdown_ != Shutdown::kNone) return;
  shutdown_ = Shutdown::kNoticed;
  shutdown_at_ = worker_.loop().now();
  is_notice_due_ = true;
  WantFlush();
  ArmTimer();
}

// This may come from within another connection's reading or writing: nothing that is shared is
// touched.
bool Http2Connection::CloseIfIdle() {
  char bytes[kGoawayBytes];
  const bool is_idle = phase_ == Phase::kOpen && stream_count_ == 0 && unsent_.empty() &&
                       headers_since_ == SteadyTime() && !transport_.has_pending() &&
                       recv(transport_.fd(), bytes, 1, MSG_PEEK) <= 0;
  if (!is_idle) return false;
  PutGoaway(static_cast<uint32_t>(nghttp2_session_get_last_proc_stream_id(http2_)),
            NGHTTP2_NO_ERROR, bytes);
  const iovec piece{bytes, sizeof bytes};
  if (transport_.Send(&piece, 1) == static_cast<ssize_t>(sizeof bytes)) transport_.CloseNotify();
  CloseNow();
  return true;
}

// The client knows: what it sends from now on is not served.
void Http2Connection::FinishShutdown() {
  shutdown_ = Shutdown::kFinal;
  nghttp2_submit_goaway(http2_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(http2_),
                        NGHTTP2_NO_ERROR, nullptr, 0);
  WantFlush();
}

void Http2Connection::BeginLinger() {
  if (phase_ != Phase::kOpen) return;
  phase_ = Phase::kLingering;
  worker_.NoteBusy(*this);
  unsent_.Clear(worker_.buffers());
  linger_since_ = worker_.loop().now();
  owes_goodbye_ = true;
  ArmTimer();
  Linger();
}

// Reads on a while, so that the kernel does not reset the connection before the client has read
// what it was sent.
void Http2Connection::Linger() {
  if (owes_goodbye_) owes_goodbye_ = transport_.ShutdownSending() == -EAGAIN;
  while (is_readable_) {
    const Received got = transport_.Receive(shared_.input(), Http2Worker::kInputBytes);
    if (got.bytes < 0 || (got.is_drained && !is_hung_up_)) is_readable_ = false;
    if (got.bytes == -EAGAIN) return;
    if (got.bytes <= 0) return CloseNow();
    lingered_bytes_ += static_cast<size_t>(got.bytes);
    if (lingered_bytes_ > worker_.settings().http2_linger_max_bytes) return CloseNow();
  }
}

void Http2Connection::Abort() {
  EndStreams(http::Reason::kClientClosed);
  CloseNow();
}

void Http2Connection::CloseNow() {
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kClosed;
  timer_.Cancel();
  worker_.loop().ForgetTurnEnd(this);
  unsent_.Clear(worker_.buffers());
  GiveWindowsBack();
  worker_.loop().Remove(transport_.fd(), this);
  transport_.Close();
  listener_.reset();
  worker_.ConnectionClosed(this);
}

// --- Time.

std::chrono::milliseconds Http2Connection::IdleTimeout() const {
  const auto* spec = listener_->spec;  // null: the listener is gone, what is under way ends soon
  return spec != nullptr ? spec->load_balancer->idle_timeout
                         : worker_.settings().request_head_timeout;
}

SteadyTime Http2Connection::IdleDeadline() const {
  const auto* spec = listener_->spec;
  return idle_since_ + (requests_ > 0 && spec != nullptr ? spec->load_balancer->client_keep_alive
                                                         : IdleTimeout());
}

void Http2Connection::ArmTimer() {
  SteadyTime next = SteadyTime::max();
  const auto by = [&](SteadyTime since, auto timeout) {
    if (since != SteadyTime()) next = std::min(next, since + timeout);
  };
  const auto& settings = worker_.settings();
  if (phase_ == Phase::kLingering) {
    by(linger_since_, settings.http2_linger_timeout);
  } else {
    if (!is_preface_seen_) by(opened_at_, settings.request_head_timeout);
    by(headers_since_, settings.request_head_timeout);
    by(unsent_since_, IdleTimeout());
    if (shutdown_ == Shutdown::kNoticed) by(shutdown_at_, kHttp2ShutdownNotice);
    next = std::min(
        next, stream_count_ > 0 ? worker_.loop().now() + kHttp2DeadlineInterval : IdleDeadline());
  }
  timer_.Arm(worker_.loop(), next);
}

void Http2Connection::OnTimer() {
  const SteadyTime now = worker_.loop().now();
  const auto& settings = worker_.settings();
  const auto is_over = [&](SteadyTime since, auto timeout) {
    return since != SteadyTime() && now >= since + timeout;
  };
  if (phase_ == Phase::kLingering) return CloseNow();
  if (!is_preface_seen_ && is_over(opened_at_, settings.request_head_timeout))
    return Fail(NGHTTP2_SETTINGS_TIMEOUT);
  if (is_over(headers_since_, settings.request_head_timeout))
    return Fail(NGHTTP2_ENHANCE_YOUR_CALM);
  if (is_over(unsent_since_, IdleTimeout())) {
    EndStreams(http::Reason::kClientWriteTimeout);
    return CloseNow();
  }
  if (stream_count_ == 0 && now >= IdleDeadline()) return Fail(NGHTTP2_NO_ERROR);
  if (shutdown_ == Shutdown::kNoticed && is_over(shutdown_at_, kHttp2ShutdownNotice))
    FinishShutdown();
  for (Http2Stream* stream = streams_; stream != nullptr; stream = stream->next_)
    ResetOverdue(*stream);
  ArmTimer();
}

// Its exchange watches over a response that is still being made. What comes after that only waits
// for the client, to open its window or to end its request.
void Http2Connection::ResetOverdue(Http2Stream& stream) {
  if (!stream.is_done()) return;
  const SteadyTime now = worker_.loop().now();
  const bool is_answered = stream.answered_at_ != SteadyTime();
  const auto patience = is_answered ? std::min(IdleTimeout(), kHttp2DiscardSilence) : IdleTimeout();
  const auto discard_time =
      shutdown_ == Shutdown::kNone ? kHttp2DiscardTime : kHttp2ShutdownDiscardTime;
  const bool is_overdue = now >= stream.last_progress_ + patience ||
                          (is_answered && now >= stream.answered_at_ + discard_time);
  if (!is_overdue) return;
  nghttp2_submit_rst_stream(http2_, NGHTTP2_FLAG_NONE, stream.id_,
                            is_answered ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
  WantFlush();
}

}  // namespace remuda::proxy
