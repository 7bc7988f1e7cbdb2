// Takes the chunked transfer coding off a body (RFC 9112 section 7.1), incrementally and strictly:
// hex sizes with an overflow check, CRLF only, extensions checked and stripped, trailers checked.
// No I/O; no allocation without trailers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "proxy/http/reason.h"

namespace remuda::proxy::http {

// What is taken beyond the grammar, from targets that must be borne with.
struct ChunkTolerance {
  bool bare_lf = false;       // lines may end in LF alone
  bool padded_sizes = false;  // spaces and tabs behind a size
};

class ChunkDecoder {
 public:
  ChunkDecoder() = default;
  explicit ChunkDecoder(ChunkTolerance tolerance) : tolerance_(tolerance) {}

  struct Result {
    size_t consumed = 0;  // of the input; less than all of it only when done() or failed
    size_t produced = 0;  // bytes of body written to `out`
  };

  // Decodes `in`. `out` has room for `size` bytes and may be `in` itself or lie before it. Trailers
  // that go on (IsTrailerPassedOn) are appended to `trailers`, a line each, kMaxTrailerBytes at
  // most; the same string for all of a body. What is there before done() is not whole.
  Result Decode(const char* in, size_t size, char* out, std::string& trailers);

  bool done() const { return state_ == State::kDone; }
  // kBadChunk, kBadTrailer or kTrailersTooLarge; kNone while all is well.
  Reason reason() const { return reason_; }
  void Reset() { *this = ChunkDecoder(); }

 private:
  enum class State : uint8_t {
    kSize,
    kPadding,         // behind a size
    kExtension,       // behind its ';', before a name
    kExtensionName,   // in it
    kExtensionSpace,  // behind it
    kExtensionValue,  // behind '=', before a value
    kExtensionToken,
    kExtensionQuoted,
    kExtensionEscape,  // behind a '\\' in quotes
    kExtensionEnd,     // behind a quoted value
    kExtensionGap,     // behind a space behind a value
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailerStart,
    kTrailerName,
    kTrailerValue,
    kTrailerLf,
    kEndLf,
    kDone,
  };
  void StepSize(char c);
  void StepExtension(char c);
  void StepInValue(char c);
  void EndOfPart(char c, bool may_end_line);
  void EndSizeLine();
  void StepTrailer(char c, std::string& trailers);
  void EndTrailer(std::string& trailers);
  void Fail(Reason reason) { reason_ = reason; }

  ChunkTolerance tolerance_;
  State state_ = State::kSize;
  Reason reason_ = Reason::kNone;
  uint64_t left_ = 0;      // of the chunk's size while it is read, then of its data
  size_t digits_ = 0;      // hex digits of the size so far
  size_t line_bytes_ = 0;  // of the size line
  size_t trailer_bytes_ = 0;
  size_t trailer_fields_ = 0;
  size_t trailer_begin_ = 0;  // of the trailer that is being read, in all of them
  size_t trailer_name_bytes_ = 0;
};

}  // namespace remuda::proxy::http
