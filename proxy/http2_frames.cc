// What nghttp2 tells of a connection's frames. Called from within nghttp2_session_mem_recv and
// _mem_send: notes what came, and leaves sessions alone but for streams that are gone.
#include <algorithm>

#include "proxy/http2_connection.h"
#include "proxy/http2_limits.h"
#include "proxy/http2_stream.h"
#include "proxy/http2_worker.h"
#include "proxy/worker.h"

namespace remuda::proxy {
namespace {

constexpr size_t kFrameHeadBytes = 9;
// A DATA frame with its head is one whole TLS record: none of few bytes follows it.
constexpr size_t kMaxDataBytes = 16 * 1024 - kFrameHeadBytes;

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
    case NGHTTP2_REFUSED_STREAM:
      return true;
    default:
      return false;
  }
}

}  // namespace

int Http2Connection::OnBeginFrame(const nghttp2_frame_hd& head) {
  switch (head.type) {
    case NGHTTP2_HEADERS:
      // Those that begin a stream are bounded by streams. Of one that is closed nothing else tells.
      return head.stream_id > newest_stream_ || frames_.Take(worker_.loop().now()) ? 0 : Flooded();
    case NGHTTP2_CONTINUATION:  // by kHttp2MaxContinuations
    case NGHTTP2_DATA:          // by windows; empty ones when they are there
      return 0;
    case NGHTTP2_RST_STREAM:
      return resets_.Take(worker_.loop().now()) ? 0 : Flooded();
    default:
      return frames_.Take(worker_.loop().now()) ? 0 : Flooded();
  }
}

int Http2Connection::OnBeginHeaders(const nghttp2_frame& frame) {
  header_block_bytes_ = 0;
  if (frame.hd.type != NGHTTP2_HEADERS || frame.headers.cat != NGHTTP2_HCAT_REQUEST) {
    headers_since_ = worker_.loop().now();
    return 0;
  }
  frames_.Earn(kHttp2FramesARequest);
  const int32_t id = newest_stream_ = frame.hd.stream_id;
  // Streams that nghttp2 has closed still count while their sessions are at work. What is refused
  // has no further callback. After the last GOAWAY a stream would be dropped with its request under
  // way.
  if (stream_count_ >= kHttp2MaxStreams || listener_->spec == nullptr || worker_.is_full() ||
      shutdown_ == Shutdown::kFinal) {
    return nghttp2_submit_rst_stream(http2_, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
  }
  headers_since_ = worker_.loop().now();
  Http2Stream& stream = *shared_.TakeStream();
  stream.Begin(*this, id);
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
  if (header_block_bytes_ > kHttp2MaxHeaderBlockBytes) return Flooded();
  if (frame.headers.cat != NGHTTP2_HCAT_REQUEST) return 0;  // trailers are dropped
  if (Http2Stream* const stream = StreamOf(http2_, frame.hd.stream_id))
    stream->fields_.Add(name, value);
  return 0;
}

int Http2Connection::OnFrame(const nghttp2_frame& frame) {
  switch (frame.hd.type) {
    case NGHTTP2_HEADERS:
      headers_since_ = SteadyTime();
      if (Http2Stream* const stream = StreamOf(http2_, frame.hd.stream_id))
        OnHeadersEnd(*stream, frame);
      return 0;
    case NGHTTP2_DATA:
      if (EndsStream(frame)) {
        if (Http2Stream* const stream = StreamOf(http2_, frame.hd.stream_id)) OnRequestEnd(*stream);
      } else if (frame.hd.length <= frame.data.padlen) {
        return frames_.Take(worker_.loop().now()) ? 0 : Flooded();
      }
      return 0;
    case NGHTTP2_SETTINGS:
      is_preface_seen_ = true;
      return 0;
    case NGHTTP2_PING:
      if ((frame.hd.flags & NGHTTP2_FLAG_ACK) != 0 && shutdown_ == Shutdown::kNoticed)
        FinishShutdown();
      return 0;
    default:
      return 0;
  }
}

void Http2Connection::OnHeadersEnd(Http2Stream& stream, const nghttp2_frame& frame) {
  if (EndsStream(frame)) return OnRequestEnd(stream);
  if (frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
    stream.has_news_ = true;
    Ready(stream);
    return;
  }
  // Trailers end a request (RFC 9113 section 8.1).
  stream.broken_ = http::Reason::kBadTrailer;
  Ready(stream);
}

void Http2Connection::OnRequestEnd(Http2Stream& stream) {
  stream.has_ended_ = stream.has_news_ = true;
  if (stream.is_served_ && stream.IsBodyShort()) stream.broken_ = http::Reason::kBodyMismatch;
  Ready(stream);
}

int Http2Connection::OnData(int32_t stream_id, const char* data, size_t size) {
  Http2Stream* const stream = StreamOf(http2_, stream_id);
  if (stream == nullptr || stream->is_done() || stream->broken_ != http::Reason::kNone) {
    Consume(stream_id, size);
    return 0;
  }
  stream->has_news_ = true;
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
  if (stream->session_ != nullptr)
    std::exchange(stream->session_, nullptr)->OnStreamGone(http::Reason::kClientClosed);
  if (const size_t unread = stream->body_.size(); unread > 0) Consume(stream_id, unread);
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
  if (stream.is_whole_ && part == stream.out_.size()) flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(part);
}

int Http2Connection::OnSendData(Http2Stream& stream, const uint8_t* frame_head, size_t size) {
  if (!shared_.HasRoom(kFrameHeadBytes + size, Http2Worker::kOutputDataBytes))
    return NGHTTP2_ERR_WOULDBLOCK;
  shared_.Append(frame_head, kFrameHeadBytes);
  stream.out_.Take(worker_.buffers(), shared_.Extend(size), size);
  stream.last_progress_ = worker_.loop().now();
  if (stream.wants_room_ && stream.out_.size() <= kHttp2ResponseBufferBytes / 2) {
    stream.wants_room_ = false;
    Ready(stream);
  }
  return 0;
}

int Http2Connection::OnFrameSent(const nghttp2_frame& frame) {
  if (frame.hd.type == NGHTTP2_RST_STREAM) {
    if (IsClientsFault(frame.rst_stream.error_code) && !resets_.Take(worker_.loop().now()))
      is_flooded_ = true;
    return 0;
  }
  if (frame.hd.type == NGHTTP2_DATA) {
    frames_.Earn(kHttp2FramesADataFrame +
                 static_cast<double>(frame.hd.length / kHttp2SentBytesAFrame));
  } else if (frame.hd.type != NGHTTP2_HEADERS) {
    return 0;
  }
  // The response is whole before the request is: the rest of it is not wanted (RFC 9113
  // section 8.1).
  if (EndsStream(frame) &&
      nghttp2_session_get_stream_remote_close(http2_, frame.hd.stream_id) == 0) {
    nghttp2_submit_rst_stream(http2_, NGHTTP2_FLAG_NONE, frame.hd.stream_id, NGHTTP2_NO_ERROR);
  }
  return 0;
}

}  // namespace remuda::proxy
