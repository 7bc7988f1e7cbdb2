#include "proxy/client/http2_stream.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "proxy/client/client_worker.h"
#include "proxy/client/http2_connection.h"
#include "proxy/client/http2_limits.h"
#include "proxy/client/http2_worker.h"
#include "proxy/exchange/exchange.h"

namespace remuda::proxy {
namespace {

constexpr std::string_view kLastChunk = "0\r\n\r\n";

struct Digits {
  explicit Digits(uint64_t number)
      : size(static_cast<size_t>(std::to_chars(text, text + sizeof text, number).ptr - text)) {}
  std::string_view view() const { return {text, size}; }
  char text[20];
  size_t size;
};

}  // namespace

Http2Stream::Http2Stream(ClientWorker& worker)
    : Connection(worker), timer_([this] {
        exchange_->OnTimer();
        Drive();
      }) {}

void Http2Stream::Begin(Http2Connection& connection, int32_t id, AddressLimit::Place place) {
  connection_ = &connection;
  place_ = std::move(place);
  id_ = id;
  exchange_ = nullptr;
  is_readable = false;
  framing_ = {};
  head_charge_ = head_read_ = 0;
  received_ = chunk_left_ = discarded_ = 0;
  given_back_ = 0;
  window_ = kHttp2StreamWindowBytes;
  answered_at_ = SteadyTime();
  is_served_ = has_news_ = has_ended_ = is_last_sent_ = is_reset_ = is_refused_ = false;
  broken_ = http::Reason::kNone;
  has_head_ = is_cut_ = is_whole_ = is_deferred_ = wants_room_ = false;
  last_progress_ = connection.worker().loop().now();
}

void Http2Stream::End() {
  BufferPool& pool = connection_->worker().buffers();
  body_.Clear(pool);
  connection_->response_bytes_ -= out_.size();
  out_.Clear(pool);
  connection_->ReleaseHead(*this);
  // It may not be used again for long.
  fields_.Reset();
  trailers_.Reset();
  last_chunk_ = std::string();
  sent_trailers_ = std::string();
  if (!is_served_) connection_->worker().GiveStreamPlace();
  place_.End();
  connection_ = nullptr;
}

const Transport& Http2Stream::transport() const { return connection_->transport(); }

// --- The request.

bool Http2Stream::TakeBody(const char* data, size_t size) {
  received_ += size;
  if (fields_.has_declared_length() && received_ > fields_.declared_length()) return false;
  body_.Append(connection_->worker().buffers(), data, size);
  return true;
}

http::Reason Http2Stream::MakeHead() {
  using Body = http::Http2Fields::Body;
  // Trailers need chunks, also where all has come at once.
  const bool has_trailers = !trailers_.text().empty();
  const Body body = !has_ended_ || has_trailers ? Body::kOpen
                    : received_ == 0            ? Body::kNone
                                                : Body::kWhole;
  return fields_.Finish(body, received_);
}

Received Http2Stream::Receive(char* data, size_t size) {
  size_t taken = 0;
  if (const std::string_view head = fields_.text(); !head.empty()) {
    taken = std::min(size, head.size() - head_read_);
    std::memcpy(data, head.data() + head_read_, taken);
    head_read_ += taken;
    if (head_read_ == head.size()) fields_.DropText();  // the exchange has it
  }
  const bool is_head_read = fields_.text().empty();
  if (is_head_read) taken += ReadBody(data + taken, size - taken);
  if (taken == 0) {
    is_readable = false;
    return {-EAGAIN, true};
  }
  connection_->traffic().received_bytes.Add(taken);
  const bool has_more = !is_head_read || !body_.empty() || !framing_.empty() ||
                        (has_ended_ && fields_.is_chunked() && !is_last_sent_);
  if (!has_more) is_readable = false;
  return {static_cast<ssize_t>(taken), !has_more};
}

// The body as the head frames it: as it is, or in chunks of what is there.
size_t Http2Stream::ReadBody(char* data, size_t size) {
  BufferPool& pool = connection_->worker().buffers();
  size_t written = 0;
  size_t consumed = 0;
  while (written < size) {
    if (!framing_.empty()) {
      const size_t part = std::min(size - written, framing_.size());
      std::memcpy(data + written, framing_.data(), part);
      framing_.remove_prefix(part);
      written += part;
      continue;
    }
    if (!fields_.is_chunked() || chunk_left_ > 0) {
      const size_t limit = fields_.is_chunked()
                               ? static_cast<size_t>(std::min<uint64_t>(chunk_left_, SIZE_MAX))
                               : SIZE_MAX;
      const size_t part = body_.Take(pool, data + written, std::min(size - written, limit));
      if (part == 0) break;
      written += part;
      consumed += part;
      if (!fields_.is_chunked()) continue;
      chunk_left_ -= part;
      if (chunk_left_ > 0) continue;
      framing_ = "\r\n";
      continue;
    }
    if (!body_.empty()) {
      chunk_left_ = body_.size();
      framing_ = {chunk_head_, http::WriteChunkHead(chunk_left_, chunk_head_)};
    } else if (has_ended_ && !is_last_sent_) {
      is_last_sent_ = true;
      framing_ = kLastChunk;
      if (const std::string_view lines = trailers_.text(); !lines.empty()) {
        last_chunk_.append("0\r\n").append(lines).append("\r\n");
        framing_ = last_chunk_;
      }
    } else {
      break;
    }
  }
  if (consumed > 0) Consumed(consumed);
  return written;
}

void Http2Stream::Consumed(size_t bytes) {
  const size_t before = std::min(bytes, given_back_);
  given_back_ -= before;
  if (before > 0) connection_->ConsumeOfStream(id_, before);
  if (bytes > before) connection_->Consume(id_, bytes - before);
}

void Http2Stream::ReturnWindow() {
  const size_t kept = body_.size();
  if (kept == given_back_) return;
  connection_->ConsumeOfConnection(kept - given_back_);
  given_back_ = kept;
}

// --- The response.

bool Http2Stream::Submit(size_t count, bool ends) {
  nghttp2_data_provider provider{};
  provider.source.ptr = this;
  provider.read_callback = Http2Worker::ReadResponse;
  if (nghttp2_submit_response(connection_->http2(), id_, connection_->shared().head(), count,
                              ends ? nullptr : &provider) != 0) {
    return false;
  }
  has_head_ = true;
  connection_->WantFlush();
  return true;
}

ClientStream::Sent Http2Stream::SendInterim(const http::ResponseHead& head, Buffer& /*room*/,
                                            Gather& /*out*/) {
  Http2Worker& shared = connection_->shared();
  const Digits status(static_cast<uint64_t>(head.status));
  shared.BeginHead(status.view());
  for (const http::Field& field : head.fields) {
    if (http::IsPassedOn(field)) shared.AddField(field.name, field.value);
  }
  if (nghttp2_submit_headers(connection_->http2(), NGHTTP2_FLAG_NONE, id_, nullptr, shared.head(),
                             shared.head_size(), nullptr) != 0) {
    return Sent::kGone;
  }
  connection_->WantFlush();
  return Sent::kTaken;
}

ClientStream::Sent Http2Stream::SendHead(const http::ResponseHead& head,
                                         const http::ResponseStyle& style, size_t /*head_size*/,
                                         bool ends, Buffer& /*room*/, Gather& /*out*/) {
  Http2Worker& shared = connection_->shared();
  const Digits status(static_cast<uint64_t>(head.status));
  const Digits length(style.length);
  shared.BeginHead(status.view());
  bool needs_date = !style.date.empty();
  for (const http::Field& field : head.fields) {
    if (!http::IsPassedOn(field)) continue;
    if (field.id == http::FieldId::kDate) needs_date = false;
    shared.AddField(field.name, field.value);
  }
  if (needs_date) shared.AddField("date", style.date);
  if (style.has_length) shared.AddField("content-length", length.view());
  if (!style.has_length && !ends) {
    http::ForEachTrailerName(head.fields,
                             [&](std::string_view names) { shared.AddField("trailer", names); });
  }
  return Submit(shared.head_size(), ends) ? Sent::kTaken : Sent::kGone;
}

// The body may be of the routing table or the caller's stack: it is copied.
ClientStream::Sent Http2Stream::SendOwn(const http::OwnAnswer& answer, Buffer& room, Gather& out) {
  Http2Worker& shared = connection_->shared();
  const Digits status(static_cast<uint64_t>(answer.status));
  const Digits length(answer.body.size());
  shared.BeginHead(status.view());
  http::ForEachOwnField(
      answer, [&](std::string_view name, std::string_view value) { shared.AddField(name, value); });
  if (answer.status != 204) shared.AddField("content-length", length.view());
  if (!Submit(shared.head_size(), !answer.has_body())) return Sent::kGone;
  if (answer.has_body()) {
    std::memcpy(room.block.get(), answer.body.data(), answer.body.size());
    out.Add(room.block.get(), answer.body.size());
  }
  return Sent::kTaken;
}

bool Http2Stream::SubmitTrailers() {
  if (sent_trailers_.empty()) return false;
  Http2Worker& shared = connection_->shared();
  shared.BeginTrailers();
  for (std::string_view rest = sent_trailers_; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find("\r\n"));
    rest.remove_prefix(line.size() + 2);
    const size_t colon = line.find(':');
    shared.AddField(line.substr(0, colon), http::TrimOws(line.substr(colon + 1)));
  }
  return nghttp2_submit_trailer(connection_->http2(), id_, shared.head(), shared.head_size()) == 0;
}

