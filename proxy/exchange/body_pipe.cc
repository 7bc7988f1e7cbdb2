#include "proxy/exchange/body_pipe.h"

#include <algorithm>
#include <cerrno>
#include <string_view>

namespace remuda::proxy {

using http::BodyKind;

namespace {

// Of a body that is still to come: with less, a pipe costs more than the copies it saves.
constexpr uint64_t kMinSplicedBytes = 64 * 1024;

}  // namespace

void BodyPipe::Reset() {
  from_ = to_ = BodyKind::kNone;
  progress_ = Progress::kFlowing;
  is_source_done_ = is_empty_ = true;
  left_ = 0;
  staged_.Clear();
  if (!trailers_.empty()) trailers_ = std::string();
}

void BodyPipe::Begin(BodyKind from, BodyKind to, uint64_t length, http::ChunkTolerance tolerance) {
  from_ = from;
  to_ = to;
  left_ = from == BodyKind::kLength ? length : 0;
  is_empty_ = from == BodyKind::kNone || (from == BodyKind::kLength && length == 0);
  is_source_done_ = is_empty_;
  if (from == BodyKind::kChunked) decoder_ = http::ChunkDecoder(tolerance);
}

void BodyPipe::BeginAgain() {
  progress_ = Progress::kFlowing;
  staged_.Clear();
}

BodyPipe::Decoded BodyPipe::Decode(char* data, size_t size) {
  switch (from_) {
    case BodyKind::kNone:
      return {};
    case BodyKind::kLength: {
      const auto taken = static_cast<size_t>(std::min<uint64_t>(left_, size));
      left_ -= taken;
      is_source_done_ = left_ == 0;
      return {taken, taken};
    }
    case BodyKind::kUntilClose:
      return {size, size};
    case BodyKind::kChunked: {
      if (decoder_.done()) return {};
      const auto result = decoder_.Decode(data, size, data, trailers_);
      is_source_done_ = decoder_.done();
      if (is_source_done_ && !trailers_.empty())
        trailers_.insert(0, kBeforeTrailers).append("\r\n");
      return {result.consumed, result.produced};
    }
  }
  return {};
}

void BodyPipe::Stage(Buffer& tail, const char* data, size_t size) {
  if (to_ == BodyKind::kChunked) {
    if (size > 0) {
      staged_.Add(chunk_head_, http::WriteChunkHead(size, chunk_head_));
      staged_.Add(data, size);
    }
    const std::string_view end = !is_source_done_    ? kEnd.substr(0, 2)
                                 : trailers_.empty() ? kEnd
                                                     : std::string_view(trailers_);
    // CRLF ends the chunk, if there is one.
    const std::string_view rest = size > 0 ? end : end.substr(2);
    staged_.Add(rest.data(), rest.size());
  } else if (size > 0) {
    staged_.AddBehind(tail, data, size);
  }
  if (is_source_done_ && progress_ == Progress::kFlowing) progress_ = Progress::kStaged;
}

bool BodyPipe::TakesPipe(const StreamEnd& source, const StreamEnd& sink, SplicePipePool& pipes) {
  if (pipe_ != nullptr) return true;
  if (left_ < kMinSplicedBytes || to_ != BodyKind::kLength || !source.may_splice() ||
      !sink.may_splice()) {
    return false;
  }
  pipe_ = pipes.Take();
  return pipe_ != nullptr;
}

BodyPipe::Spliced BodyPipe::Splice(StreamEnd& source, StreamEnd& sink, SplicePipePool& pipes) {
  Spliced result;
  if (pipe_->size() == 0) {
    if (!source.is_readable) return result;
    const ssize_t got =
        source.FillPipe(*pipe_, static_cast<size_t>(std::min<uint64_t>(left_, SIZE_MAX)));
    if (got == -EAGAIN) return result;
    if (got <= 0) {
      result.moved = Moved::kSourceEnded;
      return result;
    }
    result.received = static_cast<uint64_t>(got);
    left_ -= result.received;
    is_source_done_ = left_ == 0;
    result.moved = Moved::kMoved;
  }
  const ssize_t sent = sink.DrainPipe(*pipe_);
  if (sent == -EAGAIN) return result;
  if (sent < 0) {
    result.moved = Moved::kSinkBroken;
    return result;
  }
  result.sent = static_cast<uint64_t>(sent);
  result.moved = Moved::kMoved;
  if (pipe_->size() > 0 || !is_source_done_) return result;
  GivePipe(pipes);
  source.EndSplice();
  progress_ = Progress::kStaged;
  return result;
}

}  // namespace remuda::proxy
