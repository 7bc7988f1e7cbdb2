#include "tests/component/proxy/client/http2_attack.h"

#include <algorithm>
#include <iterator>

namespace remuda::proxy::testing {
namespace {

constexpr size_t kMaxMoves = 24;
constexpr size_t kMaxResets = 20;
constexpr size_t kMaxBrokenBytes = 4;
// Over the window of a stream (128 KiB).
constexpr size_t kTooManyBodyBytes = 150'000;
constexpr size_t kBodyFrameBytes = 16'000;

const HeaderList kOddFields = {
    {"x", "y"},
    {"content-length", "3"},
    {"content-length", "99999999999999999999"},
    {"transfer-encoding", "chunked"},
    {"connection", "close"},
    {"te", "trailers"},
    {"te", "gzip"},
    {"expect", "100-continue"},
    {"host", "other.test"},
    {"cookie", "a=b"},
    {"cookie", "c=d"},
    {"X", "upper"},
    {"x y", "space"},
    {"x", "a\r\nb: c"},
    {"x", std::string("a\0b", 3)},
    {"upgrade", "websocket"},
    {":late", "pseudo"},
    {":path", "/twice"},
    {":protocol", "websocket"},
    {"", "no name"},
    {"x_y", "z"},
    {"x", std::string(9000, 'x')},
};
const std::vector<std::string> kPaths = {"/",    "/attack?a=b", "/big",     "/slow", "*",
                                         "/../", "/%00",        "/a b",     "",      "/#f",
                                         "//x",  "/%2e%2e/x",   "http://b/"};

}  // namespace

std::string Http2Attack::Bytes(size_t count) {
  std::string bytes(count, '\0');
  for (char& c : bytes) c = static_cast<char>(Below(256));
  return bytes;
}

uint32_t Http2Attack::AnyStream() {
  if (!OddOneIn(1)) return last_stream_;
  switch (Below(8)) {
    case 0:
      return 0;
    case 1:
      return static_cast<uint32_t>(2 * Below(20));
    case 2:
      return static_cast<uint32_t>(random_());  // the reserved bit, too
    case 3:
      return last_stream_ = encoder_->NewStream();
    case 4:
      return static_cast<uint32_t>(1 + 2 * Below(20));
    default:
      return last_stream_;
  }
}

void Http2Attack::Frame(uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload) {
  bytes_ += BigEndian(payload.size(), 3) + BigEndian(type, 1) + BigEndian(flags, 1) +
            BigEndian(stream, 4);
  bytes_ += payload;
}

// One frame, or cut into CONTINUATIONs, now and then with something else between.
void Http2Attack::Headers(uint32_t stream, const std::string& block, bool ends) {
  const uint8_t end_stream = ends ? NGHTTP2_FLAG_END_STREAM : 0;
  size_t pieces = OneIn(5) ? 1 + Below(11) : 1;
  size_t at = 0;
  for (size_t i = 0; i < pieces; ++i) {
    const bool is_last = i + 1 == pieces && !OddOneIn(60);
    const size_t size = i + 1 == pieces ? block.size() - at : Below(block.size() - at + 1);
    const uint8_t end_headers = is_last ? NGHTTP2_FLAG_END_HEADERS : 0;
    Frame(i == 0 ? NGHTTP2_HEADERS : NGHTTP2_CONTINUATION,
          static_cast<uint8_t>(end_headers | (i == 0 ? end_stream : 0)), stream,
          block.substr(at, size));
    at += size;
    if (!is_last && OddOneIn(60)) SmallFrame();
  }
}

HeaderList Http2Attack::AnyFields(bool& has_body) {
  has_body = OneIn(2);
  HeaderList fields = {{":method", has_body   ? "POST"
                                   : OneIn(6) ? "HEAD"
                                              : "GET"},
                       {":scheme", "https"},
                       {":authority", "attack.test"},
                       {":path", kPaths[OneIn(3) ? Below(kPaths.size()) : Below(4)]}};
  if (OddOneIn(20)) fields[0].second = OneIn(2) ? "CONNECT" : Bytes(4);
  if (OneIn(20)) fields.erase(fields.begin() + static_cast<ptrdiff_t>(Below(4)));
  for (size_t i = OneIn(3) ? 1 + Below(3) : 0; i > 0; --i) {
    fields.push_back(kOddFields[Below(kOddFields.size())]);
    if (OneIn(10)) std::swap(fields.back(), fields[Below(fields.size())]);
  }
  return fields;
}

void Http2Attack::Request() {
  bool has_body = false;
  const HeaderList fields = AnyFields(has_body);
  const uint32_t stream = last_stream_ = OddOneIn(12) ? AnyStream() : encoder_->NewStream();
  std::string block = encoder_->Deflate(fields);
  if (OddOneIn(15) && !block.empty()) block[Below(block.size())] = static_cast<char>(Below(256));
  Headers(stream, block, !has_body);
  if (has_body) Body(stream);
}

void Http2Attack::Body(uint32_t stream) {
  for (size_t i = Below(4); i > 0; --i) {
    std::string payload = std::string(Below(OneIn(4) ? 3000 : 30), 'b');
    uint8_t flags = 0;
    if (OneIn(6)) {  // padded, perhaps by more than there is
      flags = NGHTTP2_FLAG_PADDED;
      const size_t padding = Below(20);
      payload = BigEndian(padding, 1) + payload + std::string(OddOneIn(4) ? 0 : padding, '\0');
    }
    Frame(NGHTTP2_DATA, flags, stream, payload);
  }
  switch (Below(5)) {
    case 0:
      return;  // it never ends
    case 1: {
      const std::string trailers = encoder_->Deflate({{OddOneIn(4) ? ":path" : "x", "trailer"}});
      return Headers(stream, trailers, !OddOneIn(5));
    }
    default:
      return Frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, stream, OneIn(2) ? "" : "end");
  }
}

