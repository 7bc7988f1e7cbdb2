// The connection's life: opening, reading, writing once a turn, deadlines, shutdown. What nghttp2
// tells of frames is in http2_frames.cc.
#include "proxy/http2_connection.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "proxy/http2_limits.h"
#include "proxy/http2_stream.h"
#include "proxy/http2_worker.h"
#include "proxy/worker.h"

namespace remuda::proxy {
namespace {

// What nghttp2 serializes at once: a frame of the usual size with its head, and some.
constexpr size_t kMaxSerializedBytes = 17 * 1024;
static_assert(Http2Worker::kOutputDataBytes + 2 * kMaxSerializedBytes <= Http2Worker::kOutputBytes);

constexpr size_t kFrameHeadBytes = 9;
constexpr uint32_t kGoawayBytes = 8;
constexpr uint32_t kPingBytes = 8;
constexpr uint32_t kNoStreamRefused = 0x7fffffff;

void PutNumber(uint32_t number, size_t bytes, char* out) {
  for (size_t i = 0; i < bytes; ++i)
    out[i] = static_cast<char>(static_cast<uint8_t>(number >> (8 * (bytes - 1 - i))));
}

}  // namespace

Http2Connection::Http2Connection(Worker& worker)
    : Connection(worker),
      shared_(worker.http2()),
      resets_(kHttp2ResetBurst, kHttp2ResetsASecond),
      frames_(kHttp2FrameBurst, kHttp2FramesASecond),
      timer_([this] { OnTimer(); }) {}

Http2Connection::~Http2Connection() {
  if (phase_ != Phase::kClosed) Abort();
  nghttp2_session_del(http2_);
}

void Http2Connection::Open(Transport transport, const PeerAddress& peer,
                           std::shared_ptr<Listener> listener, IoHandler* watched_by) {
  transport_ = std::move(transport);
  peer_ = peer;
  listener_ = std::move(listener);
  phase_ = Phase::kOpen;
  opened_at_ = idle_since_ = worker_.loop().now();
  http2_ = shared_.NewSession(this);
  const bool is_watched = watched_by == nullptr
                              ? worker_.loop().Add(transport_.fd(), this)
                              : worker_.loop().Rebind(transport_.fd(), watched_by, this);
  if (http2_ == nullptr || !is_watched) return CloseNow();
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kHttp2MaxStreams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kHttp2StreamWindowBytes},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, http::kMaxRequestHeadBytes},
      {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, kHttp2HeaderTableBytes},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
  };
  if (nghttp2_submit_settings(http2_, NGHTTP2_FLAG_NONE, settings, std::size(settings)) != 0 ||
      nghttp2_session_set_local_window_size(http2_, NGHTTP2_FLAG_NONE, 0,
                                            kHttp2ConnectionWindowBytes) != 0) {
    return CloseNow();
  }
  worker_.counters().http2_connections.Add(1);
  WantFlush();
  ArmTimer();
  if (worker_.is_draining()) CloseWhenIdle();
  if (watched_by == nullptr) return;
  // A layer knows what it has left; what comes later has its event with the new handler.
  is_readable_ = transport_.is_plain() || transport_.has_pending();
  Read();
}

void Http2Connection::OnIo(uint32_t events) {
  if ((events & EPOLLIN) != 0) is_readable_ = true;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) is_hung_up_ = is_readable_ = true;
  if (phase_ == Phase::kLingering) return Linger();
  if (!unsent_.empty() && !Flush() && phase_ != Phase::kOpen) return;
  Read();
}

void Http2Connection::OnTurnEnd() {
  if (phase_ != Phase::kOpen) return;
  if (unsent_.empty()) Flush();  // else the client does not take more yet
  if (is_readable_) Read();
}

void Http2Connection::WantFlush() {
  // While it flushes, it goes on until nothing is left; while bytes wait, an event tells when to.
  if (phase_ == Phase::kOpen && !is_flushing_ && unsent_.empty()) worker_.loop().AtTurnEnd(this);
}

void Http2Connection::Consume(int32_t stream_id, size_t bytes) {
  if (phase_ != Phase::kOpen) return;
  nghttp2_session_consume(http2_, stream_id, bytes);
  WantFlush();
}

// --- Reading.

