// One header field in place, and the names that the proxy itself looks at.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/http/chars.h"
#include "proxy/http/limits.h"

namespace remuda::proxy::http {

enum class FieldId : uint8_t {
  kOther = 0,
  kHost,
  kConnection,
  kContentLength,
  kTransferEncoding,
  kExpect,
  kUpgrade,
  kTe,
  kTrailer,
  kKeepAlive,
  kProxyConnection,
  kProxyAuthenticate,
  kProxyAuthorization,
  kAuthorization,
  kCookie,
  kUserAgent,
  kXForwardedFor,
  kXForwardedProto,
  kXForwardedPort,
  kXForwardedHost,
  kXAmznTraceId,
  kTraceparent,
  kTracestate,
  kHttp2Settings,
  kRemudaReason,
  kRemudaReasonDetail,
  kDate,
};

// Names are compared without case.
FieldId IdOfField(std::string_view name);

// Fields that end at this hop whatever Connection says (RFC 9110 section 7.6.1).
bool IsHopByHop(FieldId id);

// Fields that a Connection header or a trailer may never name: framing, routing, authentication.
bool IsProtected(FieldId id);

// Whether a trailer of that name goes on: what the proxy reads or says itself, what is said of a
// client's certificate, and names that readers may take for others do not. A reader that merges
// trailers with the fields of the head must not be deceived by them.
bool IsTrailerPassedOn(std::string_view name);

// What is said of a client's certificate is said by us alone: "X-Amzn-Mtls-...".
inline bool IsClientCertificateField(std::string_view name) {
  constexpr std::string_view kPrefix = "x-amzn-mtls-";
  return name.size() > kPrefix.size() && Lower(name[0]) == 'x' &&
         EqualsIgnoreCase(name.substr(0, kPrefix.size()), kPrefix);
}

struct Field {
  std::string_view name;   // into the buffer that was parsed
  std::string_view value;  // trimmed of OWS
  FieldId id = FieldId::kOther;
  bool is_dropped = false;  // not forwarded: hop-by-hop, named by Connection, or a name with '_'
};

// The fields of one message, capped, in order of arrival. Holds no bytes: views into the parsed
// buffer.
class Fields {
 public:
  // False when the cap (kMaxFields) is reached.
  bool Add(const Field& field) {
    if (count_ == kMaxFields) return false;
    fields_[count_++] = field;
    return true;
  }
  // Where the next field may be made in place, for Commit to add; null when the cap is reached.
  Field* Slot() { return count_ == kMaxFields ? nullptr : &fields_[count_]; }
  void Commit() { ++count_; }
  void Clear() { count_ = 0; }
  size_t size() const { return count_; }
  Field* begin() { return fields_.data(); }
  Field* end() { return fields_.data() + count_; }
  const Field* begin() const { return fields_.data(); }
  const Field* end() const { return fields_.data() + count_; }

  // The first field of that id, or null.
  const Field* Find(FieldId id) const {
    for (const Field& field : *this) {
      if (field.id == id) return &field;
    }
    return nullptr;
  }
  size_t Count(FieldId id) const {
    size_t count = 0;
    for (const Field& field : *this) count += field.id == id;
    return count;
  }

 private:
  size_t count_ = 0;
  std::array<Field, kMaxFields> fields_;
};

}  // namespace remuda::proxy::http
