// The way back to the client: the response's head and body.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "proxy/client/client_worker.h"
#include "proxy/exchange/session.h"

namespace remuda::proxy {

using http::BodyKind;
using http::Reason;

namespace {

// A target that never comes to its final response.
constexpr uint32_t kMaxInterimResponses = 16;

}  // namespace

Session::Pump Session::PumpResponse() {
  Exchange& x = *exchange_;
  Pump result = Pump::kBlocked;
  const uint64_t before = x.sent_bytes;
  while (x.sent_bytes - before < kMaxBytesATurn) {
    if (!x.to_client.empty()) {
      const ssize_t sent = SendToClient();
      if (sent == -EAGAIN) {
        // A record that is sealed leaves as it is.
        if (stream_ == nullptr && !transport_.is_plain()) x.any_answered = true;
        return result;
      }
      if (sent < 0) {
        x.reason = Reason::kClientClosed;
        CloseNow();
        return Pump::kEnded;
      }
      x.sent_bytes += static_cast<uint64_t>(sent);
      traffic().sent_bytes.Add(static_cast<uint64_t>(sent));
      result = Pump::kProgress;
      // Part of an interim answer binds as much: no other answer can follow it.
      if (x.has_response_head || !x.to_client.empty()) x.any_answered = true;
      if (!x.to_client.empty()) return result;
    }
    if (x.is_switching) return BeginTunnel();
    if (x.is_response_staged) {
      const Pump end = EndResponse();
      return end == Pump::kBlocked ? result : end;
    }
    const Pump step = x.has_response_head ? StageResponseBody() : TakeResponseHead();
    if (step == Pump::kEnded) return step;
    if (step == Pump::kBlocked) return result;
    result = Pump::kProgress;
  }
  return result;
}

// Reads more of the response. kEnded: the exchange is over.
Session::Pump Session::ReceiveResponse() {
  Exchange& x = *exchange_;
  UpstreamConnection& upstream = *x.upstream;
  if (!upstream.is_readable) return Pump::kBlocked;
  if (!x.response_in) x.response_in = worker_.buffers().Take();
  if (x.response_in.size() == 0) x.response_in.begin = x.response_in.end = 0;
  if (x.response_in.room_size() == 0) {
    // Only a head can fill a block: into a larger one.
    if (x.response_in.capacity >= BufferPool::kLargeBytes)
      return RefuseResponse(Reason::kHeadTooLarge, {});
    Buffer larger = BufferPool::TakeLarge();
    std::memcpy(larger.block.get(), x.response_in.data(), x.response_in.size());
    larger.end = x.response_in.size();
    worker_.buffers().Give(x.response_in);
    x.response_in = std::move(larger);
    x.response_parser.Reset();
  }
  const size_t room = x.response_in.room_size();
  const Received got = upstream.transport.Receive(x.response_in.room(), room);
  if (got.bytes == -EAGAIN) {
    upstream.is_readable = false;
    return Pump::kBlocked;
  }
  if (got.bytes <= 0) {
    upstream.is_closing = true;
    const bool is_end =
        got.bytes == 0 && x.has_response_head && x.response_framing.kind == BodyKind::kUntilClose;
    if (!is_end) return FailResponse(Reason::kTargetClosed);
    x.response_framing.kind = BodyKind::kNone;  // the body is whole now
    return Pump::kProgress;
  }
  if (got.is_drained && !upstream.is_closing) upstream.is_readable = false;
  if (!x.has_response_bytes) x.response_begin = worker_.loop().now();
  x.has_response_bytes = true;
  x.response_in.end += static_cast<size_t>(got.bytes);
  return Pump::kProgress;
}

Session::Pump Session::TakeResponseHead() {
  Exchange& x = *exchange_;
  if (x.response_in.size() == 0) return ReceiveResponse();
  switch (x.response_parser.Parse(x.response_in.data(), x.response_in.size(), x.response)) {
    case http::ParseStatus::kNeedMore:
      return ReceiveResponse();
    case http::ParseStatus::kError:
      return RefuseResponse(
          x.response_parser.reason(),
          x.response_parser.Blame(x.response_in.data(), x.response_in.size(), x.response));
    case http::ParseStatus::kDone:
      break;
  }
  if (const Reason rule =
          http::DecideResponseFraming(x.response, x.request.method, x.response_framing);
      rule != Reason::kNone) {
    return RefuseResponse(rule, {http::FieldOf(rule)});
  }
  if (x.response.status == 101) return TakeSwitch();
  return x.response.status < 200 ? PassInterim() : StartResponse();
}

// 1xx: passed on to HTTP/1.1 clients; the final response follows.
Session::Pump Session::PassInterim() {
  Exchange& x = *exchange_;
  if (++x.interim_responses > kMaxInterimResponses)
    return RefuseResponse(Reason::kTargetBadResponse, {"more than 16 interim responses"});
  if (stream_ != nullptr) {
    if (!stream_->SendInterim(x.response)) {
      CloseNow();
      return Pump::kEnded;
    }
  } else if (x.request.minor_version == 1) {
    if (!x.response_head) x.response_head = worker_.buffers().Take();
    const size_t size = http::WriteResponseHead(x.response, {}, x.response_head.block.get(),
                                                x.response_head.capacity);
    if (size == 0) return RefuseResponse(Reason::kHeadTooLarge, {});
    x.to_client.Add(x.response_head.block.get(), size);
  }
  x.response_in.begin += x.response_parser.head_size();
  x.response_parser.Reset();
  return Pump::kProgress;
}

Session::Pump Session::StartResponse() {
  Exchange& x = *exchange_;
  const http::Framing& framing = x.response_framing;
  x.has_response_head = true;
  x.target_status = x.status = x.response.status;
  x.response_sent = worker_.loop().now();
  x.response_left = framing.length;
  x.client_body = framing.kind;
  x.response_decoder = http::ChunkDecoder(x.tolerance);
  // An early answer. One that refuses or leads elsewhere, or comes instead of the 100 (Continue)
  // that the client waits for: the rest of the upload is not sent, and neither connection can be
  // used again. Others may be the first half of a conversation.
  if (!IsUploadOver() && (x.response.status >= 300 || MayAwaitContinue())) {
    x.is_upload_stopped = true;
    close_after_ = linger_after_ = true;
  }
  if (framing.kind == BodyKind::kUntilClose || framing.kind == BodyKind::kChunked) {
    x.client_body = x.request.minor_version == 1 && stream_ == nullptr ? BodyKind::kChunked
                                                                       : BodyKind::kUntilClose;
    if (x.client_body == BodyKind::kUntilClose) close_after_ = true;
  }
  x.is_upstream_reusable = framing.keep_alive && !x.must_not_pool && !x.is_upload_stopped;
  http::ResponseStyle style;
  style.kind = x.client_body;
  style.has_length = framing.has_length;
  style.length = framing.length;
  style.date = worker_.Date();
  style.close = MustClose();
  style.say_keep_alive = !style.close && x.request.minor_version == 0;
  if (style.close) close_after_ = true;
  if (const Pump step = StageResponseHead(style); step != Pump::kProgress) return step;
  if (stream_ != nullptr) x.any_answered = true;  // a connection's waits in to_client
  x.response_in.begin += x.response_parser.head_size();
  GroupSlot& counters = x.group->slot(worker_.index());
  const auto us =
      std::chrono::duration_cast<std::chrono::microseconds>(x.response_begin - x.sent_to_target)
          .count();
  counters.ObserveResponseTime(static_cast<uint64_t>(std::max<int64_t>(us, 0)));
  counters.codes[static_cast<size_t>(x.response.status / 100)].Add(1);
  TargetSlot& slot = x.in_flight.target()->slot(worker_.index());
  slot.response_time_us.Add(static_cast<uint64_t>(std::max<int64_t>(us, 0)));
  if (x.response.status >= 500) slot.server_errors.Add(1);
  NoteOutcome(x.response.status >= 502 && x.response.status <= 504);
  return x.response_in.size() > 0 || framing.kind == BodyKind::kNone ? StageResponseBody()
                                                                     : Pump::kProgress;
}

Session::Pump Session::StageResponseHead(const http::ResponseStyle& style) {
  Exchange& x = *exchange_;
  if (x.stickiness != nullptr || x.group_stickiness.count() > 0) AddStickyCookies();
  if (stream_ != nullptr) {
    const bool ends = x.client_body == BodyKind::kNone ||
                      (x.client_body == BodyKind::kLength && x.response_left == 0);
    if (stream_->SendHead(x.response, style, ends)) return Pump::kProgress;
    x.reason = Reason::kClientClosed;
    CloseNow();
    return Pump::kEnded;
  }
  const size_t need = http::MaxForwardedHeadBytes(x.response_parser.head_size());
  if (x.response_head.capacity < need) {
    worker_.buffers().Give(x.response_head);
    x.response_head =
        need <= BufferPool::kBlockBytes ? worker_.buffers().Take() : BufferPool::TakeLarge();
  }
  const size_t size = http::WriteResponseHead(x.response, style, x.response_head.block.get(),
                                              x.response_head.capacity);
  if (size == 0) return RefuseResponse(Reason::kHeadTooLarge, {});
  x.response_head.end = size;
  x.to_client.Add(x.response_head.block.get(), size);
  return Pump::kProgress;
}

// Stages the body bytes that have come, in the coding that the client was told, behind what is
// staged already.
Session::Pump Session::StageResponseBody() {
  Exchange& x = *exchange_;
  http::Framing& framing = x.response_framing;
  const bool needs_more = framing.kind != BodyKind::kNone && x.response_in.size() == 0;
  if (needs_more) {
    if (TakeResponsePipe()) return SpliceResponse();
    const Pump step = ReceiveResponse();
    if (step != Pump::kProgress) return step;
  }
  char* const data = x.response_in.block ? x.response_in.data() : nullptr;
  size_t size = x.response_in.block ? x.response_in.size() : 0;
  bool is_done = false;
  switch (framing.kind) {
    case BodyKind::kNone:
      is_done = true;
      size = 0;
      break;
    case BodyKind::kLength:
      size = static_cast<size_t>(std::min<uint64_t>(size, x.response_left));
      x.response_left -= size;
      x.response_in.begin += size;
      is_done = x.response_left == 0;
      break;
    case BodyKind::kUntilClose:
      x.response_in.begin += size;
      break;
    case BodyKind::kChunked: {
      const auto result = x.response_decoder.Decode(data, size, data);
      if (x.response_decoder.reason() != Reason::kNone)
        return RefuseResponse(x.response_decoder.reason(), {});
      x.response_in.begin += result.consumed;
      size = result.produced;
      is_done = x.response_decoder.done();
      break;
    }
  }
  if (x.client_body == BodyKind::kChunked) {
    const std::string_view last = "\r\n0\r\n\r\n";
    if (size > 0) {
      x.to_client.Add(x.response_chunk_head, http::WriteChunkHead(size, x.response_chunk_head));
      x.to_client.Add(data, size);
    }
    const std::string_view tail =
        is_done ? (size > 0 ? last : last.substr(2)) : last.substr(0, size > 0 ? 2 : 0);
    x.to_client.Add(tail.data(), tail.size());
  } else {
    x.to_client.AddBehind(x.response_head, data, size);
  }
  x.is_response_staged = is_done;
  // Bytes behind the response are nobody's: the connection is not used again.
  if (is_done && x.response_in.size() > 0) {
    x.is_upstream_reusable = false;
    worker_.pool().NoteUnasked(*x.in_flight.target(), {x.response_in.data(), x.response_in.size()});
  }
  return Pump::kProgress;
}

// The response is with the client as a whole. What is left of an upload still goes to a target that
// takes it; a client that could not tell the end of the response but by ours is not kept waiting.
Session::Pump Session::EndResponse() {
  Exchange& x = *exchange_;
  if (!IsUploadOver()) {
    const bool goes_on = !x.is_upload_stopped && !x.upstream->is_closing && stream_ == nullptr &&
                         x.client_body != BodyKind::kUntilClose;
    if (goes_on) return Pump::kBlocked;
    x.is_upstream_reusable = false;
    close_after_ = linger_after_ = true;
  }
  ReleaseUpstream(x.is_upstream_reusable);
  x.in_flight.End(worker_);
  FinishExchange();
  return Pump::kEnded;
}

// The target failed, or the request's own body did. Retries, answers, or cuts the response short.
Session::Pump Session::FailResponse(Reason reason) {
  Exchange& x = *exchange_;
  if (x.any_answered) {
    x.reason = reason;
    BlameTarget(reason);
    CloseNow();
    return Pump::kEnded;
  }
  FailAttempt(reason, false);
  return Pump::kEnded;
}

}  // namespace remuda::proxy
