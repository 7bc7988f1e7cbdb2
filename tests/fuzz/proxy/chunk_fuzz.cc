// Chunked bodies: the first byte says how the rest is cut. Wherever it is cut the result is the
// same, never more comes out than went in, and what came out survives being coded again.
#include <cstdint>
#include <string>

#include "proxy/http/chunk_decoder.h"
#include "proxy/http/head_writer.h"
#include "tests/fuzz/require.h"

namespace http = remuda::proxy::http;
using remuda::Require;

namespace {

struct Decoded {
  std::string body;
  std::string trailers;
  size_t consumed = 0;
  bool is_done = false;
  http::Reason reason = http::Reason::kNone;
  bool operator==(const Decoded&) const = default;
};

// `step`: how many bytes at a time; 0: pieces of varying size. In place, as the session does it.
Decoded Decode(std::string bytes, size_t step, http::ChunkTolerance tolerance = {}) {
  http::ChunkDecoder decoder(tolerance);
  Decoded out;
  size_t size = step;
  for (size_t at = 0; at < bytes.size(); at += size) {
    if (decoder.done() || decoder.reason() != http::Reason::kNone) break;
    size = std::min(step > 0 ? step : 1 + at * 7 % 13, bytes.size() - at);
    const auto result = decoder.Decode(bytes.data() + at, size, bytes.data() + at, out.trailers);
    Require(out.trailers.size() <= http::kMaxTrailerBytes);
    Require(result.consumed <= size && result.produced <= result.consumed);
    Require(result.consumed == size || decoder.done() || decoder.reason() != http::Reason::kNone);
    out.body.append(bytes, at, result.produced);
    out.consumed += result.consumed;
  }
  out.is_done = decoder.done();
  out.reason = decoder.reason();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Decoded whole = Decode(bytes, bytes.size() + 1);
  Require(Decode(bytes, 1) == whole);
  Require(Decode(bytes, data[0]) == whole);
  // What may be forgiven changes nothing of what needs no forgiveness.
  for (const bool bare_lf : {false, true}) {
    for (const bool padding : {false, true}) {
      const http::ChunkTolerance tolerance{.bare_lf = bare_lf, .padded_sizes = padding};
      const Decoded lenient = Decode(bytes, bytes.size() + 1, tolerance);
      Require(Decode(bytes, 1, tolerance) == lenient);
      Require(!whole.is_done || lenient == whole);
    }
  }
  if (!whole.is_done) return 0;
  Require(whole.reason == http::Reason::kNone);
  std::string again;
  if (!whole.body.empty()) {
    char line[http::kMaxChunkHeadBytes];
    again.assign(line, http::WriteChunkHead(whole.body.size(), line));
    again += whole.body + "\r\n";
  }
  again += "0\r\n\r\n";
  const Decoded round = Decode(again + "behind", again.size());
  Require(round.is_done && round.body == whole.body && round.consumed == again.size());
  return 0;
}
