#include "proxy/http/message_fault.h"

#include <algorithm>
#include <cstring>

namespace remuda::proxy::http {
namespace {

size_t Add(std::string_view text, char* out) {
  std::memcpy(out, text.data(), text.size());
  return text.size();
}

size_t AddEscaped(char c, char* out) {
  if (c >= 0x20 && c < 0x7f && c != '\\') {
    *out = c;
    return 1;
  }
  constexpr std::string_view kHex = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  out[0] = '\\';
  out[1] = 'x';
  out[2] = kHex[byte >> 4];
  out[3] = kHex[byte & 15];
  return 4;
}

}  // namespace

void MessageFault::Set(Reason rule, std::string_view text, bool is_name) {
  rule_ = rule;
  is_name_ = is_name;
  size_ = static_cast<uint8_t>(std::min(text.size(), kMaxTextBytes));
  if (size_ > 0) std::memcpy(text_.data(), text.data(), size_);
}

std::string_view MessageFault::Describe(std::span<char, kMaxDescriptionBytes> out) const {
  size_t size = Add(NameOf(rule_), out.data());
  if (size_ > 0) {
    size += Add(": ", out.data() + size);
    size += Add(text(), out.data() + size);
  }
  return {out.data(), size};
}

std::string_view MessageFault::Escape(std::span<char, kMaxEscapedBytes> out) const {
  size_t size = Add(NameOf(rule_), out.data());
  if (size_ > 0) {
    size += Add(": ", out.data() + size);
    for (const char c : text()) size += AddEscaped(c, out.data() + size);
  }
  return {out.data(), size};
}

std::string_view FieldOf(Reason rule) {
  switch (rule) {
    case Reason::kMissingHost:
    case Reason::kRepeatedHost:
    case Reason::kBadHost:
    case Reason::kHostMismatch:
      return "Host";
    case Reason::kBadContentLength:
    case Reason::kRepeatedContentLength:
      return "Content-Length";
    case Reason::kBadTransferEncoding:
    case Reason::kUnknownTransferEncoding:
    case Reason::kRepeatedTransferEncoding:
    case Reason::kChunkedInHttp10:
      return "Transfer-Encoding";
    case Reason::kLengthAndTransferEncoding:
      return "Content-Length, Transfer-Encoding";
    case Reason::kBadConnection:
      return "Connection";
    case Reason::kBadExpect:
      return "Expect";
    case Reason::kTooManyForwardedAddresses:
      return "X-Forwarded-For";
    default:
      return "";
  }
}

}  // namespace remuda::proxy::http
