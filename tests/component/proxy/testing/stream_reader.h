// A stream of requests through the proxy's parsers, framing and writers, without sockets: the
// requests that it takes and the bytes that it would send for them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "proxy/http/chunk_decoder.h"
#include "proxy/http/framing.h"
#include "proxy/http/head_parser.h"
#include "proxy/http/head_writer.h"
#include "proxy/http/target.h"

namespace remuda::proxy::testing {

struct Frame {
  std::string method;
  std::string target;
  std::string body;  // without its coding

  bool operator==(const Frame&) const = default;
};

// What the proxy makes of a stream: the requests that it takes whole, and what it sends for them.
struct StreamView {
  std::vector<Frame> frames;
  std::vector<Frame> forwarded_frames;
  std::string forwarded;
  bool wants_more = false;                    // the stream ended within a request, or between two
  http::Reason reason = http::Reason::kNone;  // why the stream was refused behind its frames
};

// What both directions have in common.
class MessageReader {
 protected:
  explicit MessageReader(const std::string& stream) : bytes_(stream) {}

  bool Refuse(http::Reason reason) {
    view_.reason = reason;
    return false;
  }

  // Of a length or in chunks. False: it is refused, or not whole.
  bool TakeBody(const http::Framing& framing, std::string& body) {
    if (framing.kind == http::BodyKind::kLength) {
      view_.wants_more = framing.length > bytes_.size() - at_;
      if (view_.wants_more) return false;
      body = bytes_.substr(at_, static_cast<size_t>(framing.length));
      at_ += body.size();
    } else if (framing.kind == http::BodyKind::kChunked) {
      http::ChunkDecoder decoder;
      body.resize(bytes_.size() - at_);
      trailers_.clear();
      const auto result = decoder.Decode(bytes_.data() + at_, body.size(), body.data(), trailers_);
      body.resize(result.produced);
      view_.wants_more = !decoder.done() && decoder.reason() == http::Reason::kNone;
      if (!decoder.done()) return Refuse(decoder.reason());
      at_ += result.consumed;
    }
    return true;
  }

  // As the session writes it.
  void ForwardBody(http::BodyKind kind, const std::string& body) {
    if (kind == http::BodyKind::kChunked) {
      char line[http::kMaxChunkHeadBytes];
      if (!body.empty()) {
        view_.forwarded.append(line, http::WriteChunkHead(body.size(), line));
        view_.forwarded += body + "\r\n";
      }
      view_.forwarded += "0\r\n" + trailers_ + "\r\n";
    } else {
      view_.forwarded += body;
    }
  }

  std::string bytes_;  // the parser works in place
  size_t at_ = 0;
  std::string trailers_;  // of the message that was read
  StreamView view_;
};

class StreamReader : MessageReader {
 public:
  StreamReader(const std::string& stream, http::DesyncMode mode)
      : MessageReader(stream), mode_(mode) {}

  StreamView Read() {
    while (at_ < bytes_.size() && TakeRequest()) {
    }
    if (at_ == bytes_.size()) view_.wants_more = true;
    return std::move(view_);
  }

 private:
  // False: the proxy takes no further request of this connection.
  bool TakeRequest() {
    http::RequestParser parser;
    http::RequestHead head;
    const auto status = parser.Parse(bytes_.data() + at_, bytes_.size() - at_, head);
    if (status == http::ParseStatus::kNeedMore) view_.wants_more = true;
    if (status != http::ParseStatus::kDone) return Refuse(parser.reason());
    Frame frame{std::string(head.method_name), std::string(head.target), ""};
    http::Framing framing;
    auto reason = http::DecideRequestFraming(head, framing, mode_);
    if (reason == http::Reason::kNone) reason = http::CanonicalizeTarget(head, mode_);
    if (reason != http::Reason::kNone) return Refuse(reason);
    at_ += parser.head_size();
    if (!TakeBody(framing, frame.body)) return false;
    Forward(head, framing, parser.head_size(), frame);
    view_.frames.push_back(std::move(frame));
    return framing.keep_alive;
  }

  // As the session writes it.
  void Forward(const http::RequestHead& head, const http::Framing& framing, size_t head_size,
               const Frame& frame) {
    std::string out(http::MaxForwardedHeadBytes(head_size), '\0');
    out.resize(http::WriteRequestHead(head, framing,
                                      {.client_address = "192.0.2.1",
                                       .port = 80,
                                       .fallback_host = "10.0.0.1:80",
                                       .new_trace_id = "1-5759e988-bd862e3fe1be46a994272793"},
                                      out.data(), out.size()));
    view_.forwarded += out;
    ForwardBody(framing.kind, frame.body);
    const std::string query = head.has_query ? "?" + std::string(head.query) : "";
    view_.forwarded_frames.push_back({frame.method, std::string(head.path) + query, frame.body});
  }

  const http::DesyncMode mode_;
};

inline StreamView ReadStream(const std::string& stream,
                             http::DesyncMode mode = http::DesyncMode::kStrictest) {
  return StreamReader(stream, mode).Read();
}

}  // namespace remuda::proxy::testing
