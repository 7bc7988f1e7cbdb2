#include "proxy/http/framing.h"

#include <limits>

#include "proxy/http/chars.h"
#include "proxy/http/limits.h"

namespace remuda::proxy::http {
namespace {

// What the fields of a message say about framing, before they are judged.
struct Evidence {
  const Field* content_length = nullptr;
  const Field* transfer_encoding = nullptr;
  const Field* upgrade = nullptr;
  size_t content_lengths = 0;
  bool are_lengths_equal = true;
  bool has_suspicious_length = false;  // by a name that may be read as Content-Length
  bool has_suspicious_encoding = false;
  size_t transfer_encodings = 0;
  size_t upgrades = 0;
  bool says_close = false;
  bool says_keep_alive = false;
  bool names_upgrade = false;
  bool takes_trailers = false;
};

// Connection: options are tokens; those that name fields make them hop-by-hop, but may not name a
// protected one (http-safety rule 5: a client could strip X-Forwarded-For or Host on its way).
Reason TakeConnection(Fields& fields, std::string_view list, size_t& options, Evidence& evidence) {
  while (!list.empty()) {
    const std::string_view option = NextListElement(list);
    if (option.empty()) continue;
    if (!AllOf(option, kTokenChar) || ++options > kMaxConnectionOptions)
      return Reason::kBadConnection;
    if (EqualsIgnoreCase(option, "close")) {
      evidence.says_close = true;
    } else if (EqualsIgnoreCase(option, "keep-alive")) {
      evidence.says_keep_alive = true;
    } else if (EqualsIgnoreCase(option, "upgrade")) {
      evidence.names_upgrade = true;
    } else if (IsProtected(IdOfField(option))) {
      return Reason::kBadConnection;
    } else {
      for (Field& field : fields) {
        if (EqualsIgnoreCase(field.name, option)) field.is_dropped = true;
      }
    }
  }
  return Reason::kNone;
}

bool HasElement(std::string_view list, std::string_view wanted) {
  while (!list.empty()) {
    if (EqualsIgnoreCase(NextListElement(list), wanted)) return true;
  }
  return false;
}

bool IsLetter(char c) { return Lower(c) >= 'a' && Lower(c) <= 'z'; }

// Whether the letters of `name` are those of `known`, whatever stands between and around them: what
// a reader may take for `known` that normalizes names.
bool HasLettersOf(std::string_view name, std::string_view known) {
  size_t at = 0;
  for (const char c : name) {
    if (!IsLetter(c)) continue;
    if (at == known.size() || Lower(c) != known[at]) return false;
    ++at;
  }
  return at == known.size();
}

constexpr std::string_view kLengthLetters = "contentlength";
constexpr std::string_view kEncodingLetters = "transferencoding";

// Of names that are no framing for us: whether one may be for others.
bool TakeOtherName(Field& field, Evidence& evidence) {
  if (field.name.size() < kLengthLetters.size()) return false;
  const char first = Lower(field.name.front());
  if (first != 'c' && first != 't' && IsLetter(first)) return false;
  const bool is_length = HasLettersOf(field.name, kLengthLetters);
  const bool is_encoding = !is_length && HasLettersOf(field.name, kEncodingLetters);
  if (is_length || is_encoding) field.is_dropped = true;
  evidence.has_suspicious_length |= is_length;
  evidence.has_suspicious_encoding |= is_encoding;
  return is_length || is_encoding;
}

Reason Gather(Fields& fields, Evidence& evidence) {
  size_t options = 0;
  for (Field& field : fields) {
    if (IsHopByHop(field.id)) field.is_dropped = true;
    switch (field.id) {
      case FieldId::kContentLength:
        if (evidence.content_length != nullptr && evidence.content_length->value != field.value)
          evidence.are_lengths_equal = false;
        evidence.content_length = &field;
        ++evidence.content_lengths;
        break;
      case FieldId::kTransferEncoding:
        evidence.transfer_encoding = &field;
        ++evidence.transfer_encodings;
        break;
      case FieldId::kTe:
        evidence.takes_trailers |= HasElement(field.value, "trailers");
        break;
      case FieldId::kUpgrade:
        evidence.upgrade = &field;
        ++evidence.upgrades;
        break;
      case FieldId::kConnection:
        if (const Reason reason = TakeConnection(fields, field.value, options, evidence);
            reason != Reason::kNone) {
          return reason;
        }
        break;
      default:
        break;
    }
  }
  return Reason::kNone;
}

// A Transfer-Encoding that is not plainly chunked: of codings that we do not know it is right if it
// is one of them alone, or a list that ends in chunked, said once (RFC 9112 sections 6.1 and 7).
Reason JudgeCodings(std::string_view list) {
  if (!list.empty() && list.back() == ',') return Reason::kBadTransferEncoding;
  size_t count = 0;
  bool is_last_chunked = false;
  while (!list.empty()) {
    const std::string_view coding = NextListElement(list);
    if (coding.empty() || !AllOf(coding, kTokenChar) || is_last_chunked)
      return Reason::kBadTransferEncoding;
    is_last_chunked = EqualsIgnoreCase(coding, "chunked");
    ++count;
  }
  return count == 1 || (count > 1 && is_last_chunked) ? Reason::kUnknownTransferEncoding
                                                      : Reason::kBadTransferEncoding;
}

// Content-Length and Transfer-Encoding to one body kind, or the reason why not. `framing.kind` is
// kNone if neither is there. What is odd, but has one meaning, is left in `oddity`: the caller
// decides whether it passes.
Reason JudgeBody(const Evidence& evidence, uint8_t minor_version, Framing& framing,
                 Oddity& oddity) {
  if (evidence.transfer_encodings > 1) return Reason::kRepeatedTransferEncoding;
  if (evidence.content_lengths > 1) {
    if (!evidence.are_lengths_equal || evidence.transfer_encoding != nullptr)
      return Reason::kRepeatedContentLength;
    oddity = Oddity::kDuplicateContentLength;
  }
  if (evidence.content_length != nullptr &&
      !ParseContentLength(evidence.content_length->value, framing.length)) {
    return evidence.transfer_encoding != nullptr ? Reason::kLengthAndTransferEncoding
           : evidence.content_lengths > 1        ? Reason::kRepeatedContentLength
                                                 : Reason::kBadContentLength;
  }
  if (evidence.transfer_encoding != nullptr) {
    const bool is_chunked = EqualsIgnoreCase(evidence.transfer_encoding->value, "chunked");
    if (evidence.content_length != nullptr) {
      if (!is_chunked || minor_version == 0) return Reason::kLengthAndTransferEncoding;
      oddity = Oddity::kBothTeClPresent;
    }
    if (minor_version == 0) return Reason::kChunkedInHttp10;
    if (!is_chunked) return JudgeCodings(evidence.transfer_encoding->value);
    framing.length = 0;
    framing.kind = BodyKind::kChunked;
    return Reason::kNone;
  }
  if (evidence.content_length != nullptr) {
    framing.has_length = true;
    framing.kind = framing.length > 0 ? BodyKind::kLength : BodyKind::kNone;
  }
  return Reason::kNone;
}

// What is noticed of a request with one plain framing.
Oddity LesserOddity(const RequestHead& head, const Evidence& evidence, const Framing& framing) {
  if (evidence.has_suspicious_length || evidence.has_suspicious_encoding)
    return Oddity::kSuspiciousHeader;
  if (head.method != Method::kGet && head.method != Method::kHead) return Oddity::kNone;
  if (framing.kind == BodyKind::kChunked) return Oddity::kUndefinedTransferEncodingSemantics;
  if (framing.kind == BodyKind::kLength) return Oddity::kUndefinedContentLengthSemantics;
  return framing.has_length ? Oddity::kGetHeadZeroContentLength : Oddity::kNone;
}

bool ExpectsBody(Method method) {
  return method == Method::kPost || method == Method::kPut || method == Method::kPatch;
}

bool KeepsAlive(const Evidence& evidence, uint8_t minor_version) {
  return !evidence.says_close && (minor_version == 1 || evidence.says_keep_alive);
}

// One protocol, as "websocket" or "name/version" (RFC 9110 section 7.8). Not another HTTP: what
// came in it would pass unseen by every check (http-safety rule 7).
std::string_view UpgradeOf(const Evidence& evidence, uint8_t minor_version) {
  if (!evidence.names_upgrade || evidence.upgrades != 1 || minor_version == 0) return {};
  const std::string_view protocol = evidence.upgrade->value;
  const size_t slash = protocol.find('/');
  const std::string_view name = protocol.substr(0, slash);
  const bool is_one =
      !name.empty() && AllOf(name, kTokenChar) &&
      (slash == std::string_view::npos ||
       (slash + 1 < protocol.size() && AllOf(protocol.substr(slash + 1), kTokenChar)));
  for (const std::string_view http : {"http", "h2c", "h2", "h3"}) {
    if (EqualsIgnoreCase(name, http)) return {};
  }
  return is_one ? protocol : std::string_view();
}

}  // namespace

bool ParseContentLength(std::string_view text, uint64_t& length) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return false;
  uint64_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    const uint64_t digit = static_cast<uint64_t>(c - '0');
    if (value > (std::numeric_limits<uint64_t>::max() - digit) / 10) return false;
    value = value * 10 + digit;
  }
  length = value;
  return true;
}

