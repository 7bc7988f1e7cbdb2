#include "proxy/http/http2_fields.h"

#include <algorithm>
#include <string>
#include <utility>

#include "proxy/http/chars.h"
#include "proxy/http/field.h"
#include "proxy/http/framing.h"
#include "proxy/http/limits.h"
#include "proxy/http/target.h"

namespace remuda::proxy::http {
namespace {

// A text that grew over this is not kept for the next request.
constexpr size_t kMaxKeptBytes = 4096;
constexpr size_t kFieldOverheadBytes = 32;

void Recycle(std::string& text) {
  if (text.capacity() > kMaxKeptBytes) {
    std::string().swap(text);
  } else {
    text.clear();
  }
}

// RFC 9113 section 8.2: tokens without upper-case letters.
bool IsFieldName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return Is(c, kTokenChar) && !(c >= 'A' && c <= 'Z');
  });
}

// RFC 9113 section 8.2.1: neither begins nor ends with a space or tab.
bool IsFieldValue(std::string_view value) {
  return AllOf(value, kFieldValueChar) && TrimOws(value).size() == value.size();
}

// RFC 9113 section 8.2.2: what is of one connection has no place here.
bool IsOfConnection(FieldId id) {
  switch (id) {
    case FieldId::kConnection:
    case FieldId::kKeepAlive:
    case FieldId::kProxyConnection:
    case FieldId::kUpgrade:
    case FieldId::kHttp2Settings:
      return true;
    default:
      return false;
  }
}

}  // namespace

void Http2Fields::DropText() { Recycle(text_); }

void Http2Fields::DropParts() {
  for (std::string* part : {&path_, &authority_, &cookie_, &other_host_}) Recycle(*part);
  method_.clear();
}

void Http2Fields::Reset() {
  DropText();
  DropParts();
  declared_length_ = 0;
  list_bytes_ = 0;
  reason_ = Reason::kNone;
  has_scheme_ = has_path_ = has_authority_ = has_host_ = false;
  is_begun_ = is_chunked_ = has_declared_length_ = false;
}

void Http2Fields::Add(std::string_view name, std::string_view value) {
  list_bytes_ += name.size() + value.size() + kFieldOverheadBytes;
  if (reason_ != Reason::kNone) return;
  if (list_bytes_ > kMaxRequestHeadBytes) {
    Refuse(Reason::kHeadTooLarge);
  } else if (!name.empty() && name.front() == ':') {
    AddPseudo(name, value);
  } else {
    AddRegular(name, value);
  }
  if (reason_ == Reason::kNone) return;
  DropText();  // nobody will ask for them
  DropParts();
}

void Http2Fields::AddPseudo(std::string_view name, std::string_view value) {
  if (is_begun_) return Refuse(Reason::kBadPseudoField);
  if (name == ":method") {
    if (!method_.empty()) return Refuse(Reason::kBadPseudoField);
    if (value.empty() || value.size() > kMaxMethodBytes || !AllOf(value, kTokenChar))
      return Refuse(Reason::kBadMethod);
    method_ = value;
  } else if (name == ":path") {
    if (has_path_) return Refuse(Reason::kBadPseudoField);
    if (value.size() > kMaxRequestLineBytes) return Refuse(Reason::kRequestLineTooLong);
    // Origin form, or "*": an absolute form would bring a second authority.
    if (value.empty() || (value.front() != '/' && value != "*") || !AllOf(value, kTargetChar))
      return Refuse(Reason::kBadTarget);
    has_path_ = true;
    path_ = value;
  } else if (name == ":authority") {
    if (has_authority_) return Refuse(Reason::kBadPseudoField);
    if (!IsHost(value)) return Refuse(Reason::kBadHost);
    if (value.size() > kMaxFieldLineBytes) return Refuse(Reason::kFieldTooLong);
    has_authority_ = true;
    authority_ = value;
  } else if (name == ":scheme") {
    if (has_scheme_ || (!EqualsIgnoreCase(value, "https") && !EqualsIgnoreCase(value, "http")))
      return Refuse(Reason::kBadPseudoField);
    has_scheme_ = true;
  } else {
    Refuse(Reason::kBadPseudoField);
  }
}

