// A target's bytes: the first one chooses the request's method, the rest is the response.
#include <cstdint>
#include <string>

#include "proxy/http/framing.h"
#include "proxy/http/head_parser.h"
#include "proxy/http/head_writer.h"
#include "tests/fuzz/require.h"

namespace http = remuda::proxy::http;
using remuda::Require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const http::Method method = data[0] % 2 == 0 ? http::Method::kGet : http::Method::kHead;
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  http::ResponseParser parser;
  http::ResponseHead head;
  // As a group may ask for; what needs no forgiveness is read alike.
  parser.TakeBareLf(data[0] / 2 % 2 == 1);
  const http::ParseStatus status = parser.Parse(bytes.data(), bytes.size(), head);
  http::ResponseParser strict;
  http::ResponseHead strict_head;
  if (strict.Parse(bytes.data(), bytes.size(), strict_head) == http::ParseStatus::kDone)
    Require(status == http::ParseStatus::kDone && strict.head_size() == parser.head_size());
  if (status == http::ParseStatus::kError) {
    Require(parser.Blame(bytes.data(), bytes.size(), head).culprit.size() <= bytes.size());
    return 0;
  }
  if (status != http::ParseStatus::kDone) return 0;
  Require(head.status >= 100 && head.status <= 599);
  http::Framing framing;
  if (http::DecideResponseFraming(head, method, framing) != http::Reason::kNone) return 0;
  if (head.status < 200 || head.status == 204 || head.status == 304 ||
      method == http::Method::kHead) {
    Require(framing.kind == http::BodyKind::kNone);
  }
  const http::ResponseStyle style{.kind = framing.kind,
                                  .has_length = framing.has_length,
                                  .length = framing.length,
                                  .close = !framing.keep_alive};
  std::string out(http::MaxForwardedHeadBytes(parser.head_size()), '\0');
  out.resize(http::WriteResponseHead(head, style, out.data(), out.size()));
  Require(!out.empty());
  http::ResponseParser parser_again;
  http::ResponseHead again;
  if (parser_again.Parse(out.data(), out.size(), again) != http::ParseStatus::kDone) {
    Require(parser_again.reason() == http::Reason::kTooManyFields ||
            parser_again.reason() == http::Reason::kHeadTooLarge);
    return 0;
  }
  http::Framing framing_again;
  Require(http::DecideResponseFraming(again, method, framing_again) == http::Reason::kNone);
  Require(framing_again.kind == framing.kind);
  return 0;
}