Reason DecideRequestFraming(RequestHead& head, Framing& framing, DesyncMode mode) {
  framing = Framing();
  Evidence evidence;
  if (const Reason reason = Gather(head.fields, evidence); reason != Reason::kNone) return reason;
  for (Field& field : head.fields) {
    if (field.id != FieldId::kOther) continue;
    const bool is_suspicious = TakeOtherName(field, evidence);
    const bool has_low_line = field.is_dropped && field.name.find('_') != std::string_view::npos;
    if (is_suspicious || (has_low_line && head.dropped_name.empty()))
      head.dropped_name = field.name;
  }
  Oddity oddity = Oddity::kNone;
  if (const Reason reason = JudgeBody(evidence, head.minor_version, framing, oddity);
      reason != Reason::kNone) {
    return reason;
  }
  const bool has_length = evidence.content_length != nullptr || evidence.has_suspicious_length;
  const bool has_encoding =
      evidence.transfer_encoding != nullptr || evidence.has_suspicious_encoding;
  const bool is_suspicious = evidence.has_suspicious_length || evidence.has_suspicious_encoding;
  if (is_suspicious && has_length && has_encoding) return Reason::kLengthAndTransferEncoding;
  if (oddity == Oddity::kNone) oddity = LesserOddity(head, evidence, framing);
  head.Note(oddity);
  if (const Reason reason = Refusal(oddity, mode); reason != Reason::kNone) return reason;
  framing.is_body_unexpected = framing.kind != BodyKind::kNone && !ExpectsBody(head.method);
  framing.keep_alive = KeepsAlive(evidence, head.minor_version);
  framing.upgrade = UpgradeOf(evidence, head.minor_version);
  framing.takes_trailers = evidence.takes_trailers && head.minor_version == 1;
  if (const Field* expect = head.fields.Find(FieldId::kExpect); expect != nullptr) {
    if (!EqualsIgnoreCase(expect->value, "100-continue")) return Reason::kBadExpect;
    // RFC 9110 section 10.1.1: of no meaning in HTTP/1.0 or without a body.
    framing.expects_continue = head.minor_version == 1 && framing.kind != BodyKind::kNone;
  }
  return Reason::kNone;
}

