#include "proxy/http/head_parser.h"

#include <algorithm>
#include <cstring>

#include "proxy/http/chars.h"
#include "proxy/http/limits.h"

namespace remuda::proxy::http {

Method MethodOf(std::string_view name) {
  switch (name.size()) {
    case 3:
      return name == "GET" ? Method::kGet : name == "PUT" ? Method::kPut : Method::kOther;
    case 4:
      return name == "POST" ? Method::kPost : name == "HEAD" ? Method::kHead : Method::kOther;
    case 5:
      return name == "PATCH" ? Method::kPatch : name == "TRACE" ? Method::kTrace : Method::kOther;
    case 6:
      return name == "DELETE" ? Method::kDelete : Method::kOther;
    case 7:
      return name == "OPTIONS"   ? Method::kOptions
             : name == "CONNECT" ? Method::kConnect
                                 : Method::kOther;
    default:
      return Method::kOther;
  }
}

bool IsIdempotent(Method method) {
  switch (method) {
    case Method::kGet:
    case Method::kHead:
    case Method::kPut:
    case Method::kDelete:
    case Method::kOptions:
    case Method::kTrace:
      return true;
    default:
      return false;
  }
}

namespace internal {

LineCursor::Result LineCursor::Next(const char* data, size_t size, size_t max_head_bytes,
                                    size_t max_first_line_bytes, Reason first_line_reason,
                                    bool takes_bare_lf) {
  const size_t max_line_bytes = is_first_line_ ? max_first_line_bytes : kMaxFieldLineBytes;
  const Reason line_reason = is_first_line_ ? first_line_reason : Reason::kFieldTooLong;
  const void* found =
      scanned_ < size ? std::memchr(data + scanned_, '\n', size - scanned_) : nullptr;
  const size_t end =
      found != nullptr ? static_cast<size_t>(static_cast<const char*>(found) - data) : size;
  if (end - line_start_ > max_line_bytes + 1) {  // + CR
    reason_ = line_reason;
    return Result::kError;
  }
  if (end >= max_head_bytes) {
    reason_ = Reason::kHeadTooLarge;
    return Result::kError;
  }
  if (found == nullptr) {
    scanned_ = size;
    return Result::kNeedMore;
  }
  const bool has_cr = end > line_start_ && data[end - 1] == '\r';
  if (!has_cr && !takes_bare_lf) {
    reason_ = Reason::kBadLineEnd;
    return Result::kError;
  }
  line_ = std::string_view(data + line_start_, end - (has_cr ? 1 : 0) - line_start_);
  line_start_ = end + 1;
  scanned_ = line_start_;
  return Result::kLine;
}

std::string_view LineCursor::BadLine(const char* data, size_t size) const {
  if (reason_ == Reason::kNone) return line_;  // it was cut off, and broke a rule of its own
  const std::string_view rest(data + line_start_, size - line_start_);
  return rest.substr(0, rest.find('\n'));
}

}  // namespace internal

namespace {

// A higher minor version is to be taken as the highest that is known (RFC 9110 section 2.5).
Reason ParseVersion(std::string_view text, uint8_t& minor_version) {
  if (text.size() == 8 && text.substr(0, 7) == "HTTP/1." && text[7] >= '0' && text[7] <= '9') {
    minor_version = text[7] == '0' ? 0 : 1;
    return Reason::kNone;
  }
  if (text == "HTTP/2.0") return Reason::kHttp2Preface;
  return text.size() == 8 && text.substr(0, 5) == "HTTP/" ? Reason::kBadVersion
                                                          : Reason::kBadRequestLine;
}

Reason ParseRequestLine(std::string_view line, RequestHead& head) {
  const size_t first = line.find(' ');
  if (first == std::string_view::npos) return Reason::kBadRequestLine;
  const size_t second = line.find(' ', first + 1);
  if (second == std::string_view::npos) return Reason::kBadRequestLine;
  head.method_name = line.substr(0, first);
  head.target = line.substr(first + 1, second - first - 1);
  if (head.method_name.empty() || head.method_name.size() > kMaxMethodBytes ||
      !AllOf(head.method_name, kTokenChar)) {
    return Reason::kBadMethod;
  }
  if (const Reason reason = ParseVersion(line.substr(second + 1), head.minor_version);
      reason != Reason::kNone) {
    return reason;
  }
  if (head.target.empty() || !AllOf(head.target, kTargetChar)) return Reason::kBadTarget;
  head.method = MethodOf(head.method_name);
  return Reason::kNone;
}

// status-line = HTTP-version SP 3DIGIT SP [ reason-phrase ]; the second SP may be missing with the
// phrase, as many targets leave it out.
Reason ParseStatusLine(std::string_view line, ResponseHead& head) {
  if (line.size() < 12 || line[8] != ' ') return Reason::kBadRequestLine;
  if (ParseVersion(line.substr(0, 8), head.minor_version) != Reason::kNone)
    return Reason::kBadVersion;
  int status = 0;
  for (char c : line.substr(9, 3)) {
    if (c < '0' || c > '9') return Reason::kBadRequestLine;
    status = status * 10 + (c - '0');
  }
  if (status < 100 || status > 599) return Reason::kBadRequestLine;
  if (line.size() > 12 && line[12] != ' ') return Reason::kBadRequestLine;
  head.status = status;
  head.phrase = line.size() > 13 ? line.substr(13) : std::string_view();
  return AllOf(head.phrase, kFieldValueChar) ? Reason::kNone : Reason::kBadRequestLine;
}

}  // namespace

Reason ParseFieldLine(std::string_view line, Field& field) {
  if (line.front() == ' ' || line.front() == '\t') return Reason::kFoldedLine;
  size_t colon = 0;
  while (colon < line.size() && Is(line[colon], kTokenChar)) ++colon;
  if (colon == 0 || colon == line.size() || line[colon] != ':') return Reason::kBadFieldName;
  field.name = line.substr(0, colon);
  field.value = TrimOws(line.substr(colon + 1));
  if (!HoldsFieldValueChars(field.value)) return Reason::kBadFieldValue;
  field.id = IdOfField(field.name);
  field.is_dropped = false;
  return Reason::kNone;
}

namespace {

void JudgeName(Field& field, const RequestHead& /*head*/) {
  // A target that maps '_' to '-' (CGI does) would see Content_Length as Content-Length: never
  // forwarded.
  field.is_dropped = field.id == FieldId::kOther && field.name.find('_') != std::string_view::npos;
}
void JudgeName(Field& /*field*/, const ResponseHead& /*head*/) {}

template <typename Head>
Reason AddField(std::string_view line, Head& head) {
  Field none_left;
  Field* const slot = head.fields.Slot();
  const Reason reason = ParseFieldLine(line, slot != nullptr ? *slot : none_left);
  if (reason != Reason::kNone) return reason;
  if (slot == nullptr) return Reason::kTooManyFields;
  JudgeName(*slot, head);
  head.fields.Commit();
  return Reason::kNone;
}

// Of a field's line its name alone: values are nobody's business. A line that goes on with the one
// before it has none, so that one's is given.
template <typename Head>
BadHead BlameLine(const internal::LineCursor& cursor, const char* data, size_t size,
                  const Head& head) {
  if (cursor.is_first_line()) return {FirstLineOf({data, size}), true};
  const std::string_view line = cursor.BadLine(data, size);
  const bool is_folded = !line.empty() && (line.front() == ' ' || line.front() == '\t');
  if (!is_folded) return {line.substr(0, line.find_first_of(":\r"))};
  return {head.fields.size() > 0 ? (head.fields.end() - 1)->name : std::string_view()};
}

}  // namespace

void RequestParser::Reset() {
  cursor_.Reset();
  leading_empty_lines_ = 0;
  reason_ = Reason::kNone;
}

ParseStatus RequestParser::Parse(const char* data, size_t size, RequestHead& head) {
  while (true) {
    switch (cursor_.Next(data, size, kMaxRequestHeadBytes, kMaxRequestLineBytes,
                         Reason::kRequestLineTooLong)) {
      case internal::LineCursor::Result::kNeedMore:
        return ParseStatus::kNeedMore;
      case internal::LineCursor::Result::kError:
        return Fail(cursor_.reason());
      case internal::LineCursor::Result::kLine:
        break;
    }
    const std::string_view line = cursor_.line();
    Reason reason = Reason::kNone;
    if (cursor_.is_first_line()) {
      if (line.empty()) {
        if (++leading_empty_lines_ > kMaxLeadingEmptyLines) return Fail(Reason::kBadRequestLine);
        continue;
      }
      head.fields.Clear();
      head.path = head.query = head.host = {};  // views into what was parsed before
      head.has_query = false;
      head.oddity = Oddity::kNone;
      head.dropped_name = {};
      reason = ParseRequestLine(line, head);
      if (reason == Reason::kNone) cursor_.FirstLineSeen();
    } else if (line.empty()) {
      return ParseStatus::kDone;
    } else {
      reason = AddField(line, head);
    }
    if (reason != Reason::kNone) return Fail(reason);
  }
}

std::string_view FirstLineOf(std::string_view message) {
  const size_t begin = std::min(message.find_first_not_of("\r\n"), message.size());
  const std::string_view rest = message.substr(begin);
  return rest.substr(0, rest.find_first_of("\r\n"));
}

BadHead RequestParser::Blame(const char* data, size_t size, const RequestHead& head) const {
  return BlameLine(cursor_, data, size, head);
}

void ResponseParser::Reset() {
  cursor_.Reset();
  reason_ = Reason::kNone;
}

ParseStatus ResponseParser::Parse(const char* data, size_t size, ResponseHead& head) {
  while (true) {
    switch (cursor_.Next(data, size, kMaxResponseHeadBytes, kMaxFieldLineBytes,
                         Reason::kFieldTooLong, takes_bare_lf_)) {
      case internal::LineCursor::Result::kNeedMore:
        return ParseStatus::kNeedMore;
      case internal::LineCursor::Result::kError:
        return Fail(cursor_.reason());
      case internal::LineCursor::Result::kLine:
        break;
    }
    const std::string_view line = cursor_.line();
    Reason reason = Reason::kNone;
    if (cursor_.is_first_line()) {
      head.fields.Clear();
      reason = ParseStatusLine(line, head);
      if (reason == Reason::kNone) cursor_.FirstLineSeen();
    } else if (line.empty()) {
      return ParseStatus::kDone;
    } else {
      reason = AddField(line, head);
    }
    if (reason != Reason::kNone) return Fail(reason);
  }
}

BadHead ResponseParser::Blame(const char* data, size_t size, const ResponseHead& head) const {
  return BlameLine(cursor_, data, size, head);
}

}  // namespace remuda::proxy::http