// The pseudo fields have come: the request line, and Host from :authority.
bool Http2Fields::BeginText() {
  if (is_begun_) return true;
  is_begun_ = true;
  if (method_ == "CONNECT") {  // has neither scheme nor path
    Refuse(Reason::kMethodNotAllowed);
    return false;
  }
  if (method_.empty() || !has_scheme_ || !has_path_) {
    Refuse(Reason::kBadPseudoField);
    return false;
  }
  text_.append(method_).append(" ").append(path_).append(" HTTP/1.1\r\n");
  if (has_authority_) Append("host", authority_);
  return true;
}

void Http2Fields::Append(std::string_view name, std::string_view value) {
  text_.append(name).append(": ").append(value).append("\r\n");
}

void Http2Fields::AddRegular(std::string_view name, std::string_view value) {
  if (!BeginText()) return;
  if (!IsFieldName(name)) return Refuse(Reason::kBadFieldName);
  if (!IsFieldValue(value)) return Refuse(Reason::kBadFieldValue);
  const FieldId id = IdOfField(name);
  if (IsOfConnection(id)) return Refuse(Reason::kBadConnection);
  switch (id) {
    case FieldId::kTransferEncoding:
      return Refuse(Reason::kBadTransferEncoding);
    case FieldId::kTe:
      return value == "trailers" ? Append(name, value) : Refuse(Reason::kBadConnection);
    case FieldId::kHost:
      return AddHost(value);
    case FieldId::kCookie:  // RFC 9113 section 8.2.3: crumbs of one field
      if (!cookie_.empty()) cookie_.append("; ");
      cookie_.append(value);
      return;
    case FieldId::kContentLength:
      // In every mode: what the stream brings is held against it.
      if (has_declared_length_) return Refuse(Reason::kRepeatedContentLength);
      if (!ParseContentLength(value, declared_length_)) return Refuse(Reason::kBadContentLength);
      has_declared_length_ = true;
      return Append(name, value);
    default:
      return Append(name, value);
  }
}

// :authority wins (RFC 9113 section 8.3.1). Without one, repeats are judged from the text.
void Http2Fields::AddHost(std::string_view value) {
  if (!has_authority_) return Append("host", value);
  if (std::exchange(has_host_, true)) return Refuse(Reason::kRepeatedHost);
  if (!IsHost(value)) return Refuse(Reason::kBadHost);
  if (EqualsIgnoreCase(value, authority_)) return;
  if (path_ == "*") return Refuse(Reason::kHostMismatch);
  other_host_ = value;
}

// As HTTP/1.1 says it, in an absolute target beside Host: what becomes of it is the mode's to say.
void Http2Fields::NameBothHosts() {
  text_.clear();
  text_.append(method_).append(" https://").append(authority_).append(path_);
  text_.append(" HTTP/1.1\r\n");
  Append("host", other_host_);
}

Reason Http2Fields::Finish(Body body, uint64_t length) {
  if (reason_ == Reason::kNone) BeginText();
  if (reason_ != Reason::kNone) return reason_;
  if (!other_host_.empty()) {
    const size_t line = method_.size() + path_.size() + std::string_view("  HTTP/1.1\r\n").size();
    const size_t host = authority_.size() + std::string_view("host: \r\n").size();
    const std::string rest = text_.substr(line + host);
    NameBothHosts();
    text_.append(rest);
  }
  if (!cookie_.empty()) Append("cookie", cookie_);
  DropParts();
  if (has_declared_length_) {
    const uint64_t there = body == Body::kWhole ? length : 0;
    if (body != Body::kOpen && there != declared_length_) return Reason::kBodyMismatch;
  } else if (body == Body::kWhole && length > 0) {
    has_declared_length_ = true;
    declared_length_ = length;
    Append("content-length", std::to_string(length));
  } else if (body == Body::kOpen) {
    is_chunked_ = true;
    Append("transfer-encoding", "chunked");
  }
  text_.append("\r\n");
  return Reason::kNone;
}

void Http2Trailers::Add(std::string_view name, std::string_view value) {
  if (reason_ != Reason::kNone) return;
  bytes_ += name.size() + value.size();
  if (++fields_ > kMaxTrailerFields || bytes_ > kMaxTrailerBytes) {
    reason_ = Reason::kTrailersTooLarge;
    return;
  }
  const FieldId id = IdOfField(name);
  const bool is_good = IsFieldName(name) && IsFieldValue(value) && !IsOfConnection(id) &&
                       id != FieldId::kTe && !IsProtected(id);
  if (!is_good) reason_ = Reason::kBadTrailer;
  if (is_good) text_.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace remuda::proxy::http
