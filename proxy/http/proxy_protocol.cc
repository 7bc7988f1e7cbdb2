#include "proxy/http/proxy_protocol.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>

namespace remuda::proxy::http {
namespace {

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", kProxySignatureBytes);
constexpr std::string_view kLinePrefix = "PROXY ";

constexpr uint8_t kVersion2 = 0x20;
constexpr uint8_t kCommandLocal = 0;
constexpr uint8_t kCommandProxy = 1;
constexpr uint8_t kUnspecified = 0x00;
constexpr uint8_t kTcp4 = 0x11;
constexpr uint8_t kTcp6 = 0x21;
constexpr uint8_t kUnixStream = 0x31;
constexpr size_t kTcp4Bytes = 12;
constexpr size_t kTcp6Bytes = 36;
constexpr size_t kUnixBytes = 216;

bool IsMapped(const ProxyEndpoint& endpoint) {
  constexpr uint8_t kPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::memcmp(endpoint.address.data(), kPrefix, sizeof kPrefix) == 0;
}

bool ParseAddress(std::string_view text, int family, ProxyEndpoint& out) {
  char copy[INET6_ADDRSTRLEN] = {};
  if (text.size() >= sizeof copy || text.find('\0') != std::string_view::npos) return false;
  std::memcpy(copy, text.data(), text.size());
  if (family == AF_INET6) return inet_pton(AF_INET6, copy, out.address.data()) == 1;
  out.address[10] = out.address[11] = 0xff;
  return inet_pton(AF_INET, copy, out.address.data() + 12) == 1;
}

// Digits without a leading zero.
bool ParsePort(std::string_view text, uint16_t& out) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return false;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), out);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

// Up to the next space, which must be there.
bool TakeWord(std::string_view& rest, std::string_view& word) {
  const size_t space = rest.find(' ');
  if (space == std::string_view::npos) return false;
  word = rest.substr(0, space);
  rest.remove_prefix(space + 1);
  return true;
}

// `line` without CRLF.
bool ParseLine(std::string_view line, ProxyHeader& out) {
  line.remove_prefix(kLinePrefix.size());
  if (line == "UNKNOWN" || line.substr(0, 8) == "UNKNOWN ") return true;
  std::string_view protocol, source, destination, source_port;
  if (!TakeWord(line, protocol) || !TakeWord(line, source) || !TakeWord(line, destination) ||
      !TakeWord(line, source_port)) {
    return false;
  }
  if (protocol != "TCP4" && protocol != "TCP6") return false;
  const int family = protocol == "TCP4" ? AF_INET : AF_INET6;
  out.is_local = false;
  return ParseAddress(source, family, out.source) &&
         ParseAddress(destination, family, out.destination) &&
         ParsePort(source_port, out.source.port) && ParsePort(line, out.destination.port);
}

ParseStatus ParseVersion1(std::string_view data, ProxyHeader& out, size_t& header_size) {
  const size_t end = data.substr(0, kMaxProxyLineBytes).find('\n');
  if (end == std::string_view::npos)
    return data.size() < kMaxProxyLineBytes ? ParseStatus::kNeedMore : ParseStatus::kError;
  if (data[end - 1] != '\r' || !ParseLine(data.substr(0, end - 1), out)) return ParseStatus::kError;
  header_size = end + 1;
  return ParseStatus::kDone;
}

uint16_t Number16(std::string_view data, size_t at) {
  return static_cast<uint16_t>(static_cast<uint8_t>(data[at]) << 8 |
                               static_cast<uint8_t>(data[at + 1]));
}

// The extensions fill what follows the addresses exactly. What they say is not looked at.
bool AreExtensions(std::string_view rest) {
  while (!rest.empty()) {
    if (rest.size() < 3) return false;
    const size_t size = Number16(rest, 1);
    if (rest.size() - 3 < size) return false;
    rest.remove_prefix(3 + size);
  }
  return true;
}

// Addresses of `bytes` each, then the ports.
void TakeAddresses(std::string_view body, size_t bytes, ProxyHeader& out) {
  out.is_local = false;
  size_t at = 0;
  for (ProxyEndpoint* endpoint : {&out.source, &out.destination}) {
    std::memcpy(endpoint->address.data() + 16 - bytes, body.data() + at, bytes);
    if (bytes == 4) endpoint->address[10] = endpoint->address[11] = 0xff;
    at += bytes;
  }
  out.source.port = Number16(body, at);
  out.destination.port = Number16(body, at + 2);
}

