#include "proxy/http/head_writer.h"

#include <charconv>
#include <cstring>

#include "proxy/http/chars.h"
#include "proxy/http/trace.h"

namespace remuda::proxy::http {
namespace {

// Appends to a bounded buffer; once something did not fit, nothing more is written.
class Appender {
 public:
  Appender(char* out, size_t capacity) : out_(out), capacity_(capacity) {}

  Appender& Add(std::string_view text) {
    if (text.size() > capacity_ - size_) {
      is_full_ = true;
      capacity_ = size_;
      return *this;
    }
    if (!text.empty()) std::memcpy(out_ + size_, text.data(), text.size());
    size_ += text.size();
    return *this;
  }
  Appender& AddNumber(uint64_t number) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    return Add({digits, static_cast<size_t>(end - digits)});
  }
  size_t Finish() const { return is_full_ ? 0 : size_; }

 private:
  char* out_;
  size_t capacity_;
  size_t size_ = 0;
  bool is_full_ = false;
};

void AddForwardedFor(const RequestHead& head, const ForwardedInfo& info, Appender& out) {
  if (info.rules.forwarded_for == ForwardedForMode::kRemove) return;
  bool is_first = true;
  const auto add = [&](std::string_view value) {
    out.Add(is_first ? "X-Forwarded-For: " : ", ").Add(value);
    is_first = false;
  };
  for (const Field& field : head.fields) {
    if (field.id == FieldId::kXForwardedFor && !field.value.empty()) add(field.value);
  }
  if (info.rules.forwarded_for == ForwardedForMode::kAppend) {
    const bool in_brackets =
        info.rules.with_client_port && info.client_address.find(':') != std::string_view::npos;
    add(in_brackets ? "[" : "");
    out.Add(info.client_address).Add(in_brackets ? "]" : "");
    if (info.rules.with_client_port) out.Add(":").AddNumber(info.client_port);
  }
  if (!is_first) out.Add("\r\n");
}

void AddTraceId(const RequestHead& head, std::string_view id, Appender& out) {
  const Field* field = head.fields.Find(FieldId::kXAmznTraceId);
  out.Add("X-Amzn-Trace-Id: ");
  ForEachTraceIdPiece(field == nullptr ? std::string_view() : field->value, id,
                      [&](std::string_view piece) { out.Add(piece); });
  out.Add("\r\n");
}

// A body in chunks, and what may follow it.
void AddChunked(const Fields& fields, Appender& out) {
  out.Add("Transfer-Encoding: chunked\r\n");
  ForEachTrailerName(fields,
                     [&](std::string_view names) { out.Add("Trailer: ").Add(names).Add("\r\n"); });
}

void AddUpgrade(std::string_view protocol, Appender& out) {
  out.Add("Connection: Upgrade\r\nUpgrade: ").Add(protocol).Add("\r\n");
}

// Whether `field` was received just as it would be written, "name: value".
bool IsPlain(const Field& field) {
  const char* const name_end = field.name.data() + field.name.size();
  return field.value.data() == name_end + 2 && name_end[0] == ':' && name_end[1] == ' ';
}

// Writes the fields that `is_wanted` takes. Those that came behind each other, each as it would be
// written, are copied as one.
template <typename Wanted>
void AddFields(const Fields& fields, Wanted is_wanted, Appender& out) {
  std::string_view run;
  for (const Field& field : fields) {
    if (!is_wanted(field)) continue;
    const char* const begin = field.name.data();
    const size_t size = field.name.size() + 2 + field.value.size();
    const bool is_plain = IsPlain(field);
    if (is_plain && !run.empty() && begin == run.data() + run.size() + 2 && begin[-2] == '\r' &&
        begin[-1] == '\n') {
      run = {run.data(), run.size() + 2 + size};
      continue;
    }
    if (!run.empty()) out.Add(run).Add("\r\n");
    run = is_plain ? std::string_view(begin, size) : std::string_view();
    if (!is_plain) out.Add(field.name).Add(": ").Add(field.value).Add("\r\n");
  }
  if (!run.empty()) out.Add(run).Add("\r\n");
}

// Whether the traceparent that came, if any, is to be replaced: W3C Trace Context section 3.2, more
// than one or a malformed one counts as none.
bool ReplacesTraceparent(const RequestHead& head, const ForwardedInfo& info) {
  if (!info.rules.makes_traceparent) return false;
  const Field* field = head.fields.Find(FieldId::kTraceparent);
  return field == nullptr || head.fields.Count(FieldId::kTraceparent) > 1 ||
         !IsTraceparent(field->value);
}

// The trace is that of our X-Amzn-Trace-Id, whose hex digits it is made of.
void AddTraceparent(const ForwardedInfo& info, Appender& out) {
  char span[16];
  for (size_t i = 0; i < sizeof span; ++i)
    span[i] = "0123456789abcdef"[(info.span_id >> (60 - 4 * i)) & 15];
  out.Add("traceparent: 00-").Add(info.new_trace_id.substr(2, 8)).Add(info.new_trace_id.substr(11));
  out.Add("-").Add({span, sizeof span}).Add("-01\r\n");
}

// Fields that do not go on for reasons of this load balancer's.
bool IsUnwanted(const Field& field, const ForwardedInfo& info, bool replaces_traceparent) {
  if (info.rules.drops_invalid_names && field.id == FieldId::kOther &&
      !AllOf(field.name, kPlainNameChar)) {
    return true;
  }
  // Without a valid parent its state means nothing.
  return replaces_traceparent &&
         (field.id == FieldId::kTraceparent || field.id == FieldId::kTracestate);
}

bool IsRegenerated(FieldId id) {
  switch (id) {
    case FieldId::kHost:
    case FieldId::kContentLength:
    case FieldId::kTransferEncoding:
    case FieldId::kExpect:
    case FieldId::kXForwardedFor:
    case FieldId::kXForwardedProto:
    case FieldId::kXForwardedPort:
    case FieldId::kXAmznTraceId:
      return true;
    default:
      return false;
  }
}

// A request without a body says so where the method lets a target expect one (RFC 9110
// section 8.6).
bool SaysEmptyBody(const RequestHead& head, const Framing& framing) {
  return framing.has_length || head.method == Method::kPost || head.method == Method::kPut ||
         head.method == Method::kPatch;
}

}  // namespace

