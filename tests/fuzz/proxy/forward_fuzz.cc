// Pipelined requests through parser, framing, canonical target, body decoder and writers, in every
// desync mode: what would be sent must be taken by the same parsers, in the strictest mode, as the
// same requests with the same bodies.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "proxy/http/limits.h"
#include "tests/component/proxy/testing/stream_reader.h"

namespace http = remuda::proxy::http;
using remuda::proxy::testing::ReadStream;
using remuda::proxy::testing::StreamView;

namespace {

// Where the fields that are added on top of it may bring a head over a bound.
constexpr size_t kRoomBytes = 1024;

bool MayBeOverABound(const std::string& stream) {
  return stream.size() + kRoomBytes > http::kMaxFieldLineBytes;
}

void CheckForwarded(const StreamView& sent) {
  const StreamView read = ReadStream(sent.forwarded);
  for (size_t i = 0; i < sent.forwarded_frames.size(); ++i) {
    // Only a head that had nearly the most fields already is not taken again.
    if (i == read.frames.size() && read.reason == http::Reason::kTooManyFields) return;
    if (i == read.frames.size() || !(read.frames[i] == sent.forwarded_frames[i])) std::abort();
  }
  if (read.frames.size() != sent.forwarded_frames.size()) std::abort();
  // Sent on once more, nothing changes any more.
  if (read.reason != http::Reason::kTooManyFields &&
      read.forwarded_frames != sent.forwarded_frames) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string stream(reinterpret_cast<const char*>(data), size);
  if (MayBeOverABound(stream)) return 0;
  for (const auto mode :
       {http::DesyncMode::kStrictest, http::DesyncMode::kDefensive, http::DesyncMode::kMonitor}) {
    CheckForwarded(ReadStream(stream, mode));
  }
  return 0;
}
