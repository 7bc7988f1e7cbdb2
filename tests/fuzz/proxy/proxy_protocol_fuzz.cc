// The first bytes of a relayed connection: the verdict must not depend on how they were cut, and a
// header that was understood is written so that it is understood in the same way.
#include <cstdint>
#include <string>

#include "proxy/http/proxy_protocol.h"
#include "tests/fuzz/require.h"

namespace http = remuda::proxy::http;
using remuda::Require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const char* bytes = reinterpret_cast<const char*>(data);
  http::ProxyHeader header;
  size_t header_size = 0;
  const http::ParseStatus whole = http::ParseProxyHeader(bytes, size, header, header_size);
  http::ParseStatus status = http::ParseStatus::kNeedMore;
  for (size_t cut = 0; cut <= size && status == http::ParseStatus::kNeedMore; ++cut) {
    // A copy of its own, so that a read behind it is found.
    const std::string part(bytes, cut);
    http::ProxyHeader part_header;
    size_t part_size = 0;
    status = http::ParseProxyHeader(part.data(), part.size(), part_header, part_size);
    if (status != http::ParseStatus::kDone) continue;
    Require(part_size == cut && part_size == header_size);
    Require(part_header.is_local == header.is_local && part_header.source == header.source &&
            part_header.destination == header.destination);
  }
  Require(status == whole);
  if (whole != http::ParseStatus::kDone) return 0;
  Require(header_size <= http::kMaxProxyHeaderBytes);
  for (const auto version : {http::ProxyVersion::k1, http::ProxyVersion::k2}) {
    char out[http::kMaxProxyLineBytes];
    const size_t written = http::WriteProxyHeader(version, header, out);
    Require(written > 0 && written <= sizeof out);
    http::ProxyHeader again;
    size_t again_size = 0;
    Require(http::ParseProxyHeader(out, written, again, again_size) == http::ParseStatus::kDone);
    Require(again_size == written && again.is_local == header.is_local);
    if (header.is_local) continue;
    Require(again.source == header.source && again.destination == header.destination);
  }
  return 0;
}
