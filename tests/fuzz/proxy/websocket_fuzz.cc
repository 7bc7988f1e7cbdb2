// A tunnel's bytes: where frames end must not depend on how they were cut, or on whether payloads
// were looked at or skipped.
#include <algorithm>
#include <cstdint>
#include <string>

#include "proxy/http/websocket.h"
#include "tests/fuzz/require.h"

namespace http = remuda::proxy::http;
using remuda::Require;

namespace {

void RequireSame(const http::WebSocketFrames& a, const http::WebSocketFrames& b) {
  Require(a.at_boundary() == b.at_boundary() && a.is_lost() == b.is_lost() &&
          a.has_closed() == b.has_closed() && a.payload_left() == b.payload_left());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const char* bytes = reinterpret_cast<const char*>(data);
  http::WebSocketFrames whole;
  Require(whole.Follow(bytes, size) == size);

  http::WebSocketFrames bytewise;
  for (size_t i = 0; i < size; ++i) {
    const std::string one(bytes + i, 1);
    Require(bytewise.Follow(one.data(), 1) == 1);
  }
  RequireSame(whole, bytewise);

  http::WebSocketFrames stopping;
  for (size_t at = 0; at < size;) {
    const size_t taken = stopping.Follow(bytes + at, size - at, true);
    Require(taken > 0 && (at + taken == size || stopping.at_boundary()));
    at += taken;
  }
  RequireSame(whole, stopping);

  http::WebSocketFrames skipping;
  for (size_t at = 0; at < size;) {
    const size_t skip = static_cast<size_t>(std::min<uint64_t>(skipping.payload_left(), size - at));
    if (skip > 0 && !skipping.is_lost()) {
      skipping.Skip(skip);
      at += skip;
    } else {
      at += skipping.Follow(bytes + at, 1);
    }
  }
  RequireSame(whole, skipping);
  return 0;
}
