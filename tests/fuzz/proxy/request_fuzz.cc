// A client's bytes: heads, framing, targets, what is written for the target, chunked bodies. What
// is forwarded must parse again to the same framing, and the verdict must not depend on how the
// bytes were cut.
#include <cstdint>
#include <string>

#include "proxy/http/chunk_decoder.h"
#include "proxy/http/framing.h"
#include "proxy/http/head_parser.h"
#include "proxy/http/head_writer.h"
#include "proxy/http/target.h"
#include "tests/fuzz/require.h"

namespace http = remuda::proxy::http;
using remuda::Require;

namespace {

// Parses `bytes`, `step` at a time. Returns whether a head was found and fills it.
http::ParseStatus Parse(const std::string& bytes, size_t step, http::RequestParser& parser,
                        http::RequestHead& head) {
  http::ParseStatus status = http::ParseStatus::kNeedMore;
  for (size_t size = 0; size < bytes.size() && status == http::ParseStatus::kNeedMore;) {
    size = std::min(size + step, bytes.size());
    status = parser.Parse(bytes.data(), size, head);
  }
  return status;
}

void CheckForwarded(const http::RequestHead& head, const http::Framing& framing, size_t head_size,
                    const http::HeaderRules& rules = {}) {
  std::string out(http::MaxForwardedHeadBytes(head_size), '\0');
  const http::ForwardedInfo info{.client_address = "192.0.2.1",
                                 .client_port = 65535,
                                 .port = 65535,
                                 .rules = rules,
                                 .fallback_host = "10.0.0.1:80",
                                 .new_trace_id = "1-5759e988-bd862e3fe1be46a994272793",
                                 .span_id = 1};
  out.resize(http::WriteRequestHead(head, framing, info, out.data(), out.size()));
  Require(!out.empty());
  http::RequestParser parser;
  http::RequestHead again;
  http::Framing framing_again;
  if (parser.Parse(out.data(), out.size(), again) != http::ParseStatus::kDone) {
    // Our own fields come on top of a full head's; nothing else may be wrong with it.
    Require(parser.reason() == http::Reason::kTooManyFields ||
            parser.reason() == http::Reason::kFieldTooLong ||
            parser.reason() == http::Reason::kHeadTooLarge ||
            parser.reason() == http::Reason::kRequestLineTooLong);
    return;
  }
  Require(parser.head_size() == out.size());
  Require(http::DecideRequestFraming(again, framing_again) == http::Reason::kNone);
  Require(framing_again.kind == framing.kind && framing_again.length == framing.length);
  const std::string path(head.path);
  Require(http::CanonicalizeTarget(again) == http::Reason::kNone);
  Require(again.path == path);
}

// Whatever the rules for paths: what is forwarded is canonical by them already, and under the
// strictest no target reads it in another way.
void CheckPaths(const std::string& bytes) {
  using Rules = http::PathRules;
  for (const bool merges : {true, false}) {
    for (const auto slashes : {Rules::EscapedSlashes::kRefuse, Rules::EscapedSlashes::kKeep,
                               Rules::EscapedSlashes::kDecode}) {
      for (const auto parameters : {Rules::Parameters::kRefuseHiding, Rules::Parameters::kRefuse,
                                    Rules::Parameters::kStrip, Rules::Parameters::kKeep}) {
        const Rules rules{
            .merges_slashes = merges, .escaped_slashes = slashes, .parameters = parameters};
        std::string copy = bytes;
        http::RequestParser parser;
        http::RequestHead head;
        Require(parser.Parse(copy.data(), copy.size(), head) == http::ParseStatus::kDone);
        if (http::CanonicalizeTarget(head, http::DesyncMode::kMonitor, rules) !=
            http::Reason::kNone) {
          continue;
        }
        if (head.path == "*") continue;
        std::string path(head.path);
        std::string_view again = path;
        Require(http::CanonicalizeOrigin(again, rules) && again == head.path);
        Require(!merges || head.path.find("//") == std::string_view::npos);
        Require(slashes == Rules::EscapedSlashes::kKeep ||
                (head.path.find("%2F") == std::string_view::npos &&
                 head.path.find("%5C") == std::string_view::npos));
        Require(parameters == Rules::Parameters::kKeep ||
                head.path.find("/..;") == std::string_view::npos);
        Require(parameters == Rules::Parameters::kKeep ||
                parameters == Rules::Parameters::kRefuseHiding ||
                head.path.find(';') == std::string_view::npos);
      }
    }
  }
}

void CheckBody(std::string body) {
  http::ChunkDecoder whole;
  std::string copy = body;
  std::string trailers;
  const auto result = whole.Decode(copy.data(), copy.size(), copy.data(), trailers);
  Require(result.consumed <= body.size() && result.produced <= result.consumed);
  http::ChunkDecoder bytewise;
  size_t consumed = 0;
  std::string decoded;
  std::string same_trailers;
  for (char& c : body) {
    if (bytewise.done() || bytewise.reason() != http::Reason::kNone) break;
    const auto step = bytewise.Decode(&c, 1, &c, same_trailers);
    consumed += step.consumed;
    if (step.produced > 0) decoded += c;
  }
  Require(bytewise.done() == whole.done() && bytewise.reason() == whole.reason());
  Require(decoded == copy.substr(0, result.produced));
  if (whole.done()) Require(consumed == result.consumed && same_trailers == trailers);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  std::string copy = bytes;
  http::RequestParser parser;
  http::RequestHead head;
  const http::ParseStatus status = Parse(bytes, bytes.size() + 1, parser, head);
  http::RequestParser parser_bytewise;
  http::RequestHead head_bytewise;
  Require(Parse(copy, 1, parser_bytewise, head_bytewise) == status);
  Require(parser_bytewise.reason() == parser.reason());
  if (status == http::ParseStatus::kError) {
    const http::BadHead bad = parser.Blame(bytes.data(), bytes.size(), head);
    Require(bad.culprit.size() <= bytes.size());
  }
  if (status != http::ParseStatus::kDone) return 0;
  CheckPaths(bytes.substr(0, parser.head_size()));
  Require(parser_bytewise.head_size() == parser.head_size());
  // With everything on that a load balancer may ask for: what passes is plain to the strictest
  // mode.
  constexpr auto kMonitor = http::DesyncMode::kMonitor;
  http::Framing lenient;
  if (http::DecideRequestFraming(head_bytewise, lenient, kMonitor) == http::Reason::kNone &&
      http::CanonicalizeTarget(head_bytewise, kMonitor) == http::Reason::kNone) {
    CheckForwarded(
        head_bytewise, lenient, parser.head_size(),
        {.with_client_port = true, .drops_invalid_names = true, .makes_traceparent = true});
  }
  http::Framing framing;
  if (http::DecideRequestFraming(head, framing) != http::Reason::kNone) return 0;
  if (http::CanonicalizeTarget(head) != http::Reason::kNone) return 0;
  CheckForwarded(head, framing, parser.head_size());
  if (framing.kind == http::BodyKind::kChunked) CheckBody(bytes.substr(parser.head_size()));
  return 0;
}