// The target of /slow reads nothing for a while, so that windows stay closed.
void Http2Attack::BodyBeyondWindows() {
  const uint32_t stream = last_stream_ = encoder_->NewStream();
  Headers(stream,
          encoder_->Deflate({{":method", "POST"},
                             {":scheme", "https"},
                             {":authority", "attack.test"},
                             {":path", "/slow"}}),
          false);
  for (size_t sent = 0; sent < kTooManyBodyBytes; sent += kBodyFrameBytes)
    Frame(NGHTTP2_DATA, 0, stream, std::string(kBodyFrameBytes, 'w'));
}

void Http2Attack::HeaderGarbage() {
  Headers(OneIn(4) ? AnyStream() : encoder_->NewStream(), Bytes(1 + Below(60)), OneIn(2));
}

void Http2Attack::ResetStorm() {
  for (size_t i = 1 + Below(kMaxResets); i > 0; --i) {
    Request();
    Frame(NGHTTP2_RST_STREAM, 0, OneIn(10) ? AnyStream() : last_stream_, BigEndian(Below(20), 4));
  }
}

void Http2Attack::WindowUpdate() {
  static constexpr uint32_t kSteps[] = {1, 1000, 0x7fff0000, 0, 0x7fffffff, 0xffffffff};
  const size_t count = OddOneIn(1) ? std::size(kSteps) : 3;
  Frame(NGHTTP2_WINDOW_UPDATE, 0, OneIn(2) ? 0 : AnyStream(), BigEndian(kSteps[Below(count)], 4));
}

void Http2Attack::Settings() {
  static constexpr uint32_t kValues[] = {0, 1, 2, 100, 16384, 65535, 0x7fffffff, 0xffffffff};
  std::string payload;
  for (size_t i = Below(4); i > 0; --i) {
    // Right ones: of tables, windows, or unknown.
    const size_t id = OddOneIn(1) ? Below(10) : OneIn(2) ? NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE : 1;
    const size_t count = OddOneIn(1) ? std::size(kValues) : 6;
    payload += BigEndian(id, 2) + BigEndian(kValues[Below(count)], 4);
  }
  Frame(NGHTTP2_SETTINGS, OddOneIn(6) ? NGHTTP2_FLAG_ACK : 0, OneIn(20) ? AnyStream() : 0, payload);
}

