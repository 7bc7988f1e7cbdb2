// What nghttp2 tells of a connection's frames. Called from within nghttp2_session_mem_recv and
// _mem_send: notes what came, and leaves exchanges alone but for streams that are gone.
#include <algorithm>
#include <utility>

#include "proxy/client/client_worker.h"
#include "proxy/client/http2_connection.h"
#include "proxy/client/http2_limits.h"
#include "proxy/client/http2_stream.h"
#include "proxy/client/http2_worker.h"

namespace remuda::proxy {
namespace {

// A DATA frame with its head is one whole TLS record: none of few bytes follows it.
constexpr size_t kMaxDataBytes = 16 * 1024 - kHttp2FrameHeadBytes;

Http2Stream* StreamOf(nghttp2_session* session, int32_t id) {
  return static_cast<Http2Stream*>(nghttp2_session_get_stream_user_data(session, id));
}

bool EndsStream(const nghttp2_frame& frame) {
  return (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
}

// Resets that we send because of what the client did.
bool IsClientsFault(uint32_t error_code) {
  switch (error_code) {
    case NGHTTP2_PROTOCOL_ERROR:
    case NGHTTP2_FLOW_CONTROL_ERROR:
    case NGHTTP2_STREAM_CLOSED:
    case NGHTTP2_FRAME_SIZE_ERROR:
      return true;
    default:
      return false;
  }
}

}  // namespace

uint32_t ClosedStreams::ErrorOf(int32_t id, bool is_headers) const {
  if (std::find(ended_.begin(), ended_.end(), id) != ended_.end()) return NGHTTP2_STREAM_CLOSED;
  if (id <= skipped_after_ || id >= skipped_before_) return NGHTTP2_NO_ERROR;
  return is_headers ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_STREAM_CLOSED;
}

// Of a stream that is not open.
int Http2Connection::CheckClosed(int32_t stream_id, bool is_headers) {
  const bool is_open =
      stream_id == 0 || stream_id > newest_stream_ || StreamOf(http2_, stream_id) != nullptr;
  if (is_open) return 0;
  const uint32_t error = closed_.ErrorOf(stream_id, is_headers);
  return error == NGHTTP2_NO_ERROR ? 0 : Broken(error);
}

// nghttp2 says nothing of DATA on a stream that is over. Whether it is over is known once all
// before the frame has been dealt with.
ssize_t Http2Connection::Parse(const char* data, size_t size) {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(data);
  size_t done = 0;
  const auto go_on_to = [&](size_t end) -> ssize_t {
    const size_t begin = std::exchange(done, end);
    return begin == end ? 0 : nghttp2_session_mem_recv(http2_, bytes + begin, end - begin);
  };
  http::Http2FrameHeads::Head head;
  for (size_t at = 0; heads_.Next(data, size, at, head);) {
    if (head.type != NGHTTP2_DATA) continue;
    if (const ssize_t result = go_on_to(head.begin); result < 0) return result;
    if (CheckClosed(static_cast<int32_t>(head.stream), false) != 0)
      return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  return go_on_to(size);
}

// What nghttp2 lets pass is judged here, before it sees the frame.
int Http2Connection::OnBeginFrame(const nghttp2_frame_hd& head) {
  switch (head.type) {
    case NGHTTP2_HEADERS:
      if (head.stream_id > newest_stream_) {
        closed_.Skip(newest_stream_, head.stream_id);
        newest_stream_ = head.stream_id;
        // Those that begin a stream are bounded by streams; none begins after the last GOAWAY.
        return shutdown_ == Shutdown::kFinal ? Charge(frames_) : 0;
      }
      if (const int result = CheckClosed(head.stream_id, true); result != 0) return result;
      return Charge(frames_);   // of a stream that is closed nothing else tells
    case NGHTTP2_CONTINUATION:  // bounded by kHttp2MaxContinuations
    case NGHTTP2_DATA:          // by windows; empty ones when they are there
      return 0;
    case NGHTTP2_RST_STREAM: {
      // One that only says that enough has come undoes no work.
      const Http2Stream* const stream = StreamOf(http2_, head.stream_id);
      return Charge(stream != nullptr && !stream->is_done() ? resets_ : frames_);
    }
    case NGHTTP2_PRIORITY:  // nghttp2 ignores them all (RFC 9113 section 6.3)
      return head.stream_id == 0 ? Broken(NGHTTP2_PROTOCOL_ERROR) : Charge(frames_);
    case NGHTTP2_PING:
      if ((head.flags & NGHTTP2_FLAG_ACK) != 0 && unanswered_pings_ > 0) {
        --unanswered_pings_;
        return 0;
      }
      return Charge(frames_);
    default:
      return Charge(frames_);
  }
}

// A frame that nghttp2 finds to be wrong, or more than the client was told that it may send. Others
// are charged by the reset that they cause.
int Http2Connection::OnInvalidFrame(int error) {
  return error == NGHTTP2_ERR_REFUSED_STREAM ? Charge(resets_) : 0;
}

// For want of room, or because the proxy is about to end it: not the client's doing.
int Http2Connection::RefuseStream(int32_t stream_id) {
  worker_.counters().http2_refused_streams.Add(1);
  return nghttp2_submit_rst_stream(http2_, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_REFUSED_STREAM);
}

int Http2Connection::OnBeginHeaders(const nghttp2_frame& frame) {
  header_block_bytes_ = 0;
  if (frame.hd.type != NGHTTP2_HEADERS || frame.headers.cat != NGHTTP2_HCAT_REQUEST) {
    headers_since_ = worker_.loop().now();
    return 0;
  }
  frames_.Earn(kHttp2FramesARequest);
  const int32_t id = frame.hd.stream_id;
  // Streams that nghttp2 has closed still count while their exchanges are under way. What is
  // refused has no further callback. After the last GOAWAY a stream would be dropped with its
  // request under way.
  worker_.NoteBusy(*this);
  AddressLimit::Place place;
  if (stream_count_ >= kHttp2MaxStreams || listener_->spec == nullptr ||
      shutdown_ == Shutdown::kFinal || !transport_.TakeAnotherPlace(place) ||
      !worker_.TakeStreamPlace()) {
    if (stream_count_ == 0) worker_.NoteIdle(*this);
    return RefuseStream(id);
  }
  headers_since_ = worker_.loop().now();
  Http2Stream& stream = *shared_.TakeStream(worker_);
  stream.Begin(*this, id, std::move(place));
  stream.previous_ = nullptr;
  stream.next_ = streams_;
  if (streams_ != nullptr) streams_->previous_ = &stream;
  streams_ = &stream;
  if (++stream_count_ == 1) ArmTimer();
  worker_.counters().http2_streams.Add(1);
  // In turns, byte by byte as it were, whatever the client would prefer.
  const nghttp2_extpri fair{NGHTTP2_EXTPRI_DEFAULT_URGENCY, 1};
  nghttp2_session_change_extpri_stream_priority(http2_, id, &fair, 1);
  return nghttp2_session_set_stream_user_data(http2_, id, &stream);
}

int Http2Connection::OnHeader(const nghttp2_frame& frame, std::string_view name,
                              std::string_view value) {
  header_block_bytes_ += name.size() + value.size() + 32;
  if (header_block_bytes_ > kHttp2MaxHeaderBlockBytes) return Broken(NGHTTP2_ENHANCE_YOUR_CALM);
  Http2Stream* const stream = StreamOf(http2_, frame.hd.stream_id);
  if (stream == nullptr || stream->is_refused_) return 0;
  if (frame.headers.cat != NGHTTP2_HCAT_REQUEST) {
    stream->trailers_.Add(name, value);
    return 0;
  }
  stream->fields_.Add(name, value);
  if (ChargeHead(*stream)) return 0;
  stream->is_refused_ = true;
  stream->fields_.Reset();
  return 0;
}

bool Http2Connection::ChargeHead(Http2Stream& stream) {
  if (stream.head_charge_ > 0 || stream.fields_.list_bytes() <= kHttp2SmallHeadBytes) return true;
  if (head_bytes_ + BufferPool::kLargeBytes > kHttp2ConnectionHeadBytes ||
      !shared_.TakeHead(BufferPool::kLargeBytes)) {
    return false;
  }
  stream.head_charge_ = BufferPool::kLargeBytes;
  head_bytes_ += stream.head_charge_;
  return true;
}

void Http2Connection::ReleaseHead(Http2Stream& stream) {
  head_bytes_ -= stream.head_charge_;
  shared_.GiveHead(std::exchange(stream.head_charge_, 0));
}

int Http2Connection::OnFrame(const nghttp2_frame& frame) {
  switch (frame.hd.type) {
    case NGHTTP2_HEADERS:
      headers_since_ = SteadyTime();
      if (Http2Stream* const stream = StreamOf(http2_, frame.hd.stream_id))
        return OnHeadersEnd(*stream, frame);
      return 0;
    case NGHTTP2_DATA:
      if (EndsStream(frame)) {
        if (Http2Stream* const stream = StreamOf(http2_, frame.hd.stream_id)) OnRequestEnd(*stream);
      } else if (frame.hd.length <= frame.data.padlen) {
        return Charge(frames_);
      }
      return 0;
    case NGHTTP2_RST_STREAM:
      if (Http2Stream* const stream = StreamOf(http2_, frame.hd.stream_id))
        stream->is_reset_ = true;
      return 0;
    case NGHTTP2_SETTINGS:
      is_preface_seen_ = true;
      return 0;
    case NGHTTP2_PING:
      if ((frame.hd.flags & NGHTTP2_FLAG_ACK) == 0) return 0;
      if (is_probing_ && frame.ping.opaque_data[0] != 0) {
        OnProbeAnswered();
      } else if (shutdown_ == Shutdown::kNoticed) {
        FinishShutdown();
      }
      return 0;
    default:
      return 0;
  }
}

int Http2Connection::OnHeadersEnd(Http2Stream& stream, const nghttp2_frame& frame) {
  if (stream.is_refused_) {
    nghttp2_session_set_stream_user_data(http2_, stream.id_, nullptr);
    const int32_t id = stream.id_;
    RemoveStream(stream);
    return RefuseStream(id);
  }
  // Trailers end a request (RFC 9113 section 8.1).
  if (frame.headers.cat != NGHTTP2_HCAT_REQUEST && stream.broken_ == http::Reason::kNone) {
    stream.broken_ = EndsStream(frame) ? stream.trailers_.reason() : http::Reason::kBadTrailer;
  }
  if (EndsStream(frame)) {
    OnRequestEnd(stream);
  } else {
    stream.has_news_ = true;
    Ready(stream);
  }
  return 0;
}

void Http2Connection::OnRequestEnd(Http2Stream& stream) {
  stream.has_ended_ = stream.has_news_ = true;
  if (stream.is_served_ && stream.broken_ == http::Reason::kNone && stream.IsBodyShort())
    stream.broken_ = http::Reason::kBodyMismatch;
  Ready(stream);
}

int Http2Connection::OnData(int32_t stream_id, const char* data, size_t size) {
  Http2Stream* const stream = StreamOf(http2_, stream_id);
  if (stream == nullptr || stream->is_done() || stream->broken_ != http::Reason::kNone) {
    Consume(stream_id, size);
    if (stream == nullptr || stream->answered_at_ == SteadyTime()) return 0;
    stream->last_progress_ = worker_.loop().now();
    stream->discarded_ += size;
    if (stream->discarded_ <= kHttp2DiscardBytes) return 0;
    return nghttp2_submit_rst_stream(http2_, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_NO_ERROR);
  }
  stream->has_news_ = true;
  NoteUpload(*stream, size);
  if (!stream->TakeBody(data, size)) {
    stream->broken_ = http::Reason::kBodyMismatch;
    Consume(stream_id, size);
  }
  Ready(*stream);
  return 0;
}

int Http2Connection::OnStreamClosed(int32_t stream_id) {
  Http2Stream* const stream = StreamOf(http2_, stream_id);
  if (stream == nullptr) return 0;
  nghttp2_session_set_stream_user_data(http2_, stream_id, nullptr);
  if (stream->has_ended_ || stream->is_reset_) closed_.Note(stream_id);
  stream->Gone(http::Reason::kClientClosed);
  if (const size_t unread = stream->body_.size(); unread > 0) stream->Consumed(unread);
  RemoveStream(*stream);
  return 0;
}

ssize_t Http2Connection::OnReadResponse(Http2Stream& stream, size_t size, uint32_t& flags) {
  const size_t part = std::min({size, kMaxDataBytes, stream.out_.size()});
  if (part == 0 && !stream.is_whole_) {
    if (stream.is_cut_)
      nghttp2_submit_rst_stream(http2_, NGHTTP2_FLAG_NONE, stream.id_, NGHTTP2_INTERNAL_ERROR);
    stream.is_deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (stream.is_whole_ && part == stream.out_.size()) {
    flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream.SubmitTrailers()) flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
  }
  return static_cast<ssize_t>(part);
}

int Http2Connection::OnSendData(Http2Stream& stream, const uint8_t* frame_head, size_t size) {
  if (!shared_.HasRoom(kHttp2FrameHeadBytes + size, Http2Worker::kOutputDataBytes))
    return NGHTTP2_ERR_WOULDBLOCK;
  shared_.Append(frame_head, kHttp2FrameHeadBytes);
  stream.out_.Take(worker_.buffers(), shared_.Extend(size), size);
  response_bytes_ -= size;
  stream.last_progress_ = worker_.loop().now();
  if (stream.wants_room_ && stream.out_.size() <= kHttp2ResponseBufferBytes / 2) {
    stream.wants_room_ = false;
    Ready(stream);
  }
  return 0;
}

int Http2Connection::OnFrameSent(const nghttp2_frame& frame) {
  if (frame.hd.type == NGHTTP2_RST_STREAM) {
    if (IsClientsFault(frame.rst_stream.error_code)) Charge(resets_);  // FlushAll sees the failure
    return 0;
  }
  if (frame.hd.type == NGHTTP2_DATA) {
    frames_.Earn(kHttp2FramesADataFrame +
                 static_cast<double>(frame.hd.length / kHttp2SentBytesAFrame));
  } else if (frame.hd.type != NGHTTP2_HEADERS) {
    return 0;
  }
  if (!EndsStream(frame)) return 0;
  resets_.Earn(kHttp2ResetsAnAnswer);
  // The response is whole before the request is. The rest of it is not wanted (RFC 9113
  // section 8.1), but is read for a while before the client is told so.
  Http2Stream* const stream = StreamOf(http2_, frame.hd.stream_id);
  if (stream != nullptr && !stream->has_ended_)
    stream->answered_at_ = stream->last_progress_ = worker_.loop().now();
  return 0;
}

}  // namespace remuda::proxy
