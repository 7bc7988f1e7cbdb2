// AWS's classes of requests that are not plainly well formed ("Desync mitigation mode" and
// "Classification reasons" in the guide of the Application Load Balancer), and what each mode of a
// load balancer does with them. The rules that parse and frame a request decide which oddity it
// has; here is only what that means.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/http/reason.h"

namespace remuda::proxy::http {

enum class DesyncMode : uint8_t {
  kStrictest,  // what is ambiguous is refused
  kDefensive,  // it passes, and both connections are closed after it
  kMonitor,    // it passes
};

enum class Classification : uint8_t { kCompliant, kAcceptable, kAmbiguous, kSevere };

// "Acceptable" and so on; empty for kCompliant.
std::string_view NameOf(Classification classification);

// What may be odd about a request that still has one meaning for us: what is forwarded is made from
// that meaning and is not odd any more. In order of weight.
enum class Oddity : uint8_t {
  kNone = 0,
  // Passes in every mode.
  kGetHeadZeroContentLength,            // Content-Length: 0 where no body belongs
  kUndefinedContentLengthSemantics,     // a body where none belongs: its target's connection is not
  kUndefinedTransferEncodingSemantics,  // used again, for targets that leave such a body unread
  // Passes in all but the strictest mode.
  kSuspiciousHeader,        // Content_Length, Transfer---Encoding and the like: never forwarded
  kDotSegments,             // in the path: resolved
  kHostMismatch,            // another authority in the target than in Host: the target's counts
  kDuplicateContentLength,  // equal ones: one is forwarded
  kBothTeClPresent,  // Transfer-Encoding counts (RFC 9112 section 6.3), no length is forwarded
};

// Why a request with `oddity` is refused in that mode; kNone: it passes.
Reason Refusal(Oddity oddity, DesyncMode mode);

struct Verdict {
  Classification classification = Classification::kCompliant;
  std::string_view reason;  // AWS's name, or ours where AWS has none; empty for kCompliant
};

// Of a request that has passed with `oddity`, or was refused for it.
Verdict VerdictOf(Oddity oddity);
// Of a request that was refused for `reason`. Compliant: for what the request was not to blame for,
// or for a limit.
Verdict VerdictOf(Reason reason);
// Of what was refused for `reason` (kNone: nothing was) with `oddity` noticed before.
Verdict VerdictOf(Reason reason, Oddity oddity);

}  // namespace remuda::proxy::http
