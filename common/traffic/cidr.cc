#include "common/traffic/cidr.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace remuda::traffic {
namespace {

constexpr int kBits = 128;
constexpr size_t kMappedBytes = kMappedBits / 8;

bool ReadAddress(const std::string& text, IpBytes& out, bool& is_v4) {
  if (text.find('\0') != std::string::npos) return false;  // C would not see what follows
  in_addr v4;
  is_v4 = inet_pton(AF_INET, text.c_str(), &v4) == 1;
  if (!is_v4) return inet_pton(AF_INET6, text.c_str(), out.data()) == 1;
  out = {};
  out[10] = out[11] = 0xff;
  std::memcpy(&out[kMappedBytes], &v4, sizeof v4);
  return true;
}

// Clears or sets what lies behind the prefix.
IpBytes WithTail(const Cidr& cidr, bool ones) {
  IpBytes out = cidr.address;
  for (int byte = 0; byte < kBits / 8; ++byte) {
    const int kept = std::clamp(cidr.prefix_bits - byte * 8, 0, 8);
    const auto tail = static_cast<uint8_t>(0xff >> kept);
    uint8_t& value = out[static_cast<size_t>(byte)];
    value = static_cast<uint8_t>(ones ? value | tail : value & ~tail);
  }
  return out;
}

bool Holds(const Cidr& outer, const Cidr& inner) {
  // A block of IPv6 that has the mapped addresses in it does not hold them.
  return outer.prefix_bits <= inner.prefix_bits && outer.is_v4() == inner.is_v4() &&
         WithTail({inner.address, outer.prefix_bits}, false) == outer.address;
}

// Whether the two are the halves of one block, which is `out` then.
bool Join(const Cidr& a, const Cidr& b, Cidr& out) {
  if (a.prefix_bits != b.prefix_bits || a.prefix_bits == 0 || a.is_v4() != b.is_v4()) return false;
  if (a.is_v4() && a.prefix_bits == kMappedBits) return false;
  out.prefix_bits = a.prefix_bits - 1;
  out.address = WithTail({a.address, out.prefix_bits}, false);
  return out.address == a.address && WithTail({b.address, out.prefix_bits}, false) == out.address &&
         a.address != b.address && out.is_v4() == a.is_v4();
}

}  // namespace

bool Cidr::IsMapped(const IpBytes& address) {
  return std::all_of(address.begin(), address.begin() + 10, [](uint8_t b) { return b == 0; }) &&
         address[10] == 0xff && address[11] == 0xff;
}

std::string ParseBlock(const std::string& text, Cidr& out) {
  constexpr const char* kRule = "is not an address or a block of them such as 10.0.0.0/8";
  const size_t slash = text.find('/');
  bool is_v4 = false;
  if (!ReadAddress(text.substr(0, slash), out.address, is_v4)) return kRule;
  const int full = is_v4 ? kBits - kMappedBits : kBits;
  int bits = full;
  if (slash != std::string::npos) {
    const char* first = text.data() + slash + 1;
    const char* last = text.data() + text.size();
    const auto [end, error] = std::from_chars(first, last, bits);
    if (first == last || error != std::errc() || end != last || bits < 0 || bits > full ||
        *first == '-') {
      return kRule;
    }
  }
  out.prefix_bits = bits + kBits - full;
  const IpBytes base = WithTail(out, false);
  if (base == out.address) return "";
  return "has bits behind its prefix: " + CidrText({base, out.prefix_bits}) + " is meant";
}

std::string CidrText(const Cidr& cidr) {
  char text[INET6_ADDRSTRLEN] = {};
  const bool is_v4 = cidr.is_v4();
  if (is_v4) {
    inet_ntop(AF_INET, &cidr.address[kMappedBytes], text, sizeof text);
  } else {
    inet_ntop(AF_INET6, cidr.address.data(), text, sizeof text);
  }
  if (cidr.prefix_bits == kBits) return text;
  return std::string(text) + "/" + std::to_string(cidr.prefix_bits - (is_v4 ? kMappedBits : 0));
}

std::vector<Cidr> Merged(std::vector<Cidr> blocks) {
  // By address, the wider first: what lies in a block comes right behind it.
  std::sort(blocks.begin(), blocks.end());
  std::vector<Cidr> out;
  for (const Cidr& block : blocks) {
    // What was put last of the family may hold it. (A wide block of IPv6 may lie before the mapped
    // ones and go on behind them.)
    const auto holder = std::find_if(out.rbegin(), out.rend(), [&](const Cidr& before) {
      return before.is_v4() == block.is_v4();
    });
    if (holder != out.rend() && Holds(*holder, block)) continue;
    out.push_back(block);
    Cidr joined;
    while (out.size() >= 2 && Join(out[out.size() - 2], out.back(), joined)) {
      out.pop_back();
      out.back() = joined;
    }
  }
  return out;
}

IpBytes LastOf(const Cidr& cidr) { return WithTail(cidr, true); }

}  // namespace remuda::traffic