void Http2Stream::Resume() {
  if (!is_deferred_) return;
  is_deferred_ = false;
  nghttp2_session_resume_data(connection_->http2(), id_);
  connection_->WantFlush();
}

size_t Http2Stream::ResponseRoom() const {
  const int32_t window = nghttp2_session_get_stream_remote_window_size(connection_->http2(), id_);
  size_t limit = kHttp2LeastResponseBufferBytes;
  if (window > 0 && connection_->response_bytes_ < kHttp2ConnectionResponseBytes)
    limit = std::clamp(static_cast<size_t>(window), limit, kHttp2ResponseBufferBytes);
  return limit - std::min(limit, out_.size());
}

ssize_t Http2Stream::Send(Gather& pieces) {
  BufferPool& pool = connection_->worker().buffers();
  size_t taken = 0;
  size_t room = ResponseRoom();
  for (size_t i = 0; i < pieces.count(); ++i) {
    const iovec& piece = pieces.pieces()[i];
    const size_t part = std::min(room, piece.iov_len);
    out_.Append(pool, static_cast<const char*>(piece.iov_base), part);
    connection_->response_bytes_ += part;
    taken += part;
    room -= part;
    if (part < piece.iov_len) {
      wants_room_ = true;
      break;
    }
  }
  if (taken == 0) return -EAGAIN;
  pieces.Consume(taken);
  Resume();
  return static_cast<ssize_t>(taken);
}

