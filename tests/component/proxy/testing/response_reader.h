// A stream of responses through the proxy's parsers, framing and writers, without sockets: the
// responses that it takes and the bytes that it would send for them to an HTTP/1.1 client.
#pragma once

#include <string>
#include <utility>

#include "tests/component/proxy/http/differential_generator.h"
#include "tests/component/proxy/testing/stream_reader.h"

namespace remuda::proxy::testing {

// The method of Frame is the status, its target is empty.
class ResponseReader : MessageReader {
 public:
  explicit ResponseReader(const ResponseStream& stream)
      : MessageReader(stream.bytes), heads_(stream.heads) {}

  StreamView Read() {
    while (at_ < bytes_.size() && TakeResponse()) {
    }
    if (at_ == bytes_.size()) view_.wants_more = true;
    return std::move(view_);
  }

 private:
  // False: the proxy takes no further response of this connection.
  bool TakeResponse() {
    http::ResponseParser parser;
    http::ResponseHead head;
    const auto status = parser.Parse(bytes_.data() + at_, bytes_.size() - at_, head);
    if (status == http::ParseStatus::kNeedMore) view_.wants_more = true;
    if (status != http::ParseStatus::kDone) return Refuse(parser.reason());
    const bool is_head = (heads_ >> finals_ & 1) != 0;
    if (head.status >= 200) ++finals_;
    http::Framing framing;
    if (const auto reason = http::DecideResponseFraming(
            head, is_head ? http::Method::kHead : http::Method::kGet, framing);
        reason != http::Reason::kNone) {
      return Refuse(reason);
    }
    // The session knows what was asked for; without a protocol nothing was.
    if (head.status == 101 && framing.upgrade.empty())
      return Refuse(http::Reason::kTargetUnaskedUpgrade);
    at_ += parser.head_size();
    Frame frame{std::to_string(head.status), "", ""};
    if (framing.kind == http::BodyKind::kUntilClose) {
      frame.body = bytes_.substr(at_);
      at_ = bytes_.size();
    } else if (!TakeBody(framing, frame.body)) {
      return false;
    }
    Forward(head, framing, parser.head_size(), frame.body);
    view_.frames.push_back(std::move(frame));
    return framing.keep_alive && head.status != 101;
  }

  // As the session writes it; the client's connection goes on whatever the target's does.
  void Forward(const http::ResponseHead& head, const http::Framing& framing, size_t head_size,
               const std::string& body) {
    http::ResponseStyle style;
    if (head.status == 101) {
      style.upgrade = framing.upgrade;
    } else if (head.status >= 200) {
      style.kind =
          framing.kind == http::BodyKind::kUntilClose ? http::BodyKind::kChunked : framing.kind;
      style.has_length = framing.has_length;
      style.length = framing.length;
    }
    std::string out(http::MaxForwardedHeadBytes(head_size), '\0');
    out.resize(http::WriteResponseHead(head, style, out.data(), out.size()));
    view_.forwarded += out;
    ForwardBody(style.kind, body);
    view_.forwarded_frames.push_back({std::to_string(head.status), "", body});
  }

  const uint8_t heads_;
  size_t finals_ = 0;
};

inline StreamView ReadResponses(const ResponseStream& stream) {
  return ResponseReader(stream).Read();
}

}  // namespace remuda::proxy::testing
