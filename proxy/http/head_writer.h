// Writes the heads that the proxy sends. They are made from what was parsed and decided, never
// copied: exactly one of Content-Length and Transfer-Encoding, no hop-by-hop field, one Host, our
// own X-Forwarded-*. No allocation: into a buffer of the caller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/http/framing.h"
#include "proxy/http/head_parser.h"

namespace remuda::proxy::http {

enum class ForwardedForMode : uint8_t { kAppend, kPreserve, kRemove };

// What a load balancer's config says of the heads that go to targets.
struct HeaderRules {
  ForwardedForMode forwarded_for = ForwardedForMode::kAppend;
  bool with_client_port = false;     // appended as "address:port", "[IPv6 address]:port"
  bool drops_invalid_names = false;  // names of more than letters, digits and hyphens
  bool makes_traceparent = false;    // where there is none, or none that is valid
};

// On copies of requests (mirroring).
inline constexpr std::string_view kMirroredField = "X-Remuda-Mirrored";

// What the proxy adds to a request on its way to a target.
struct ForwardedInfo {
  std::string_view client_address = {};  // without port
  uint16_t client_port = 0;
  std::string_view protocol = "http";
  uint16_t port = 0;  // of the listener, as the client sees it
  HeaderRules rules = {};
  std::string_view fallback_host = {};  // Host for a request without one: the target
  std::string_view new_trace_id = {};   // "1-<8 hex>-<24 hex>": its Root, or its Self
  std::string_view client_fields = {};  // whole lines on the client's certificate
  uint64_t span_id = 0;                 // for a traceparent of ours; not 0 then
  // What a rule's rewrites made of Host and of path and query; empty: as the client sent it.
  std::string_view new_host = {};
  std::string_view new_target = {};
  bool is_mirrored = false;  // a copy, whose answer nobody gets: says so
};

// The bytes needed at most to forward a head of `head_size` bytes.
constexpr size_t MaxForwardedHeadBytes(size_t head_size) { return head_size + 1024; }

// The request's head for the target, HTTP/1.1. Returns its size, or 0 if it does not fit.
size_t WriteRequestHead(const RequestHead& head, const Framing& framing, const ForwardedInfo& info,
                        char* out, size_t capacity);

// How the answer is sent on to the client.
struct ResponseStyle {
  BodyKind kind = BodyKind::kNone;  // kChunked for a body of unknown length to an HTTP/1.1 client
  bool has_length = false;
  uint64_t length = 0;
  bool close = false;             // say Connection: close
  bool say_keep_alive = false;    // HTTP/1.0 client that keeps the connection
  std::string_view upgrade = {};  // 101: the protocol that is spoken from here on
  std::string_view date = {};     // for an answer that has no Date (RFC 9110 section 6.6.1)
};

// A field of a response that goes on to the client as it came; framing fields and ours are made
// anew.
inline bool IsPassedOn(const Field& field) {
  return !field.is_dropped && field.id != FieldId::kContentLength &&
         field.id != FieldId::kTransferEncoding && field.id != FieldId::kRemudaReason &&
         field.id != FieldId::kRemudaReasonDetail;
}

// The fields Trailer of a head, which are said again where trailers go on.
template <typename Take>
void ForEachTrailerName(const Fields& fields, Take take) {
  for (const Field& field : fields) {
    if (field.id == FieldId::kTrailer) take(field.value);
  }
}

// The response's head for the client. Returns its size, or 0 if it does not fit.
size_t WriteResponseHead(const ResponseHead& head, const ResponseStyle& style, char* out,
                         size_t capacity);

// A whole answer of the proxy's own.
struct OwnAnswer {
  int status = 0;
  std::string_view date = {};
  std::string_view reason = {};  // X-Remuda-Reason; empty: none (fixed responses, redirects)
  std::string_view detail = {};  // X-Remuda-Reason-Detail: visible ASCII and spaces; may be empty
  std::string_view content_type = "text/plain; charset=utf-8";
  std::string_view body = {};
  std::string_view location = {};     // for redirects
  std::string_view retry_after = {};  // whole seconds; empty: none
  bool close = false;
  bool say_keep_alive = false;
  bool omit_body = false;  // HEAD: the length without the body

  bool has_body() const { return !omit_body && status != 204 && !body.empty(); }
};

// The fields of an answer of the proxy's own, but for framing and Connection.
template <typename Take>
void ForEachOwnField(const OwnAnswer& answer, Take take) {
  if (!answer.date.empty()) take("Date", answer.date);
  take("Server", "remuda");
  if (!answer.reason.empty()) take("X-Remuda-Reason", answer.reason);
  if (!answer.detail.empty()) take("X-Remuda-Reason-Detail", answer.detail);
  if (answer.status == 405) take("Allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH");
  if (!answer.location.empty()) take("Location", answer.location);
  if (!answer.retry_after.empty()) take("Retry-After", answer.retry_after);
  if (!answer.body.empty()) take("Content-Type", answer.content_type);
}
size_t WriteOwnAnswer(const OwnAnswer& answer, char* out, size_t capacity);

// "1A\r\n" for a chunk of `size` bytes. `out` has room for kMaxChunkHeadBytes.
inline constexpr size_t kMaxChunkHeadBytes = 18;
size_t WriteChunkHead(uint64_t size, char* out);

// How many addresses X-Forwarded-For holds, over all its fields.
size_t CountForwardedAddresses(const RequestHead& head);

}  // namespace remuda::proxy::http