void Http2Attack::SmallFrame() {
  switch (OddOneIn(1) ? Below(6) : Below(3)) {
    case 0:
      return Frame(NGHTTP2_PING, OneIn(4) ? NGHTTP2_FLAG_ACK : 0, 0, Bytes(OddOneIn(10) ? 7 : 8));
    case 1:
      return Frame(NGHTTP2_PRIORITY, 0, AnyStream(), Bytes(OddOneIn(10) ? 4 : 5));
    case 2:
      return Frame(static_cast<uint8_t>(10 + Below(246)), 0, AnyStream(), Bytes(Below(40)));
    case 3:
      return Frame(NGHTTP2_PUSH_PROMISE, NGHTTP2_FLAG_END_HEADERS, AnyStream(), Bytes(8));
    case 4:
      return Frame(NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, AnyStream(), Bytes(4));
    default:
      return Frame(NGHTTP2_GOAWAY, 0, 0, Bytes(8 + Below(8)));
  }
}

void Http2Attack::RandomFrame() {
  Frame(static_cast<uint8_t>(Below(OneIn(4) ? 256 : 10)), static_cast<uint8_t>(Below(256)),
        AnyStream(), Bytes(Below(OneIn(5) ? 400 : 12)));
}

// A header that promises another size than comes: what follows is read as something else.
void Http2Attack::WrongLength() {
  const size_t size = Below(40);
  bytes_ += BigEndian(OneIn(6) ? 16385 + Below(1000) : size + 1 + Below(12), 3);
  bytes_ +=
      BigEndian(Below(10), 1) + BigEndian(Below(256), 1) + BigEndian(AnyStream(), 4) + Bytes(size);
}

// A few bytes behind the preface are changed, lost, or put in.
void Http2Attack::Break() {
  const size_t preface = OneIn(20) ? 0 : NGHTTP2_CLIENT_MAGIC_LEN;
  for (size_t i = 1 + Below(kMaxBrokenBytes); i > 0; --i) {
    const size_t at = preface + Below(bytes_.size() - preface);
    switch (Below(3)) {
      case 0:
        bytes_[at] = static_cast<char>(Below(256));
        break;
      case 1:
        bytes_.erase(at, 1 + Below(3));
        break;
      default:
        bytes_.insert(at, Bytes(1 + Below(3)));
        break;
    }
  }
}

std::vector<std::string> Http2Attack::NextConnection() {
  encoder_ = std::make_unique<Http2Client>(RawSocket());
  last_stream_ = 1;
  calm_ = OneIn(4) ? 1 : OneIn(2) ? 5 : 40;
  bytes_ = NGHTTP2_CLIENT_MAGIC;
  Frame(NGHTTP2_SETTINGS, 0, 0, "");
  bool is_large = false;
  for (size_t i = 1 + Below(kMaxMoves); i > 0; --i) {
    switch (Below(24)) {
      case 0:
        if (!is_large) BodyBeyondWindows();
        is_large = true;
        break;
      case 1:
        if (OddOneIn(1)) HeaderGarbage();
        break;
      case 2:
        ResetStorm();
        break;
      case 3:
        WindowUpdate();
        break;
      case 4:
        Settings();
        break;
      case 5:
        SmallFrame();
        break;
      case 6:
        if (OddOneIn(1)) RandomFrame();
        break;
      case 7:
        if (OddOneIn(3)) WrongLength();
        break;
      default:
        Request();
        break;
    }
  }
  if (OddOneIn(3)) Break();
  std::vector<std::string> pieces;
  for (size_t at = 0; at < bytes_.size();) {
    const size_t size = OneIn(3) ? 1 + Below(bytes_.size() - at) : bytes_.size() - at;
    pieces.push_back(bytes_.substr(at, size));
    at += size;
  }
  return pieces;
}

}  // namespace remuda::proxy::testing
