// Strict, incremental parsing of request and response heads, in place: the views of a head point
// into the buffer that was parsed. No I/O, no allocation. It judges the grammar of lines only; what
// the fields mean together (framing, Host) is decided in framing.h and target.h.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/http/classify.h"
#include "proxy/http/field.h"
#include "proxy/http/reason.h"

namespace remuda::proxy::http {

enum class Method : uint8_t {
  kOther,
  kGet,
  kHead,
  kPost,
  kPut,
  kDelete,
  kOptions,
  kPatch,
  kTrace,
  kConnect
};

Method MethodOf(std::string_view name);

// RFC 9110 section 9.2.2: sending it twice does what sending it once does.
bool IsIdempotent(Method method);

struct RequestHead {
  std::string_view method_name;
  std::string_view target;  // as received
  std::string_view path;    // canonical, set by CanonicalizeTarget (target.h)
  std::string_view query;   // without '?'; valid if has_query
  std::string_view host;    // Host's value, set by CanonicalizeTarget; may be empty for HTTP/1.0
  Method method = Method::kOther;
  bool has_query = false;
  uint8_t minor_version = 1;  // HTTP/1.0, else HTTP/1.1 and what is to be taken as that
  Oddity oddity =
      Oddity::kNone;  // the gravest that DecideRequestFraming and CanonicalizeTarget saw
  std::string_view dropped_name;  // of the first field that is not forwarded for its name
  Fields fields;

  void Note(Oddity seen) { oddity = std::max(oddity, seen); }
};

struct ResponseHead {
  int status = 0;
  std::string_view phrase;
  uint8_t minor_version = 1;
  Fields fields;
};

enum class ParseStatus : uint8_t { kNeedMore, kDone, kError };

namespace internal {

// Cuts a head into lines as bytes arrive and enforces the bounds on lines and heads.
class LineCursor {
 public:
  enum class Result : uint8_t { kNeedMore, kLine, kError };
  Result Next(const char* data, size_t size, size_t max_head_bytes, size_t max_first_line_bytes,
              Reason first_line_reason, bool takes_bare_lf = false);
  void Reset() { *this = LineCursor(); }

  std::string_view line() const { return line_; }
  // After an error, in `data` of the last call: what there is of the line that was not taken.
  std::string_view BadLine(const char* data, size_t size) const;
  Reason reason() const { return reason_; }
  size_t consumed() const { return line_start_; }
  bool is_first_line() const { return is_first_line_; }
  void FirstLineSeen() { is_first_line_ = false; }

 private:
  size_t line_start_ = 0;
  size_t scanned_ = 0;  // no LF in [line_start_, scanned_)
  std::string_view line_;
  Reason reason_ = Reason::kNone;
  bool is_first_line_ = true;
};

}  // namespace internal

// What of a head that was refused a person can look for.
struct BadHead {
  // The name of the field that breaks the rule, as it came; or, if it is the first line, that.
  std::string_view culprit = {};
  bool is_first_line = false;
};

// The request or status line of a message, as far as it came.
std::string_view FirstLineOf(std::string_view message);

class RequestParser {
 public:
  // Parses on over `data`, which holds the bytes of the earlier calls, at the same address, and
  // maybe more. When it answers kDone, head() is set and head_size() bytes were the head. After
  // kError nothing more may be parsed.
  ParseStatus Parse(const char* data, size_t size, RequestHead& head);
  void Reset();

  Reason reason() const { return reason_; }
  size_t head_size() const { return cursor_.consumed(); }
  // After kError, with the arguments of that call.
  BadHead Blame(const char* data, size_t size, const RequestHead& head) const;

 private:
  ParseStatus Fail(Reason reason) {
    reason_ = reason;
    return ParseStatus::kError;
  }
  internal::LineCursor cursor_;
  size_t leading_empty_lines_ = 0;
  Reason reason_ = Reason::kNone;
};

// As RequestParser. Interim (1xx) responses are heads of their own: Reset and parse on behind them.
class ResponseParser {
 public:
  ParseStatus Parse(const char* data, size_t size, ResponseHead& head);
  void Reset();
  // Lines may end in LF alone; stays so over Reset.
  void TakeBareLf(bool is_taken) { takes_bare_lf_ = is_taken; }

  Reason reason() const { return reason_; }
  size_t head_size() const { return cursor_.consumed(); }
  BadHead Blame(const char* data, size_t size, const ResponseHead& head) const;

 private:
  ParseStatus Fail(Reason reason) {
    reason_ = reason;
    return ParseStatus::kError;
  }
  internal::LineCursor cursor_;
  Reason reason_ = Reason::kNone;
  bool takes_bare_lf_ = false;
};

// One "name: value" line (without its end) into `field`.
Reason ParseFieldLine(std::string_view line, Field& field);

}  // namespace remuda::proxy::http