Reason DecideResponseFraming(ResponseHead& head, Method method, Framing& framing) {
  framing = Framing();
  Evidence evidence;
  if (const Reason reason = Gather(head.fields, evidence); reason != Reason::kNone) return reason;
  Oddity oddity = Oddity::kNone;
  if (const Reason reason = JudgeBody(evidence, head.minor_version, framing, oddity);
      reason != Reason::kNone) {
    return reason;
  }
  // A target's answer is never odd.
  if (oddity != Oddity::kNone) return Refusal(oddity, DesyncMode::kStrictest);
  framing.keep_alive = KeepsAlive(evidence, head.minor_version);
  framing.upgrade = UpgradeOf(evidence, head.minor_version);
  const bool is_bodiless = head.status < 200 || head.status == 204 || head.status == 304;
  if (is_bodiless || method == Method::kHead) {
    // RFC 9110 section 8.6: a length in 1xx and 204 means nothing; in 304 and for HEAD it speaks of
    // another answer.
    if (head.status < 200 || head.status == 204) framing.has_length = false;
    framing.kind = BodyKind::kNone;
    return Reason::kNone;
  }
  if (framing.kind == BodyKind::kNone && !framing.has_length) {
    framing.kind = BodyKind::kUntilClose;
    framing.keep_alive = false;
  }
  return Reason::kNone;
}

}  // namespace remuda::proxy::http
