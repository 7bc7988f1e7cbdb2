#include "proxy/core/access_line.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <ctime>

#include "proxy/http/trace.h"

namespace remuda::proxy {
namespace {

constexpr std::array<std::string_view, 7> kTypes = {"http", "https", "h2", "ws",
                                                    "wss",  "tcp",   "tls"};
constexpr std::array<std::string_view, 7> kSchemes = {"http",  "https", "https", "http",
                                                      "https", "tcp",   "tls"};

// Everything but what a client chose: names and separators of JSON, numbers, times, our own words.
constexpr size_t kFixedBytes = 2048;
// The worst that escaping does to a byte: \u00HH.
constexpr size_t kEscapedBytes = 6;

constexpr std::array<bool, 256> MakePlainTable() {
  std::array<bool, 256> table{};
  for (size_t c = 0x20; c < 0x7f; ++c) table[c] = c != '"' && c != '\\';
  return table;
}
constexpr std::array<bool, 256> kPlain = MakePlainTable();

bool HasPort(std::string_view host) {
  const size_t colon = host.rfind(':');
  return colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos;
}

size_t MaxLineBytes(const AccessEntry& e) {
  size_t chosen = e.method.size() + e.host.size() + e.path.size() + e.query.size() +
                  std::min(e.user_agent.size(), kMaxLoggedUserAgentBytes) +
                  e.incoming_trace_id.size() + e.domain_name.size() + e.redirect_url.size() +
                  e.error_detail.size();
  size_t ours = e.load_balancer.size() * 2 + e.client_address.size() + e.version.size() +
                e.tls_cipher.size() + e.tls_protocol.size() + e.target_group.size() +
                e.trace_id.size() + e.certificate.size() + e.actions.size() +
                e.error_reason.size() + e.classification.size() + e.classification_reason.size();
  for (size_t i = 0; i < e.attempt_count; ++i) ours += 2 * e.attempts[i].endpoint.size() + 16;
  return kFixedBytes + kEscapedBytes * (chosen + ours);
}

}  // namespace

// Appends to a buffer that is known to be large enough (MaxLineBytes).
class AccessLineWriter::Out {
 public:
  Out(char* begin, bool is_json) : begin_(begin), at_(begin), is_json_(is_json) {}

  Out& Add(char c) {
    *at_++ = c;
    return *this;
  }
  Out& Add(std::string_view text) {
    if (!text.empty()) std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
    return *this;
  }
  template <typename T>
  Out& Number(T value) {
    at_ = std::to_chars(at_, at_ + 20, value).ptr;
    return *this;
  }
  Out& Digits(int64_t value, size_t count) {
    for (size_t i = count; i > 0; --i) {
      at_[i - 1] = static_cast<char>('0' + value % 10);
      value /= 10;
    }
    at_ += count;
    return *this;
  }
  Out& Hex16(uint64_t value) {
    for (int shift = 60; shift >= 0; shift -= 4) *at_++ = kHex[(value >> shift) & 15];
    return *this;
  }
  // Seconds with milliseconds.
  Out& Span(int64_t us) {
    const int64_t ms = us / 1000;
    return Number(ms / 1000).Add('.').Digits(ms % 1000, 3);
  }
  Out& Escaped(std::string_view text) {
    size_t done = 0;
    while (done < text.size()) {
      size_t end = done;
      while (end < text.size() && kPlain[static_cast<unsigned char>(text[end])]) ++end;
      Add(text.substr(done, end - done));
      if (end < text.size()) EscapeByte(static_cast<unsigned char>(text[end++]));
      done = end;
    }
    return *this;
  }
  std::string_view Done() const { return {begin_, static_cast<size_t>(at_ - begin_)}; }

 private:
  static constexpr std::string_view kHex = "0123456789abcdef";

  void EscapeByte(unsigned char byte) {
    if (!is_json_) {
      Add("\\x");
    } else if (byte == '"' || byte == '\\') {
      Add('\\').Add(static_cast<char>(byte));
      return;
    } else {
      Add("\\u00");
    }
    Add(kHex[byte >> 4]).Add(kHex[byte & 15]);
  }