ParseStatus ParseVersion2(std::string_view data, ProxyHeader& out, size_t& header_size) {
  if (data.size() > kProxySignatureBytes) {
    const auto command = static_cast<uint8_t>(data[kProxySignatureBytes]);
    if (command != (kVersion2 | kCommandLocal) && command != (kVersion2 | kCommandProxy))
      return ParseStatus::kError;
  }
  if (data.size() < kProxyFixedBytes) return ParseStatus::kNeedMore;
  const size_t size = Number16(data, 14);
  if (size > kMaxProxyHeaderBytes - kProxyFixedBytes) return ParseStatus::kError;
  if (data.size() < kProxyFixedBytes + size) return ParseStatus::kNeedMore;
  header_size = kProxyFixedBytes + size;
  if (static_cast<uint8_t>(data[12]) == (kVersion2 | kCommandLocal)) return ParseStatus::kDone;
  const std::string_view body = data.substr(kProxyFixedBytes, size);
  size_t addresses = 0;
  switch (static_cast<uint8_t>(data[13])) {
    case kUnspecified:
      return ParseStatus::kDone;  // what follows has no meaning
    case kTcp4:
      addresses = kTcp4Bytes;
      break;
    case kTcp6:
      addresses = kTcp6Bytes;
      break;
    case kUnixStream:
      addresses = kUnixBytes;
      break;
    default:
      return ParseStatus::kError;
  }
  if (body.size() < addresses || !AreExtensions(body.substr(addresses))) return ParseStatus::kError;
  if (addresses == kTcp4Bytes) TakeAddresses(body, 4, out);
  if (addresses == kTcp6Bytes) TakeAddresses(body, 16, out);
  return ParseStatus::kDone;
}

char* Append(std::string_view text, char* out) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

size_t WriteVersion1(const ProxyHeader& header, char* out) {
  char* at = Append(kLinePrefix, out);
  if (header.is_local) return static_cast<size_t>(Append("UNKNOWN\r\n", at) - out);
  const bool is_v4 = IsMapped(header.source) && IsMapped(header.destination);
  at = Append(is_v4 ? "TCP4" : "TCP6", at);
  for (const ProxyEndpoint* endpoint : {&header.source, &header.destination}) {
    char text[INET6_ADDRSTRLEN];
    inet_ntop(is_v4 ? AF_INET : AF_INET6, endpoint->address.data() + (is_v4 ? 12 : 0), text,
              sizeof text);
    at = Append(text, Append(" ", at));
  }
  for (const ProxyEndpoint* endpoint : {&header.source, &header.destination}) {
    at = Append(" ", at);
    at = std::to_chars(at, at + 5, endpoint->port).ptr;
  }
  return static_cast<size_t>(Append("\r\n", at) - out);
}

size_t WriteVersion2(const ProxyHeader& header, char* out) {
  char* at = Append(kSignature, out);
  const bool is_v4 = IsMapped(header.source) && IsMapped(header.destination);
  const size_t address_bytes = is_v4 ? 4 : 16;
  *at++ = static_cast<char>(kVersion2 | (header.is_local ? kCommandLocal : kCommandProxy));
  *at++ = static_cast<char>(header.is_local ? kUnspecified : is_v4 ? kTcp4 : kTcp6);
  *at++ = 0;
  *at++ = static_cast<char>(header.is_local ? 0 : is_v4 ? kTcp4Bytes : kTcp6Bytes);
  if (header.is_local) return static_cast<size_t>(at - out);
  for (const ProxyEndpoint* endpoint : {&header.source, &header.destination}) {
    std::memcpy(at, endpoint->address.data() + 16 - address_bytes, address_bytes);
    at += address_bytes;
  }
  for (const ProxyEndpoint* endpoint : {&header.source, &header.destination}) {
    *at++ = static_cast<char>(endpoint->port >> 8);
    *at++ = static_cast<char>(endpoint->port & 0xff);
  }
  return static_cast<size_t>(at - out);
}

}  // namespace

ParseStatus ParseProxyHeader(const char* data, size_t size, ProxyHeader& out, size_t& header_size) {
  out = ProxyHeader();
  const std::string_view bytes(data, size);
  for (const std::string_view start : {kLinePrefix, kSignature}) {
    const size_t common = std::min(size, start.size());
    if (bytes.substr(0, common) != start.substr(0, common)) continue;
    if (common < start.size()) return ParseStatus::kNeedMore;
    return start == kSignature ? ParseVersion2(bytes, out, header_size)
                               : ParseVersion1(bytes, out, header_size);
  }
  return ParseStatus::kError;
}

size_t WriteProxyHeader(ProxyVersion version, const ProxyHeader& header, char* out) {
  switch (version) {
    case ProxyVersion::kNone:
      return 0;
    case ProxyVersion::k1:
      return WriteVersion1(header, out);
    case ProxyVersion::k2:
      return WriteVersion2(header, out);
  }
  return 0;
}

}  // namespace remuda::proxy::http
