#include "tests/component/proxy/testing/http2_client.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

namespace remuda::proxy::testing {
namespace {

constexpr size_t kMaxFrameBytes = 16384;

uint32_t NumberAt(std::string_view text, size_t at, size_t bytes) {
  uint32_t number = 0;
  for (size_t i = 0; i < bytes && at + i < text.size(); ++i)
    number = number << 8 | static_cast<uint8_t>(text[at + i]);
  return number;
}

}  // namespace

std::string BigEndian(uint64_t number, size_t bytes) {
  std::string text(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i)
    text[bytes - 1 - i] = static_cast<char>(static_cast<uint8_t>(number >> (8 * i)));
  return text;
}

std::string Http2Response::Field(std::string_view name) const {
  for (const auto& [key, value] : fields) {
    if (key == name) return value;
  }
  return "";
}

Http2Client::Http2Client(RawSocket socket) : socket_(std::move(socket)) {
  nghttp2_hd_deflate_new(&deflater_, 4096);
  nghttp2_hd_inflate_new(&inflater_);
  const int on = 1;
  setsockopt(socket_.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Http2Client::~Http2Client() {
  nghttp2_hd_deflate_del(deflater_);
  nghttp2_hd_inflate_del(inflater_);
}

bool Http2Client::Start(const std::vector<std::pair<uint16_t, uint32_t>>& wanted) {
  std::string payload;
  for (const auto& [id, value] : wanted) payload += BigEndian(id, 2) + BigEndian(value, 4);
  if (!socket_.is_open() || !socket_.Send(NGHTTP2_CLIENT_MAGIC) ||
      !SendFrame(NGHTTP2_SETTINGS, 0, 0, payload)) {
    return false;
  }
  while (settings.empty()) {
    if (ReadFrame().type == 0xff) return false;
  }
  return true;
}

bool Http2Client::SendFrame(uint8_t type, uint8_t flags, uint32_t stream,
                            std::string_view payload) {
  return socket_.Send(BigEndian(payload.size(), 3) + BigEndian(type, 1) + BigEndian(flags, 1) +
                      BigEndian(stream, 4) + std::string(payload));
}

std::string Http2Client::Deflate(const HeaderList& fields) {
  std::vector<nghttp2_nv> list;
  for (const auto& [name, value] : fields) {
    list.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
                    reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(),
                    value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  std::string block(nghttp2_hd_deflate_bound(deflater_, list.data(), list.size()), '\0');
  const ssize_t size = nghttp2_hd_deflate_hd(deflater_, reinterpret_cast<uint8_t*>(block.data()),
                                             block.size(), list.data(), list.size());
  block.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
  return block;
}

uint32_t Http2Client::SendHeaders(const HeaderList& fields, bool ends) {
  const uint32_t stream = NewStream();
  const std::string block = Deflate(fields);
  const uint8_t end_stream = ends ? NGHTTP2_FLAG_END_STREAM : 0;
  for (size_t at = 0; at == 0 || at < block.size(); at += kMaxFrameBytes) {
    const bool is_last = at + kMaxFrameBytes >= block.size();
    const uint8_t flags =
        static_cast<uint8_t>((is_last ? NGHTTP2_FLAG_END_HEADERS : 0) | (at == 0 ? end_stream : 0));
    SendFrame(at == 0 ? NGHTTP2_HEADERS : NGHTTP2_CONTINUATION, flags, stream,
              std::string_view(block).substr(at, kMaxFrameBytes));
  }
  return stream;
}

uint32_t Http2Client::SendRequest(const std::string& method, const std::string& path, bool ends,
                                  const HeaderList& more) {
  HeaderList fields = {
      {":method", method}, {":scheme", "https"}, {":authority", "shop.test"}, {":path", path}};
  fields.insert(fields.end(), more.begin(), more.end());
  return SendHeaders(fields, ends);
}

bool Http2Client::SendBody(uint32_t stream, std::string_view body, bool ends) {
  const auto [it, is_new] = stream_windows_.try_emplace(stream, initial_window_);
  do {
    while (!body.empty() && (window_ <= 0 || it->second <= 0)) {
      if (ReadFrame().type == 0xff || responses_[stream].reset_code >= 0) return false;
    }
    const size_t size = std::min({body.size(), kMaxFrameBytes, static_cast<size_t>(window_),
                                  static_cast<size_t>(std::max<int64_t>(it->second, 0))});
    const bool is_last = ends && size == body.size();
    if (!SendFrame(NGHTTP2_DATA, is_last ? NGHTTP2_FLAG_END_STREAM : 0, stream,
                   body.substr(0, size))) {
      return false;
    }
    window_ -= static_cast<int64_t>(size);
    it->second -= static_cast<int64_t>(size);
    body.remove_prefix(size);
  } while (!body.empty());
  return true;
}

void Http2Client::Reset(uint32_t stream, uint32_t code) {
  SendFrame(NGHTTP2_RST_STREAM, 0, stream, BigEndian(code, 4));
}

Http2Frame Http2Client::ReadFrame() {
  Http2Frame frame;
  const std::string head = socket_.ReadBytes(9);
  if (head.size() < 9) return frame;
  frame.payload = socket_.ReadBytes(NumberAt(head, 0, 3));
  frame.type = static_cast<uint8_t>(head[3]);
  frame.flags = static_cast<uint8_t>(head[4]);
  frame.stream = NumberAt(head, 5, 4) & 0x7fffffff;
  Take(frame);
  return frame;
}

void Http2Client::Take(const Http2Frame& frame) {
  const bool is_ack = (frame.flags & NGHTTP2_FLAG_ACK) != 0;
  switch (frame.type) {
    case NGHTTP2_SETTINGS:
      if (is_ack) return;
      for (size_t at = 0; at + 6 <= frame.payload.size(); at += 6) {
        settings[static_cast<uint16_t>(NumberAt(frame.payload, at, 2))] =
            NumberAt(frame.payload, at + 2, 4);
      }
      if (settings.count(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE) != 0)
        initial_window_ = settings[NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE];
      if (acknowledges) SendFrame(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, "");
      return;
    case NGHTTP2_PING:
      if (!is_ack && acknowledges) SendFrame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, frame.payload);
      return;
    case NGHTTP2_WINDOW_UPDATE: {
      const int64_t more = NumberAt(frame.payload, 0, 4);
      if (frame.stream == 0) {
        window_ += more;
      } else {
        stream_windows_.try_emplace(frame.stream, initial_window_).first->second += more;
      }
      return;
    }
    case NGHTTP2_HEADERS:
      return TakeHeaders(frame);
    case NGHTTP2_DATA: {
      Http2Response& response = responses_[frame.stream];
      response.body += frame.payload;
      response.has_ended |= (frame.flags & NGHTTP2_FLAG_END_STREAM) != 0;
      if (!opens_windows || frame.payload.empty()) return;
      const std::string update = BigEndian(frame.payload.size(), 4);
      SendFrame(NGHTTP2_WINDOW_UPDATE, 0, 0, update);
      if (!response.has_ended) SendFrame(NGHTTP2_WINDOW_UPDATE, 0, frame.stream, update);
      return;
    }
    case NGHTTP2_RST_STREAM:
      responses_[frame.stream].reset_code = NumberAt(frame.payload, 0, 4);
      return;
    case NGHTTP2_GOAWAY:
      ++goaways;
      goaway_last_stream = NumberAt(frame.payload, 0, 4);
      goaway_code = NumberAt(frame.payload, 4, 4);
      return;
    default:
      return;
  }
}

void Http2Client::TakeHeaders(const Http2Frame& frame) {
  Http2Response& response = responses_[frame.stream];
  HeaderList fields;
  std::string block = frame.payload;
  bool is_whole = (frame.flags & NGHTTP2_FLAG_END_HEADERS) != 0;
  while (!is_whole) {
    const Http2Frame more = ReadFrame();
    if (more.type != NGHTTP2_CONTINUATION) return;
    block += more.payload;
    is_whole = (more.flags & NGHTTP2_FLAG_END_HEADERS) != 0;
  }
  const auto* in = reinterpret_cast<const uint8_t*>(block.data());
  size_t left = block.size();
  while (true) {
    nghttp2_nv field;
    int flags = 0;
    const ssize_t taken = nghttp2_hd_inflate_hd2(inflater_, &field, &flags, in, left, 1);
    if (taken < 0) return;
    in += taken;
    left -= static_cast<size_t>(taken);
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
      fields.emplace_back(std::string(reinterpret_cast<char*>(field.name), field.namelen),
                          std::string(reinterpret_cast<char*>(field.value), field.valuelen));
    }
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
  }
  nghttp2_hd_inflate_end_headers(inflater_);
  if (response.status != 0) {
    response.trailers = std::move(fields);
    response.has_ended |= (frame.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    return;
  }
  const int status = fields.empty() ? 0 : std::atoi(fields.front().second.c_str());
  response.has_ended |= (frame.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  if (status < 200) {
    response.interim.push_back(status);
    return;
  }
  response.status = status;
  response.fields = std::move(fields);
}

Http2Response Http2Client::Await(uint32_t stream) {
  while (true) {
    const Http2Response& response = responses_[stream];
    if (response.has_ended || response.reset_code >= 0) return response;
    if (ReadFrame().type == 0xff) return responses_[stream];
  }
}

int64_t Http2Client::AwaitEnd() {
  while (ReadFrame().type != 0xff) {
  }
  return goaway_code;
}

bool Http2Client::AwaitFinalGoaway() {
  while (goaway_code < 0 || goaway_last_stream == 0x7fffffff) {
    if (ReadFrame().type == 0xff) return false;
  }
  return true;
}

}  // namespace remuda::proxy::testing