void Http2Stream::Describe(bool /*is_upgraded*/, AccessEntry& entry) const {
  entry.type = TrafficType::kHttp2;
  entry.version = "HTTP/2.0";
}

// --- The exchange.

void Http2Stream::Serve(http::Reason refusal) {
  is_served_ = true;
  worker_.GiveStreamPlace();
  worker_.HoldStream(*this, *connection_);
  exchange_ = worker_.TakeExchange();
  exchange_->Open({.client = this,
                   .peer = &connection_->peer_,
                   .entrance = connection_->listener_.get(),
                   .connection_id = log_id()});
  if (refusal == http::Reason::kNone) {
    is_readable = true;
    ReadHead();
  } else {
    exchange_->Refuse(refusal);
  }
  Drive();
}

// All of its text is there.
void Http2Stream::ReadHead() {
  Buffer& in = exchange_->input();
  in = worker_.buffers().Take();
  do {
    if (in.room_size() == 0 && !exchange_->GrowInput())
      return exchange_->Refuse(http::Reason::kHeadTooLarge);
    const Received got = Receive(in.room(), in.room_size());
    assert(got.bytes > 0);
    if (got.bytes <= 0) return exchange_->Refuse(http::Reason::kBadRequestLine);
    in.end += static_cast<size_t>(got.bytes);
  } while (exchange_->TakeHead() == http::ParseStatus::kNeedMore);
}

void Http2Stream::Drive() {
  if (exchange_ == nullptr) return;
  if (exchange_->Drive() == Exchange::Next::kWait) {
    if (exchange_->is_held()) ReturnWindow();
    timer_.Arm(worker_.loop(), exchange_->deadline());
  } else {
    Finish(exchange_->is_whole());
  }
}

void Http2Stream::Gone(http::Reason reason) {
  if (exchange_ == nullptr) return;
  exchange_->Cut(reason);
  TakeDownExchange();
}

void Http2Stream::TakeDownExchange() {
  Exchange* const exchange = std::exchange(exchange_, nullptr);
  timer_.Cancel();
  exchange->Finish();
  worker_.buffers().Give(exchange->input());
  worker_.GiveExchange(exchange);
  worker_.StreamClosed(*this);
}

TargetState* Http2Stream::target() const {
  return exchange_ == nullptr ? nullptr : exchange_->target();
}

void Http2Stream::EndExchangeWith(const TargetState& target) {
  if (this->target() != &target) return;
  exchange_->OnDrainTimeout();
  Drive();
}

void Http2Stream::TargetFell(const TargetState& /*target*/, bool is_gone) {
  exchange_->OnTargetFell(is_gone);
  Drive();
}

void Http2Stream::EndUnanswered(const TargetState& /*target*/) {
  exchange_->OnTargetGone();
  Drive();
}

void Http2Stream::Finish(bool is_whole) {
  TakeDownExchange();
  place_.End();
  wants_room_ = false;
  last_progress_ = connection_->worker().loop().now();
  connection_->ReleaseHead(*this);
  if (const size_t unread = body_.size(); unread > 0) {
    body_.Clear(connection_->worker().buffers());
    Consumed(unread);
  }
  is_whole_ = is_whole;
  is_cut_ = !is_whole && has_head_;  // what came of it is sent first
  if (is_whole || is_cut_) {
    Resume();
  } else {
    nghttp2_submit_rst_stream(connection_->http2(), NGHTTP2_FLAG_NONE, id_, NGHTTP2_INTERNAL_ERROR);
  }
  connection_->WantFlush();
}

}  // namespace remuda::proxy
