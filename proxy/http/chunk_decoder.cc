#include "proxy/http/chunk_decoder.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>

#include "proxy/http/chars.h"
#include "proxy/http/field.h"
#include "proxy/http/limits.h"

namespace remuda::proxy::http {

// chunk-size [ chunk-ext ] CRLF
void ChunkDecoder::StepSize(char c) {
  if (++line_bytes_ > kMaxChunkLineBytes) return Fail(Reason::kBadChunk);
  switch (state_) {
    case State::kSize: {
      const int digit = HexValue(c);
      if (digit >= 0) {
        if (++digits_ > 16 || left_ > (std::numeric_limits<uint64_t>::max() >> 4)) {
          return Fail(Reason::kBadChunk);
        }
        left_ = (left_ << 4) | static_cast<uint64_t>(digit);
        return;
      }
      if (digits_ == 0) return Fail(Reason::kBadChunk);
      if (c == ';') {
        state_ = State::kExtension;
      } else if (c == '\r') {
        state_ = State::kSizeLf;
      } else {
        Fail(Reason::kBadChunk);
      }
      return;
    }
    case State::kExtension:
      if (c == '\r') {
        state_ = State::kSizeLf;
      } else if (!Is(c, kFieldValueChar)) {
        Fail(Reason::kBadChunk);
      }
      return;
    default:  // kSizeLf
      if (c != '\n') return Fail(Reason::kBadChunk);
      state_ = left_ > 0 ? State::kData : State::kTrailerStart;
      digits_ = 0;
      line_bytes_ = 0;
      return;
  }
}

void ChunkDecoder::StepTrailer(char c) {
  if (++trailer_bytes_ > kMaxTrailerBytes) return Fail(Reason::kTrailersTooLarge);
  switch (state_) {
    case State::kTrailerStart:
      if (c == '\r') {
        state_ = State::kEndLf;
        return;
      }
      if (++trailer_fields_ > kMaxTrailerFields) return Fail(Reason::kTrailersTooLarge);
      name_size_ = 0;
      state_ = State::kTrailerName;
      [[fallthrough]];
    case State::kTrailerName:
      if (c == ':') {
        const std::string_view name(name_, std::min(name_size_, kNameBytes));
        if (name_size_ == 0 || (name_size_ <= kNameBytes && IsProtected(IdOfField(name)))) {
          return Fail(Reason::kBadTrailer);
        }
        state_ = State::kTrailerValue;
        return;
      }
      if (!Is(c, kTokenChar)) return Fail(Reason::kBadTrailer);
      if (name_size_ < kNameBytes) name_[name_size_] = c;
      ++name_size_;
      return;
    case State::kTrailerValue:
      if (c == '\r') {
        state_ = State::kTrailerLf;
      } else if (!Is(c, kFieldValueChar)) {
        Fail(Reason::kBadTrailer);
      }
      return;
    case State::kTrailerLf:
      if (c != '\n') return Fail(Reason::kBadTrailer);
      state_ = State::kTrailerStart;
      return;
    default:  // kEndLf
      if (c != '\n') return Fail(Reason::kBadTrailer);
      state_ = State::kDone;
      return;
  }
}

ChunkDecoder::Result ChunkDecoder::Decode(const char* in, size_t size, char* out) {
  Result result;
  while (result.consumed < size && reason_ == Reason::kNone && state_ != State::kDone) {
    const char c = in[result.consumed];
    switch (state_) {
      case State::kSize:
      case State::kExtension:
      case State::kSizeLf:
        StepSize(c);
        ++result.consumed;
        break;
      case State::kData: {
        const size_t take = static_cast<size_t>(std::min<uint64_t>(left_, size - result.consumed));
        std::memmove(out + result.produced, in + result.consumed, take);
        result.produced += take;
        result.consumed += take;
        left_ -= take;
        if (left_ == 0) state_ = State::kDataCr;
        break;
      }
      case State::kDataCr:
      case State::kDataLf:
        if (c != (state_ == State::kDataCr ? '\r' : '\n')) {
          Fail(Reason::kBadChunk);
          break;
        }
        state_ = state_ == State::kDataCr ? State::kDataLf : State::kSize;
        ++result.consumed;
        break;
      default:
        StepTrailer(c);
        ++result.consumed;
        break;
    }
  }
  return result;
}

}  // namespace remuda::proxy::http
