// The request's body on its way to the target, and whether the client keeps sending it.
#include <cerrno>
#include <cstring>

#include "proxy/exchange/exchange.h"
#include "proxy/exchange/worker_context.h"

namespace remuda::proxy {

using http::Reason;

// Takes `raw_bytes` that lie behind body_end_ as body, decodes them in place, and keeps what
// belongs to the next request.
void Exchange::DecodeUpload(size_t raw_bytes) {
  char* const at = input_.block.get() + body_end_;
  const auto [consumed, produced] = upload_.Decode(at, raw_bytes);
  record_.received_bytes += consumed;
  if (upload_.fault() != Reason::kNone) {
    record_.reason = upload_.fault();
    return;
  }
  body_end_ += produced;
  if (copy_ != nullptr) FeedCopy({at, produced});
  if (consumed == produced) return;
  // What follows the body moves up behind what was decoded.
  std::memmove(at + produced, at + consumed, raw_bytes - consumed);
  input_.end -= consumed - produced;
}

// Stages what is decoded and not staged yet.
void Exchange::StageUpload() {
  upload_.Stage(request_head_, input_.block.get() + body_staged_, body_end_ - body_staged_);
  body_staged_ = body_end_;
}

// The client has asked for a 100 (Continue), has not got it, and has sent nothing of its body.
bool Exchange::MayAwaitContinue() const {
  return framing_.expects_continue && interim_responses_ == 0 &&
         record_.received_bytes == head_size_;
}

// The client's body is what is waited for: the target has all that came of it, and no answer is
// under way.
bool Exchange::AwaitsBody() const {
  return !upload_.is_source_done() && !upload_.is_sink_behind() && !upload_.is_stopped() &&
         !MayAwaitContinue() && (!has_response_head() || download_.is_staged());
}

// Looks at the rate of the upload once an interval: silence is no better than a trickle.
bool Exchange::IsUploadInTime() {
  const SteadyTime now = worker_.loop().now();
  if (rate_check_ == SteadyTime() || now < rate_check_ || !AwaitsBody()) return true;
  if (record_.received_bytes - rate_bytes_ < worker_.settings().body_rate_min_bytes) return false;
  rate_check_ = SteadyTime();
  return true;
}

// The target takes no more of the request. It may have answered early and closed: what it sent
// decides (PumpResponse).
void Exchange::StopUpload() {
  upload_.Stop();
  stream_->StopSending();
}

Exchange::Pump Exchange::PumpRequest() {
  Pump result = Pump::kBlocked;
  const uint64_t before = record_.received_bytes;
  while (!upload_.is_stopped() && record_.received_bytes - before < kMaxBytesATurn) {
    if (Gather& out = upload_.staged(); !out.empty()) {
      const ssize_t sent = stream_->Send(out);
      if (sent == -EAGAIN) return result;
      if (sent < 0) {
        StopUpload();
        return Pump::kProgress;
      }
      any_sent_ = true;
      record_.in_flight.NoteSentBytes(worker_, static_cast<uint64_t>(sent));
      result = Pump::kProgress;
      if (!out.empty()) return result;
    }
    // Warm in the cache for the next request. A large one is not held while a body is awaited.
    const bool is_needed =
        !upload_.is_staged() && request_head_.capacity <= BufferPool::kBlockBytes;
    if (request_head_ && !is_needed) worker_.buffers().Give(request_head_);
    if (upload_.is_staged()) return result;
    if (copy_ == nullptr && upload_.TakesPipe(*origin_.client, *stream_, worker_.pipes())) {
      const Pump spliced = SpliceRequest();
      return spliced == Pump::kBlocked ? result : spliced;
    }
    if (!origin_.client->is_readable) return result;
    if (input_.room_size() == 0) {
      // All of it is sent: the block is used again, and the request cannot be repeated any more.
      is_body_held_ = false;
      input_.end = body_end_ = body_staged_ = head_size_;
    }
    const Received got = origin_.client->Receive(input_.room(), input_.room_size());
    if (got.bytes == -EAGAIN) return result;
    if (got.bytes <= 0) {
      Cut(Reason::kClientClosed);
      return Pump::kEnded;
    }
    const auto size = static_cast<size_t>(got.bytes);
    input_.end += size;
    DecodeUpload(size);
    if (record_.reason != Reason::kNone) return FailResponse(record_.reason);
    StageUpload();
    result = Pump::kProgress;
  }
  return result;
}

Exchange::Pump Exchange::SpliceRequest() {
  const BodyPipe::Spliced step = upload_.Splice(*origin_.client, *stream_, worker_.pipes());
  if (step.received > 0) {
    is_body_held_ = false;
    record_.received_bytes += step.received;
  }
  if (step.sent > 0) record_.in_flight.NoteSentBytes(worker_, step.sent);
  switch (step.moved) {
    case BodyPipe::Moved::kBlocked:
      return Pump::kBlocked;
    case BodyPipe::Moved::kMoved:
      return Pump::kProgress;
    case BodyPipe::Moved::kSourceEnded:
      Cut(Reason::kClientClosed);
      return Pump::kEnded;
    case BodyPipe::Moved::kSinkBroken:
      StopUpload();
      return Pump::kProgress;
  }
  return Pump::kBlocked;
}

}  // namespace remuda::proxy