void Http2Connection::Read() {
  size_t total = 0;
  // A client that does not take what it asked for is not asked for more.
  while (phase_ == Phase::kOpen && is_readable_ && (unsent_.empty() || is_hung_up_)) {
    const Received got = transport_.Receive(shared_.input(), Http2Worker::kInputBytes);
    // An end behind what came must still be read.
    if (got.bytes < 0 || (got.is_drained && !is_hung_up_)) is_readable_ = false;
    if (got.bytes == -EAGAIN) break;
    if (got.bytes <= 0) {
      EndStreams(http::Reason::kClientClosed);
      return CloseNow();
    }
    const ssize_t taken = nghttp2_session_mem_recv(
        http2_, reinterpret_cast<const uint8_t*>(shared_.input()), static_cast<size_t>(got.bytes));
    if (is_flooded_ || taken == NGHTTP2_ERR_FLOODED || taken == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS)
      return Fail(NGHTTP2_ENHANCE_YOUR_CALM);
    if (taken < 0)
      return Fail(taken == NGHTTP2_ERR_NOMEM ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_PROTOCOL_ERROR);
    Serve();
    total += static_cast<size_t>(got.bytes);
    if (total >= kHttp2TurnBytes && is_readable_) {
      worker_.loop().AtTurnEnd(this);  // goes on then
      return;
    }
  }
  if (phase_ == Phase::kOpen &&
      (nghttp2_session_want_write(http2_) != 0 || nghttp2_session_want_read(http2_) == 0)) {
    WantFlush();
  }
}

// --- Streams and their sessions. Sessions are driven here only, never from within nghttp2.

void Http2Connection::Ready(Http2Stream& stream) {
  if (stream.is_ready_) return;
  stream.is_ready_ = true;
  stream.next_ready_ = nullptr;
  (ready_first_ == nullptr ? ready_first_ : ready_last_->next_ready_) = &stream;
  ready_last_ = &stream;
}

void Http2Connection::Unready(Http2Stream& stream) {
  if (!stream.is_ready_) return;
  stream.is_ready_ = false;
  Http2Stream* before = nullptr;
  for (Http2Stream* at = ready_first_; at != &stream; at = at->next_ready_) before = at;
  (before == nullptr ? ready_first_ : before->next_ready_) = stream.next_ready_;
  if (ready_last_ == &stream) ready_last_ = before;
}

void Http2Connection::Serve() {
  while (phase_ == Phase::kOpen && ready_first_ != nullptr) {
    Http2Stream& stream = *ready_first_;
    Unready(stream);
    ServeStream(stream);
  }
}

void Http2Connection::ServeStream(Http2Stream& stream) {
  const bool has_news = std::exchange(stream.has_news_, false);
  if (stream.is_served_) {
    if (stream.session_ == nullptr) return;
    if (stream.broken_ != http::Reason::kNone) {
      nghttp2_submit_rst_stream(http2_, NGHTTP2_FLAG_NONE, stream.id_, NGHTTP2_PROTOCOL_ERROR);
      std::exchange(stream.session_, nullptr)->OnStreamGone(stream.broken_);
    } else if (has_news) {
      stream.session_->OnStreamReadable();
    } else {
      stream.session_->Drive();
    }
    return;
  }
  stream.is_served_ = true;
  ++requests_;
  const http::Reason refusal =
      stream.broken_ != http::Reason::kNone ? stream.broken_ : stream.MakeHead();
  stream.session_ = worker_.NewStreamSession();
  stream.session_->set_log_id(log_id());
  stream.session_->Open(stream, peer_, listener_);
  if (refusal == http::Reason::kNone) {
    stream.session_->OnStreamReadable();
  } else {
    stream.session_->RefuseStream(refusal);
  }
}

void Http2Connection::RemoveStream(Http2Stream& stream) {
  Unready(stream);
  if (stream.previous_ != nullptr) stream.previous_->next_ = stream.next_;
  if (stream.next_ != nullptr) stream.next_->previous_ = stream.previous_;
  if (streams_ == &stream) streams_ = stream.next_;
  stream.End();
  shared_.GiveStream(&stream);
  if (--stream_count_ > 0) return;
  idle_since_ = worker_.loop().now();
  ArmTimer();
}

void Http2Connection::EndStreams(http::Reason reason) {
  while (streams_ != nullptr) {
    Http2Stream& stream = *streams_;
    nghttp2_session_set_stream_user_data(http2_, stream.id_, nullptr);
    if (stream.session_ != nullptr) std::exchange(stream.session_, nullptr)->OnStreamGone(reason);
    RemoveStream(stream);
  }
}

// --- Writing.

// What was left of an earlier turn. False if some still is, or the connection is closed.
bool Http2Connection::SendUnsent() {
  while (!unsent_.empty()) {
    const std::string_view front = unsent_.Front();
    const iovec piece{const_cast<char*>(front.data()), front.size()};
    const ssize_t sent = transport_.Send(&piece, 1);
    if (sent == -EAGAIN) return false;
    if (sent < 0) {
      EndStreams(http::Reason::kClientClosed);
      CloseNow();
      return false;
    }
    unsent_.Drop(worker_.buffers(), static_cast<size_t>(sent));
    unsent_since_ = worker_.loop().now();
  }
  unsent_since_ = SteadyTime();
  return true;
}

