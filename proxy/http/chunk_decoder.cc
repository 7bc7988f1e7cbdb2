#include "proxy/http/chunk_decoder.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>

#include "proxy/http/chars.h"
#include "proxy/http/field.h"
#include "proxy/http/limits.h"

namespace remuda::proxy::http {

namespace {

bool IsSpace(char c) { return c == ' ' || c == '\t'; }

}  // namespace

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
      [[fallthrough]];
    }
    case State::kPadding:
      if (IsSpace(c) && tolerance_.padded_sizes) {
        state_ = State::kPadding;
        return;
      }
      return EndOfPart(c, /*may_end_line=*/true);
    case State::kSizeLf:
      return c == '\n' ? EndSizeLine() : Fail(Reason::kBadChunk);
    default:
      return StepExtension(c);
  }
}

void ChunkDecoder::EndSizeLine() {
  state_ = left_ > 0 ? State::kData : State::kTrailerStart;
  digits_ = 0;
  line_bytes_ = 0;
}

// What may follow a size, or an extension: another one, or the end of the line.
void ChunkDecoder::EndOfPart(char c, bool may_end_line) {
  if (c == ';') {
    state_ = State::kExtension;
  } else if (c == '\r' && may_end_line) {
    state_ = State::kSizeLf;
  } else if (c == '\n' && may_end_line && tolerance_.bare_lf) {
    EndSizeLine();
  } else {
    Fail(Reason::kBadChunk);
  }
}

// *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS ( token / quoted-string ) ] )
void ChunkDecoder::StepExtension(char c) {
  switch (state_) {
    case State::kExtension:
      if (IsSpace(c)) return;
      if (!Is(c, kTokenChar)) return Fail(Reason::kBadChunk);
      state_ = State::kExtensionName;
      return;
    case State::kExtensionName:
      if (Is(c, kTokenChar)) return;
      if (c == '=') {
        state_ = State::kExtensionValue;
      } else if (IsSpace(c)) {
        state_ = State::kExtensionSpace;
      } else {
        EndOfPart(c, /*may_end_line=*/true);
      }
      return;
    case State::kExtensionSpace:
      if (IsSpace(c)) return;
      if (c == '=') {
        state_ = State::kExtensionValue;
        return;
      }
      return EndOfPart(c, /*may_end_line=*/tolerance_.padded_sizes);
    default:
      return StepInValue(c);
  }
}

void ChunkDecoder::StepInValue(char c) {
  switch (state_) {
    case State::kExtensionValue:
      if (IsSpace(c)) return;
      if (c != '"' && !Is(c, kTokenChar)) return Fail(Reason::kBadChunk);
      state_ = c == '"' ? State::kExtensionQuoted : State::kExtensionToken;
      return;
    case State::kExtensionQuoted:
      if (!Is(c, kFieldValueChar)) return Fail(Reason::kBadChunk);
      if (c == '"') state_ = State::kExtensionEnd;
      if (c == '\\') state_ = State::kExtensionEscape;
      return;
    case State::kExtensionEscape:
      if (!Is(c, kFieldValueChar)) return Fail(Reason::kBadChunk);
      state_ = State::kExtensionQuoted;
      return;
    case State::kExtensionToken:
      if (Is(c, kTokenChar)) return;
      [[fallthrough]];
    case State::kExtensionEnd:
      if (IsSpace(c)) {
        state_ = State::kExtensionGap;
        return;
      }
      return EndOfPart(c, /*may_end_line=*/true);
    default:  // kExtensionGap
      if (!IsSpace(c)) EndOfPart(c, /*may_end_line=*/tolerance_.padded_sizes);
      return;
  }
}

void ChunkDecoder::StepTrailer(char c, std::string& trailers) {
  if (++trailer_bytes_ > kMaxTrailerBytes) return Fail(Reason::kTrailersTooLarge);
  switch (state_) {
    case State::kTrailerStart:
      if (c == '\r') {
        state_ = State::kEndLf;
        return;
      }
      if (c == '\n' && tolerance_.bare_lf) {
        state_ = State::kDone;
        return;
      }
      if (++trailer_fields_ > kMaxTrailerFields) return Fail(Reason::kTrailersTooLarge);
      trailer_begin_ = trailers.size();
      state_ = State::kTrailerName;
      [[fallthrough]];
    case State::kTrailerName:
      if (c == ':') {
        trailer_name_bytes_ = trailers.size() - trailer_begin_;
        const std::string_view name = std::string_view(trailers).substr(trailer_begin_);
        if (name.empty() || IsProtected(IdOfField(name))) return Fail(Reason::kBadTrailer);
        state_ = State::kTrailerValue;
      } else if (!Is(c, kTokenChar)) {
        return Fail(Reason::kBadTrailer);
      }
      trailers.push_back(c);
      return;
    case State::kTrailerValue:
      if (c == '\r') {
        state_ = State::kTrailerLf;
      } else if (c == '\n' && tolerance_.bare_lf) {
        EndTrailer(trailers);
      } else if (Is(c, kFieldValueChar)) {
        trailers.push_back(c);
      } else {
        Fail(Reason::kBadTrailer);
      }
      return;
    case State::kTrailerLf:
      if (c != '\n') return Fail(Reason::kBadTrailer);
      EndTrailer(trailers);
      return;
    default:  // kEndLf
      if (c != '\n') return Fail(Reason::kBadTrailer);
      state_ = State::kDone;
      return;
  }
}

void ChunkDecoder::EndTrailer(std::string& trailers) {
  const std::string_view all = trailers;
  if (IsTrailerPassedOn(all.substr(trailer_begin_, trailer_name_bytes_))) {
    trailers.append("\r\n");
  } else {
    trailers.resize(trailer_begin_);
  }
  state_ = State::kTrailerStart;
}

ChunkDecoder::Result ChunkDecoder::Decode(const char* in, size_t size, char* out,
                                          std::string& trailers) {
  Result result;
  while (result.consumed < size && reason_ == Reason::kNone && state_ != State::kDone) {
    const char c = in[result.consumed];
    switch (state_) {
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
      case State::kDataLf: {
        const bool is_bare = state_ == State::kDataCr && c == '\n' && tolerance_.bare_lf;
        if (!is_bare && c != (state_ == State::kDataCr ? '\r' : '\n')) {
          Fail(Reason::kBadChunk);
          break;
        }
        state_ = state_ == State::kDataCr && !is_bare ? State::kDataLf : State::kSize;
        ++result.consumed;
        break;
      }
      case State::kTrailerStart:
      case State::kTrailerName:
      case State::kTrailerValue:
      case State::kTrailerLf:
      case State::kEndLf:
        StepTrailer(c, trailers);
        ++result.consumed;
        break;
      default:
        StepSize(c);
        ++result.consumed;
        break;
    }
  }
  return result;
}

}  // namespace remuda::proxy::http