size_t WriteRequestHead(const RequestHead& head, const Framing& framing, const ForwardedInfo& info,
                        char* out, size_t capacity) {
  Appender to(out, capacity);
  to.Add(head.method_name).Add(" ");
  if (info.new_target.empty()) {
    to.Add(head.path);
    if (head.has_query) to.Add("?").Add(head.query);
  } else {
    to.Add(info.new_target);
  }
  const std::string_view host = info.new_host.empty() ? head.host : info.new_host;
  to.Add(" HTTP/1.1\r\nHost: ").Add(host.empty() ? info.fallback_host : host).Add("\r\n");
  const bool replaces_traceparent = ReplacesTraceparent(head, info);
  const bool is_choosy = replaces_traceparent || info.rules.drops_invalid_names;
  AddFields(
      head.fields,
      [&](const Field& field) {
        return !field.is_dropped && !IsRegenerated(field.id) &&
               !(field.id == FieldId::kOther && IsClientCertificateField(field.name)) &&
               !(is_choosy && IsUnwanted(field, info, replaces_traceparent));
      },
      to);
  to.Add(info.client_fields);
  AddForwardedFor(head, info, to);
  to.Add("X-Forwarded-Proto: ").Add(info.protocol).Add("\r\nX-Forwarded-Port: ");
  to.AddNumber(info.port).Add("\r\n");
  AddTraceId(head, info.new_trace_id, to);
  if (replaces_traceparent) AddTraceparent(info, to);
  if (!framing.upgrade.empty()) {
    AddUpgrade(framing.upgrade, to);
  } else if (framing.takes_trailers) {
    to.Add("Connection: TE\r\nTE: trailers\r\n");
  }
  if (info.is_mirrored) to.Add(kMirroredField).Add(": 1\r\n");
  if (framing.expects_continue) to.Add("Expect: 100-continue\r\n");
  if (framing.kind == BodyKind::kChunked) {
    AddChunked(head.fields, to);
  } else if (framing.kind == BodyKind::kLength || SaysEmptyBody(head, framing)) {
    to.Add("Content-Length: ").AddNumber(framing.length).Add("\r\n");
  }
  to.Add("\r\n");
  return to.Finish();
}

size_t WriteResponseHead(const ResponseHead& head, const ResponseStyle& style, char* out,
                         size_t capacity) {
  Appender to(out, capacity);
  to.Add("HTTP/1.1 ")
      .AddNumber(static_cast<uint64_t>(head.status))
      .Add(" ")
      .Add(head.phrase)
      .Add("\r\n");
  bool needs_date = !style.date.empty();
  AddFields(
      head.fields,
      [&](const Field& field) {
        const bool is_wanted = IsPassedOn(field);
        if (field.id == FieldId::kDate && is_wanted) needs_date = false;
        return is_wanted;
      },
      to);
  if (needs_date) to.Add("Date: ").Add(style.date).Add("\r\n");
  if (style.kind == BodyKind::kChunked) {
    AddChunked(head.fields, to);
  } else if (style.has_length) {
    to.Add("Content-Length: ").AddNumber(style.length).Add("\r\n");
  }
  if (!style.upgrade.empty()) AddUpgrade(style.upgrade, to);
  if (style.close) to.Add("Connection: close\r\n");
  if (style.say_keep_alive) to.Add("Connection: keep-alive\r\n");
  to.Add("\r\n");
  return to.Finish();
}

size_t WriteOwnAnswer(const OwnAnswer& answer, char* out, size_t capacity) {
  Appender to(out, capacity);
  to.Add("HTTP/1.1 ").AddNumber(static_cast<uint64_t>(answer.status)).Add(" ");
  to.Add(PhraseOf(answer.status)).Add("\r\n");
  ForEachOwnField(answer, [&](std::string_view name, std::string_view value) {
    to.Add(name).Add(": ").Add(value).Add("\r\n");
  });
  if (answer.status != 204) to.Add("Content-Length: ").AddNumber(answer.body.size()).Add("\r\n");
  if (answer.close) to.Add("Connection: close\r\n");
  if (answer.say_keep_alive) to.Add("Connection: keep-alive\r\n");
  to.Add("\r\n");
  if (answer.has_body()) to.Add(answer.body);
  return to.Finish();
}

size_t WriteChunkHead(uint64_t size, char* out) {
  char* end = std::to_chars(out, out + 16, size, 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  return static_cast<size_t>(end - out);
}

size_t CountForwardedAddresses(const RequestHead& head) {
  size_t count = 0;
  for (const Field& field : head.fields) {
    if (field.id != FieldId::kXForwardedFor) continue;
    std::string_view list = field.value;
    while (!list.empty()) count += NextListElement(list).empty() ? 0 : 1;
  }
  return count;
}

}  // namespace remuda::proxy::http
