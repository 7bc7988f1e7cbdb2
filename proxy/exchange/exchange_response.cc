// The way back to the client: the response's head and body.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "proxy/exchange/exchange.h"
#include "proxy/exchange/worker_context.h"
#include "proxy/http/chars.h"

namespace remuda::proxy {

using http::BodyKind;
using http::Reason;

namespace {

// A target that never comes to its final response.
constexpr uint32_t kMaxInterimResponses = 16;

}  // namespace

Exchange::Pump Exchange::PumpResponse() {
  Pump result = Pump::kBlocked;
  const uint64_t before = record_.sent_bytes;
  while (record_.sent_bytes - before < kMaxBytesATurn) {
    if (Gather& out = download_.staged(); !out.empty()) {
      const ssize_t sent = origin_.client->Send(out);
      if (sent == -EAGAIN) {
        if (origin_.client->may_have_left()) is_bound_ = true;
        return result;
      }
      if (sent < 0) {
        Cut(Reason::kClientClosed);
        return Pump::kEnded;
      }
      record_.sent_bytes += static_cast<uint64_t>(sent);
      traffic().sent_bytes.Add(static_cast<uint64_t>(sent));
      result = Pump::kProgress;
      // Part of an interim answer binds as much: no other answer can follow it.
      if (has_response_head() || !out.empty()) is_bound_ = true;
      if (!out.empty()) return result;
    }
    if (progress_ == ResponseProgress::kSwitching) {
      phase_ = Phase::kSwitched;
      return Pump::kEnded;
    }
    if (download_.is_staged()) {
      const Pump end = EndResponse();
      return end == Pump::kBlocked ? result : end;
    }
    const Pump step = has_response_head() ? StageResponseBody() : TakeResponseHead();
    if (step == Pump::kEnded) return step;
    if (step == Pump::kBlocked) return result;
    result = Pump::kProgress;
  }
  return result;
}

// Reads more of the response. kEnded: the exchange is over.
Exchange::Pump Exchange::ReceiveResponse() {
  if (!stream_->is_readable) return Pump::kBlocked;
  if (!response_in_) response_in_ = worker_.buffers().Take();
  if (response_in_.size() == 0) response_in_.begin = response_in_.end = 0;
  if (response_in_.room_size() == 0) {
    // Only a head can fill a block: into a larger one.
    if (response_in_.capacity >= BufferPool::kLargeBytes)
      return RefuseResponse(Reason::kHeadTooLarge, {});
    Buffer larger = BufferPool::TakeLarge();
    std::memcpy(larger.block.get(), response_in_.data(), response_in_.size());
    larger.end = response_in_.size();
    worker_.buffers().Give(response_in_);
    response_in_ = std::move(larger);
    response_parser_.Reset();
  }
  const Received got = stream_->Receive(response_in_.room(), response_in_.room_size());
  if (got.bytes == -EAGAIN) return Pump::kBlocked;
  if (got.bytes <= 0) {
    const bool is_end =
        got.bytes == 0 && has_response_head() && download_.source_kind() == BodyKind::kUntilClose;
    if (!is_end) return FailResponse(Reason::kTargetClosed);
    download_.EndSource();
    return Pump::kProgress;
  }
  if (progress_ == ResponseProgress::kAwaited) {
    record_.response_begin = worker_.loop().now();
    progress_ = ResponseProgress::kBegun;
  }
  response_in_.end += static_cast<size_t>(got.bytes);
  record_.in_flight.NoteReceivedBytes(worker_, static_cast<uint64_t>(got.bytes));
  return Pump::kProgress;
}

Exchange::Pump Exchange::TakeResponseHead() {
  if (response_in_.size() == 0) return ReceiveResponse();
  switch (response_parser_.Parse(response_in_.data(), response_in_.size(), response_)) {
    case http::ParseStatus::kNeedMore:
      return ReceiveResponse();
    case http::ParseStatus::kError:
      return RefuseResponse(
          response_parser_.reason(),
          response_parser_.Blame(response_in_.data(), response_in_.size(), response_));
    case http::ParseStatus::kDone:
      break;
  }
  if (const Reason rule =
          http::DecideResponseFraming(response_, request_.method, response_framing_);
      rule != Reason::kNone) {
    return RefuseResponse(rule, {http::FieldOf(rule)});
  }
  if (response_.status == 101) return TakeSwitch();
  return response_.status < 200 ? PassInterim() : StartResponse();
}

// 1xx: passed on to HTTP/1.1 clients; the final response follows.
Exchange::Pump Exchange::PassInterim() {
  if (++interim_responses_ > kMaxInterimResponses)
    return RefuseResponse(Reason::kTargetBadResponse, {"more than 16 interim responses"});
  if (request_.minor_version == 1) {
    switch (origin_.client->SendInterim(response_, response_head_, download_.staged())) {
      case ClientStream::Sent::kGone:
        phase_ = Phase::kOver;
        return Pump::kEnded;
      case ClientStream::Sent::kNoRoom:
        return RefuseResponse(Reason::kHeadTooLarge, {});
      case ClientStream::Sent::kStaged:
      case ClientStream::Sent::kTaken:
        break;
    }
  }
  response_in_.begin += response_parser_.head_size();
  response_parser_.Reset();
  return Pump::kProgress;
}

Exchange::Pump Exchange::StartResponse() {
  const http::Framing& framing = response_framing_;
  progress_ = ResponseProgress::kBody;
  record_.target_status = record_.status = response_.status;
  record_.response_sent = worker_.loop().now();
  // An early answer. One that refuses or leads elsewhere, or comes instead of the 100 (Continue)
  // that the client waits for: the rest of the upload is not sent, and neither connection can be
  // used again. Others may be the first half of a conversation.
  if (!IsUploadOver() && (response_.status >= 300 || MayAwaitContinue())) {
    upload_.Stop();
    end_.close = end_.linger = true;
  }
  BodyKind sink_kind = framing.kind;
  if (framing.kind == BodyKind::kUntilClose || framing.kind == BodyKind::kChunked) {
    sink_kind = request_.minor_version == 1 && !origin_.client->delimits_bodies()
                    ? BodyKind::kChunked
                    : BodyKind::kUntilClose;
    if (sink_kind == BodyKind::kUntilClose) end_.close = true;
  }
  download_.Begin(framing.kind, sink_kind, framing.length, tolerance_);
  may_reuse_ = framing.keep_alive && !must_not_pool_ && !upload_.is_stopped();
  http::ResponseStyle style;
  style.kind = sink_kind;
  style.has_length = framing.has_length;
  style.length = framing.length;
  style.date = worker_.Date();
  style.close = MustClose();
  style.say_keep_alive = !style.close && request_.minor_version == 0;
  if (style.close) end_.close = true;
  if (const Pump step = StageResponseHead(style); step != Pump::kProgress) return step;
  response_in_.begin += response_parser_.head_size();
  CountResponse();
  return response_in_.size() > 0 || download_.is_source_done() ? StageResponseBody()
                                                               : Pump::kProgress;
}

void Exchange::CountResponse() {
  GroupSlot& counters = record_.group->slot(worker_.index());
  const auto latency = record_.response_begin - record_.sent_to_target;
  const auto span = std::chrono::duration_cast<std::chrono::microseconds>(latency);
  const auto us = static_cast<uint64_t>(std::max<int64_t>(span.count(), 0));
  record_.in_flight.NoteLatency(worker_, latency);
  counters.ObserveResponseTime(us);
  counters.codes[static_cast<size_t>(response_.status / 100)].Add(1);
  TargetSlot& slot = record_.in_flight.target()->slot(worker_.index());
  slot.response_time_us.Add(us);
  if (response_.status >= 500) {
    slot.server_errors.Add(1);
    record_.in_flight.NoteError();
  }
  NoteOutcome(response_.status >= 502 && response_.status <= 504);
}

// Passed on only if it was asked for, and nothing of the request is left to be sent.
Exchange::Pump Exchange::TakeSwitch() {
  const bool is_asked = !framing_.upgrade.empty() &&
                        http::EqualsIgnoreCase(framing_.upgrade, response_framing_.upgrade);
  if (!is_asked || !upload_.is_staged() || !upload_.staged().empty())
    return FailResponse(Reason::kTargetUnaskedUpgrade);
  record_.target_status = record_.status = response_.status;
  http::ResponseStyle style;
  style.upgrade = response_framing_.upgrade;
  if (const Pump step = StageResponseHead(style); step != Pump::kProgress) return step;
  is_bound_ = true;
  progress_ = ResponseProgress::kSwitching;
  response_in_.begin += response_parser_.head_size();
  record_.group->slot(worker_.index()).codes[1].Add(1);
  record_.in_flight.NoteLatency(worker_, record_.response_begin - record_.sent_to_target);
  NoteOutcome(false);
  return Pump::kProgress;
}

Exchange::Pump Exchange::StageResponseHead(const http::ResponseStyle& style) {
  if (sticky_.is_on()) {
    sticky_.AddCookies(Cookies(),
                       {.group = *record_.group,
                        .target = *record_.in_flight.target(),
                        .wished_target = pick_.sticky_target,
                        .is_secure = !origin_.client->transport().is_plain()},
                       response_);
  }
  switch (origin_.client->SendHead(response_, style, response_parser_.head_size(),
                                   download_.is_empty(), response_head_, download_.staged())) {
    case ClientStream::Sent::kGone:
      Cut(Reason::kClientClosed);
      return Pump::kEnded;
    case ClientStream::Sent::kNoRoom:
      return RefuseResponse(Reason::kHeadTooLarge, {});
    case ClientStream::Sent::kTaken:
      is_bound_ = true;
      break;
    case ClientStream::Sent::kStaged:
      break;
  }
  return Pump::kProgress;
}

// Stages the body bytes that have come, behind what is staged already.
Exchange::Pump Exchange::StageResponseBody() {
  // Also when all of it has come: the rest may be in the pipe still.
  if (response_in_.size() == 0 && download_.TakesPipe(*stream_, *origin_.client, worker_.pipes())) {
    return SpliceResponse();
  }
  if (!download_.is_source_done() && response_in_.size() == 0) {
    const Pump step = ReceiveResponse();
    if (step != Pump::kProgress) return step;
  }
  size_t size = 0;
  char* data = nullptr;
  if (!download_.is_source_done()) {
    data = response_in_.data();
    const BodyPipe::Decoded decoded = download_.Decode(data, response_in_.size());
    if (download_.fault() != Reason::kNone) return RefuseResponse(download_.fault(), {});
    response_in_.begin += decoded.consumed;
    size = decoded.produced;
  }
  download_.Stage(response_head_, data, size);
  // Bytes behind the response are nobody's: the connection is not used again.
  if (download_.is_staged() && response_in_.size() > 0) {
    may_reuse_ = false;
    stream_->NoteUnasked({response_in_.data(), response_in_.size()});
  }
  return Pump::kProgress;
}

Exchange::Pump Exchange::SpliceResponse() {
  const BodyPipe::Spliced step = download_.Splice(*stream_, *origin_.client, worker_.pipes());
  if (step.received > 0) record_.in_flight.NoteReceivedBytes(worker_, step.received);
  if (step.sent > 0) {
    record_.sent_bytes += step.sent;
    traffic().sent_bytes.Add(step.sent);
  }
  switch (step.moved) {
    case BodyPipe::Moved::kBlocked:
      return Pump::kBlocked;
    case BodyPipe::Moved::kMoved:
      return Pump::kProgress;
    case BodyPipe::Moved::kSourceEnded:
      return FailResponse(Reason::kTargetClosed);
    case BodyPipe::Moved::kSinkBroken:
      Cut(Reason::kClientClosed);
      return Pump::kEnded;
  }
  return Pump::kBlocked;
}

// The response is with the client as a whole. What is left of an upload still goes to a target that
// takes it; a client that could not tell the end of the response but by ours is not kept waiting.
Exchange::Pump Exchange::EndResponse() {
  if (!IsUploadOver()) {
    const bool goes_on = !upload_.is_stopped() && !stream_->is_closing() &&
                         !origin_.client->delimits_bodies() &&
                         download_.sink_kind() != BodyKind::kUntilClose;
    if (goes_on) return Pump::kBlocked;
    may_reuse_ = false;
    end_.close = end_.linger = true;
  }
  if (!download_.trailers().empty() && origin_.client->delimits_bodies())
    origin_.client->SendTrailers(download_.trailers());
  ReleaseTarget(may_reuse_);
  end_.is_whole = true;
  phase_ = Phase::kOver;
  return Pump::kEnded;
}

// The target failed, or the request's own body did. Retries, answers, or cuts the response short.
Exchange::Pump Exchange::FailResponse(Reason reason) {
  if (is_bound_) {
    BlameTarget(reason);
    Cut(reason);
  } else {
    FailAttempt(reason, false);
  }
  return Pump::kEnded;
}

}  // namespace remuda::proxy
