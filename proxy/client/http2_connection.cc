// The connection's life: opening, reading, writing once a turn. Its end and its deadlines are in
// http2_end.cc; what nghttp2 tells of frames is in http2_frames.cc.
#include "proxy/client/http2_connection.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "proxy/client/client_worker.h"
#include "proxy/client/http2_limits.h"
#include "proxy/client/http2_stream.h"
#include "proxy/client/http2_worker.h"

namespace remuda::proxy {
namespace {

// What nghttp2 serializes at once: a frame of the usual size with its head, and some.
constexpr size_t kMaxSerializedBytes = 17 * 1024;
static_assert(Http2Worker::kOutputDataBytes + 2 * kMaxSerializedBytes <= Http2Worker::kOutputBytes);

constexpr uint32_t kPingBytes = 8;
constexpr char kProbe[kPingBytes + 1] = "uploads?";  // in a PING; in that of a notice are zeros
constexpr uint32_t kNoStreamRefused = 0x7fffffff;

}  // namespace

Http2Connection::Http2Connection(ClientWorker& worker)
    : Connection(worker),
      shared_(worker.http2()),
      stream_window_(kHttp2StreamWindowBytes),
      known_window_(kHttp2StreamWindowBytes),
      probe_pause_bytes_(kHttp2MinProbeBytes),
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
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, static_cast<uint32_t>(kHttp2StreamWindowBytes)},
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
  worker_.NoteIdle(*this);
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

void Http2Connection::ConsumeOfConnection(size_t bytes) {
  if (phase_ != Phase::kOpen) return;
  nghttp2_session_consume_connection(http2_, bytes);
  WantFlush();
}

void Http2Connection::ConsumeOfStream(int32_t stream_id, size_t bytes) {
  if (phase_ != Phase::kOpen) return;
  nghttp2_session_consume_stream(http2_, stream_id, bytes);
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
    const ssize_t taken = Parse(shared_.input(), static_cast<size_t>(got.bytes));
    if (failure_ != NGHTTP2_NO_ERROR) return Fail(failure_);
    if (taken == NGHTTP2_ERR_FLOODED || taken == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS)
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

// --- Streams and their exchanges. Those are driven here only, never from within nghttp2.

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
    if (stream.exchange_ == nullptr) return;
    if (stream.broken_ != http::Reason::kNone) {
      nghttp2_submit_rst_stream(http2_, NGHTTP2_FLAG_NONE, stream.id_, NGHTTP2_PROTOCOL_ERROR);
      stream.Gone(stream.broken_);
      return;
    }
    if (has_news) stream.is_readable = true;
    stream.Drive();
    return;
  }
  ++requests_;
  stream.Serve(stream.broken_ != http::Reason::kNone ? stream.broken_ : stream.MakeHead());
}

void Http2Connection::RemoveStream(Http2Stream& stream) {
  Unready(stream);
  if (stream.previous_ != nullptr) stream.previous_->next_ = stream.next_;
  if (stream.next_ != nullptr) stream.next_->previous_ = stream.previous_;
  if (streams_ == &stream) streams_ = stream.next_;
  stream.End();
  shared_.GiveStream(&stream);
  if (--stream_count_ > 0) return;
  worker_.NoteIdle(*this);
  idle_since_ = worker_.loop().now();
  ArmTimer();
}

void Http2Connection::EndStreams(http::Reason reason) {
  while (streams_ != nullptr) {
    Http2Stream& stream = *streams_;
    nghttp2_session_set_stream_user_data(http2_, stream.id_, nullptr);
    stream.Gone(reason);
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
      ++unanswered_pings_;
    }
    if (std::exchange(is_probe_due_, false)) {
      std::memcpy(AddFrame(NGHTTP2_PING, kPingBytes), kProbe, kPingBytes);
      ++unanswered_pings_;
    }
    if (failure_ != NGHTTP2_NO_ERROR) {
      Fail(failure_);
      return false;
    }
    if (shared_.output_size() == 0) {
      // What was sent at last may have made room that exchanges wait for.
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

}  // namespace remuda::proxy