bool Http2Connection::SendOutput() {
  const iovec piece{shared_.output(), shared_.output_size()};
  ssize_t sent = transport_.Send(&piece, 1);
  if (sent < 0 && sent != -EAGAIN) {
    shared_.ClearOutput();
    EndStreams(http::Reason::kClientClosed);
    CloseNow();
    return false;
  }
  const size_t done = sent < 0 ? 0 : static_cast<size_t>(sent);
  const bool is_all = done == shared_.output_size();
  if (!is_all) {
    unsent_.Append(worker_.buffers(), shared_.output() + done, shared_.output_size() - done);
    unsent_since_ = worker_.loop().now();
    ArmTimer();
  }
  shared_.ClearOutput();
  return is_all;
}

// Serializes frames until there is no room or none left. False if nghttp2 failed.
bool Http2Connection::FillOutput() {
  while (shared_.HasRoom(kMaxSerializedBytes, Http2Worker::kOutputBytes)) {
    const uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(http2_, &data);
    if (size < 0) return false;
    if (size == 0) return true;
    shared_.Append(data, static_cast<size_t>(size));
  }
  return true;
}

bool Http2Connection::Flush() {
  is_flushing_ = true;
  const bool is_all = FlushAll();
  is_flushing_ = false;
  return is_all;
}

bool Http2Connection::FlushAll() {
  size_t total = 0;
  while (phase_ == Phase::kOpen) {
    if (!unsent_.empty() && !SendUnsent()) return false;
    shared_.ClearOutput();
    if (!FillOutput()) {
      EndStreams(http::Reason::kClientClosed);
      CloseNow();
      return false;
    }
    // By hand: once nghttp2 has said GOAWAY on an idle connection, it serves nothing more.
    if (std::exchange(is_notice_due_, false)) {
      AddGoaway(kNoStreamRefused, NGHTTP2_NO_ERROR);
      std::memset(AddFrame(NGHTTP2_PING, kPingBytes), 0, kPingBytes);
    }
    if (is_flooded_) {
      Fail(NGHTTP2_ENHANCE_YOUR_CALM);
      return false;
    }
    if (shared_.output_size() == 0) {
      // What was sent at last may have made room that sessions wait for.
      if (ready_first_ == nullptr) break;
      Serve();
      continue;
    }
    total += shared_.output_size();
    if (!SendOutput()) return false;
    Serve();  // there is room again
    if (total >= kHttp2TurnBytes) {
      worker_.loop().AtTurnEnd(this);  // others first
      return true;
    }
  }
  CloseIfOver();
  return phase_ == Phase::kOpen;
}

// --- The end.

void Http2Connection::CloseIfOver() {
  if (phase_ != Phase::kOpen || shutdown_ == Shutdown::kNoticed || !unsent_.empty()) return;
  if (nghttp2_session_want_read(http2_) != 0 || nghttp2_session_want_write(http2_) != 0) return;
  EndStreams(http::Reason::kClientClosed);
  BeginLinger();
}

int Http2Connection::Flooded() {
  is_flooded_ = true;
  return NGHTTP2_ERR_CALLBACK_FAILURE;
}

// Writes the head of a frame without flags on no stream; returns where its payload goes.
char* Http2Connection::AddFrame(uint8_t type, uint32_t payload_bytes) {
  char* const frame = shared_.Extend(kFrameHeadBytes + payload_bytes);
  PutNumber(payload_bytes, 3, frame);
  PutNumber(type, 1, frame + 3);
  PutNumber(0, 1, frame + 4);
  PutNumber(0, 4, frame + 5);
  return frame + kFrameHeadBytes;
}

void Http2Connection::AddGoaway(uint32_t last_stream, uint32_t error_code) {
  char* const payload = AddFrame(NGHTTP2_GOAWAY, kGoawayBytes);
  PutNumber(last_stream, 4, payload);
  PutNumber(error_code, 4, payload + 4);
}

// Written by hand: after a fatal error nghttp2 writes no more.
void Http2Connection::Fail(uint32_t error_code) {
  if (error_code != NGHTTP2_NO_ERROR) worker_.counters().http2_errors.Add(1);
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
    if (lingered_bytes_ > worker_.settings().linger_max_bytes) return CloseNow();
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
    by(linger_since_, settings.linger_timeout);
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
  for (Http2Stream* stream = streams_; stream != nullptr; stream = stream->next_) {
    // Its session watches over a response that is still being made; this one only waits for the
    // client to open its window.
    if (!stream->is_done() || !is_over(stream->last_progress_, IdleTimeout())) continue;
    nghttp2_submit_rst_stream(http2_, NGHTTP2_FLAG_NONE, stream->id_, NGHTTP2_CANCEL);
    WantFlush();
  }
  ArmTimer();
}

}  // namespace remuda::proxy
