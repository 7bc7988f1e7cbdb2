#include "proxy/http/websocket.h"

#include <algorithm>

namespace remuda::proxy::http {
namespace {

constexpr uint8_t kOpcodeMask = 0x0f;
constexpr uint8_t kOpcodeClose = 8;
constexpr uint8_t kFinalFrame = 0x80;
constexpr uint8_t kMasked = 0x80;
constexpr uint8_t kLengthMask = 0x7f;
constexpr size_t kMaskBytes = 4;

size_t LengthBytes(uint8_t second) {
  switch (second & kLengthMask) {
    case 126:
      return 2;
    case 127:
      return 8;
    default:
      return 0;
  }
}

}  // namespace

size_t WebSocketFrames::Follow(const char* data, size_t size, bool stop_at_boundary) {
  size_t at = 0;
  while (at < size && !is_lost_) {
    if (is_header_whole_) {
      const size_t take = static_cast<size_t>(std::min<uint64_t>(payload_left_, size - at));
      at += take;
      Skip(take);
    } else {
      if (header_size_ < sizeof header_) header_[header_size_] = static_cast<uint8_t>(data[at]);
      ++header_size_;
      ++at;
      if (header_size_ < 2) continue;
      const size_t length_bytes = LengthBytes(header_[1]);
      const size_t whole = 2 + length_bytes + ((header_[1] & kMasked) != 0 ? kMaskBytes : 0);
      if (header_size_ < whole) continue;
      is_header_whole_ = true;
      payload_left_ = length_bytes == 0 ? header_[1] & kLengthMask : 0;
      for (size_t i = 0; i < length_bytes; ++i) payload_left_ = payload_left_ << 8 | header_[2 + i];
      if (payload_left_ >> 63 != 0) is_lost_ = true;  // RFC 6455: the highest bit is 0
      if (payload_left_ == 0) EndFrame();
    }
    if (stop_at_boundary && header_size_ == 0) return at;
  }
  return is_lost_ ? size : at;
}

void WebSocketFrames::Skip(uint64_t size) {
  payload_left_ -= size;
  if (payload_left_ == 0) EndFrame();
}

void WebSocketFrames::EndFrame() {
  if ((header_[0] & kOpcodeMask) == kOpcodeClose) has_closed_ = true;
  header_size_ = 0;
  is_header_whole_ = false;
}

size_t WriteCloseFrame(uint16_t code, const uint8_t (*mask)[4], char* out) {
  char* at = out;
  const uint8_t body[2] = {static_cast<uint8_t>(code >> 8), static_cast<uint8_t>(code & 0xff)};
  *at++ = static_cast<char>(kFinalFrame | kOpcodeClose);
  *at++ = static_cast<char>(sizeof body | (mask != nullptr ? kMasked : 0));
  if (mask != nullptr) {
    for (const uint8_t byte : *mask) *at++ = static_cast<char>(byte);
  }
  for (size_t i = 0; i < sizeof body; ++i)
    *at++ = static_cast<char>(mask != nullptr ? body[i] ^ (*mask)[i] : body[i]);
  return static_cast<size_t>(at - out);
}

}  // namespace remuda::proxy::http
