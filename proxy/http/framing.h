// How a message's body is delimited: decided here and nowhere else (RFC 9112 section 6.3, made
// strict). What is forwarded is regenerated from this decision, never copied.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/http/head_parser.h"
#include "proxy/http/reason.h"

namespace remuda::proxy::http {

enum class BodyKind : uint8_t {
  kNone,        // no body at all
  kLength,      // exactly `length` bytes
  kChunked,     // chunked transfer coding
  kUntilClose,  // responses only: the body ends with the connection
};

struct Framing {
  BodyKind kind = BodyKind::kNone;
  uint64_t length = 0;  // for kLength
  bool has_length =
      false;  // a Content-Length to pass on (also for HEAD and 304, where no body follows)
  bool keep_alive = true;         // the sender of this message lets the connection be used again
  bool expects_continue = false;  // requests: Expect: 100-continue
  // Requests: a body with a method for which a target need not expect one (all but POST, PUT and
  // PATCH). One that leaves it unread would take it for the next request: its connection must not
  // be used again.
  bool is_body_unexpected = false;
  bool takes_trailers = false;  // requests: TE says so
  // The protocol that Upgrade names if Connection names Upgrade: what a request asks for, or what a
  // response switches to. Empty: none that a proxy may pass on (several, HTTP itself, HTTP/1.0).
  std::string_view upgrade = {};
};

// Decides a request's framing and marks the fields that must not be forwarded (hop-by-hop, and what
// Connection names). Any conflict, repeat or oddity is an error, but for what classify.h says that
// `mode` lets pass; it is noted in head.oddity either way. After an error the connection must be
// closed.
Reason DecideRequestFraming(RequestHead& head, Framing& framing,
                            DesyncMode mode = DesyncMode::kStrictest);

// The same for a final or interim response to a request of `method`; errors are the target's, so
// the reasons are for the log and the answer is 502. 1xx, 204, 304 and answers to HEAD have no body
// whatever their fields say.
Reason DecideResponseFraming(ResponseHead& head, Method method, Framing& framing);

// A Content-Length value: digits only, no sign, no list, no leading zero but "0" itself, no
// overflow.
bool ParseContentLength(std::string_view text, uint64_t& length);

}  // namespace remuda::proxy::http