  char* const begin_;
  char* at_;
  const bool is_json_;
};

namespace {

template <typename Out>
void AddRequest(const AccessEntry& e, Out& out) {
  const std::string_view host = e.host.empty() ? e.load_balancer : e.host;
  out.Escaped(e.method.empty() ? std::string_view("-") : e.method).Add(' ');
  out.Add(kSchemes[static_cast<size_t>(e.type)]).Add("://").Escaped(host);
  if (!HasPort(host)) out.Add(':').Number(e.listener_port);
  if (e.method.empty()) {
    out.Add("- -");
    return;
  }
  out.Escaped(e.path);
  if (e.has_query) out.Add('?').Escaped(e.query);
  out.Add(' ').Add(e.version);
}

template <typename Out>
void AddTraceId(const AccessEntry& e, Out& out) {
  http::ForEachTraceIdPiece(e.incoming_trace_id, e.trace_id,
                            [&](std::string_view piece) { out.Escaped(piece); });
}

std::string_view CutUserAgent(const AccessEntry& e) {
  return e.user_agent.substr(0, kMaxLoggedUserAgentBytes);
}

}  // namespace

std::string_view AccessLineWriter::Write(const AccessEntry& entry) {
  const size_t need = MaxLineBytes(entry);
  if (need > capacity_) {
    capacity_ = need;
    buffer_ = std::make_unique<char[]>(capacity_);
  }
  const bool is_json = format_ == AccessLogFormat::kJson;
  Out out(buffer_.get(), is_json);
  if (is_json) {
    WriteJson(entry, out);
  } else {
    WriteAlb(entry, out);
  }
  return out.Done();
}

// As a URL writes it: an IPv6 address in brackets, so that its port can be told.
void AccessLineWriter::Endpoint(std::string_view address, uint16_t port, Out& out) {
  const bool is_v6 = address.find(':') != std::string_view::npos;
  if (is_v6) out.Add('[');
  out.Add(address);
  if (is_v6) out.Add(']');
  out.Add(':').Number(port);
}

// ISO 8601 in UTC, with microseconds.
void AccessLineWriter::Time(int64_t us, Out& out) {
  const int64_t second = us / 1000000;
  if (second != second_) {
    second_ = second;
    const time_t seconds = second;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::strftime(second_text_.data(), second_text_.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  }
  out.Add({second_text_.data(), 19}).Add('.').Digits(us % 1000000, 6).Add('Z');
}

void AccessLineWriter::WriteAlb(const AccessEntry& e, Out& out) {
  const auto word = [&](std::string_view text) {
    out.Escaped(text.empty() ? std::string_view("-") : text).Add(' ');
  };
  const auto quoted = [&](std::string_view text) {
    out.Add('"').Escaped(text.empty() ? std::string_view("-") : text).Add("\" ");
  };
  const auto span = [&](int64_t us) {
    us == AccessEntry::kNever ? out.Add("-1 ") : out.Span(us).Add(' ');
  };
  const auto status = [&](int code) { code == 0 ? out.Add('-') : out.Number(code); };
  const AccessAttempt last =
      e.attempt_count == 0 ? AccessAttempt() : e.attempts[e.attempt_count - 1];

  out.Add(kTypes[static_cast<size_t>(e.type)]).Add(' ');
  Time(e.end_us, out);
  out.Add(' ');
  word(e.load_balancer);
  Endpoint(e.client_address, e.client_port, out);
  out.Add(' ');
  word(last.endpoint);
  span(e.request_us);
  span(e.target_us);
  span(e.response_us);
  status(e.status);
  out.Add(' ');
  status(last.status);
  out.Add(' ').Number(e.received_bytes).Add(' ').Number(e.sent_bytes).Add(" \"");
  AddRequest(e, out);
  out.Add("\" ");
  quoted(CutUserAgent(e));
  word(e.tls_cipher);
  word(e.tls_protocol);
  word(e.target_group);
  if (e.trace_id.empty()) {
    quoted("");
  } else {
    out.Add('"');
    AddTraceId(e, out);
    out.Add("\" ");
  }
  quoted(e.domain_name);
  quoted(e.certificate);
  e.rule_priority == AccessEntry::kNoRule ? out.Add("- ") : out.Number(e.rule_priority).Add(' ');
  Time(e.begin_us, out);
  out.Add(' ');
  quoted(e.actions);
  quoted(e.redirect_url);
  quoted(e.error_reason);
  out.Add('"');
  if (e.attempt_count == 0) out.Add('-');
  for (size_t i = 0; i < e.attempt_count; ++i) {
    if (i > 0) out.Add(' ');
    out.Add(e.attempts[i].endpoint);
  }
  out.Add("\" \"");
  if (e.attempt_count == 0) out.Add('-');
  for (size_t i = 0; i < e.attempt_count; ++i) {
    if (i > 0) out.Add(' ');
    status(e.attempts[i].status);
  }
  out.Add("\" ");
  quoted(e.classification);
  quoted(e.classification_reason);
  e.connection_id == 0 ? out.Add('-') : out.Add("TID_").Hex16(e.connection_id);
  if (!e.error_detail.empty()) out.Add(" \"").Escaped(e.error_detail).Add('"');
  out.Add('\n');
}

void AccessLineWriter::WriteJson(const AccessEntry& e, Out& out) {
  char separator = '{';
  const auto name = [&](std::string_view text) {
    out.Add(separator).Add('"').Add(text).Add("\":");
    separator = ',';
  };
  const auto text = [&](std::string_view field, std::string_view value) {
    name(field);
    value.empty() ? out.Add("null") : out.Add('"').Escaped(value).Add('"');
  };
  const auto time = [&](std::string_view field, int64_t us) {
    name(field);
    out.Add('"');
    Time(us, out);
    out.Add('"');
  };
  const auto span = [&](std::string_view field, int64_t us) {
    name(field);
    us == AccessEntry::kNever ? out.Add("null") : out.Span(us);
  };
  const auto status = [&](int code) { code == 0 ? out.Add("null") : out.Number(code); };
  const AccessAttempt last =
      e.attempt_count == 0 ? AccessAttempt() : e.attempts[e.attempt_count - 1];

  text("type", kTypes[static_cast<size_t>(e.type)]);
  time("time", e.end_us);
  text("elb", e.load_balancer);
  name("client");
  out.Add('"');
  Endpoint(e.client_address, e.client_port, out);
  out.Add('"');
  text("target", last.endpoint);
  span("request_processing_time", e.request_us);
  span("target_processing_time", e.target_us);
  span("response_processing_time", e.response_us);
  name("elb_status_code");
  status(e.status);
  name("target_status_code");
  status(last.status);
  name("received_bytes");
  out.Number(e.received_bytes);
  name("sent_bytes");
  out.Number(e.sent_bytes);
  name("request");
  out.Add('"');
  AddRequest(e, out);
  out.Add('"');
  text("user_agent", CutUserAgent(e));
  text("ssl_cipher", e.tls_cipher);
  text("ssl_protocol", e.tls_protocol);
  text("target_group_arn", e.target_group);
  name("trace_id");
  if (e.trace_id.empty()) {
    out.Add("null");
  } else {
    out.Add('"');
    AddTraceId(e, out);
    out.Add('"');
  }
  text("domain_name", e.domain_name);
  text("chosen_cert_arn", e.certificate);
  name("matched_rule_priority");
  e.rule_priority == AccessEntry::kNoRule ? out.Add("null") : out.Number(e.rule_priority);
  time("request_creation_time", e.begin_us);
  text("actions_executed", e.actions);
  text("redirect_url", e.redirect_url);
  text("error_reason", e.error_reason);
  name("target_port_list");
  out.Add('[');
  for (size_t i = 0; i < e.attempt_count; ++i) {
    if (i > 0) out.Add(',');
    out.Add('"').Add(e.attempts[i].endpoint).Add('"');
  }
  out.Add(']');
  name("target_status_code_list");
  out.Add('[');
  for (size_t i = 0; i < e.attempt_count; ++i) {
    if (i > 0) out.Add(',');
    status(e.attempts[i].status);
  }
  out.Add(']');
  text("classification", e.classification);
  text("classification_reason", e.classification_reason);
  name("conn_trace_id");
  e.connection_id == 0 ? out.Add("null") : out.Add("\"TID_").Hex16(e.connection_id).Add('"');
  if (!e.error_detail.empty()) text("error_detail", e.error_detail);
  out.Add("}\n");
}

}  // namespace remuda::proxy
