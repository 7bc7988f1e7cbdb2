// The ids that tie the requests of one job together: AWS's X-Amzn-Trace-Id and the W3C's
// traceparent. Pure functions over text; no allocation.
#pragma once

#include <cstddef>
#include <string_view>

#include "proxy/http/chars.h"

namespace remuda::proxy::http {

// "1-<8 hex of seconds>-<24 hex>": an id as X-Amzn-Trace-Id has it.
inline constexpr size_t kTraceIdBytes = 35;

// Gives `add` the pieces of the X-Amzn-Trace-Id that goes to the target, in order. `incoming` is
// the client's value (may be empty), `id` one of ours. AWS ("Request tracing for your Application
// Load Balancer"): Root when there is none, else Self before what came; a Self of ours replaces an
// older one.
template <typename Add>
void ForEachTraceIdPiece(std::string_view incoming, std::string_view id, Add add) {
  if (incoming.find("Root=") == std::string_view::npos) {
    add("Root=");
    add(id);
    if (!incoming.empty()) {
      add(";");
      add(incoming);
    }
    return;
  }
  add("Self=");
  add(id);
  while (!incoming.empty()) {
    const size_t end = incoming.find(';');
    const std::string_view part = TrimOws(incoming.substr(0, end));
    if (part.substr(0, 5) != "Self=" && !part.empty()) {
      add(";");
      add(part);
    }
    incoming = end == std::string_view::npos ? std::string_view() : incoming.substr(end + 1);
  }
}

// "00-<32 hex>-<16 hex>-<2 hex>".
inline constexpr size_t kTraceparentBytes = 55;

// W3C Trace Context, section 3.2: lower-case hex, neither id all zeros, version not ff; a version
// above 00 may have more behind a further dash.
constexpr bool IsTraceparent(std::string_view text) {
  if (text.size() < kTraceparentBytes) return false;
  bool is_any_trace = false;
  bool is_any_parent = false;
  for (size_t i = 0; i < kTraceparentBytes; ++i) {
    const char c = text[i];
    if (i == 2 || i == 35 || i == 52) {
      if (c != '-') return false;
      continue;
    }
    if (HexValue(c) < 0 || (c >= 'A' && c <= 'F')) return false;
    if (i > 2 && i < 35) is_any_trace |= c != '0';
    if (i > 35 && i < 52) is_any_parent |= c != '0';
  }
  if (!is_any_trace || !is_any_parent || text.substr(0, 2) == "ff") return false;
  return text.size() == kTraceparentBytes ||
         (text.substr(0, 2) != "00" && text[kTraceparentBytes] == '-');
}

}  // namespace remuda::proxy::http
