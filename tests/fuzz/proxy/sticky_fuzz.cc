// Sealed cookies: no text opens that was not sealed, and one that was opens to what was sealed, for
// its kind and its time only, and not once a character of it has changed.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "proxy/exchange/sticky_cookie.h"
#include "tests/fuzz/require.h"

namespace proxy = remuda::proxy;
using remuda::Require;
using Kind = proxy::StickyClaim::Kind;

namespace {

constexpr int64_t kNow = 1'700'000'000;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static proxy::StickyCookies cookies = [] {
    proxy::StickyCookies made;
    made.SetSecrets({std::string(32, 'n'), std::string(32, 'o')});
    return made;
  }();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  proxy::StickyClaim opened;
  for (const Kind kind : {Kind::kTarget, Kind::kApp, Kind::kGroup})
    Require(!cookies.Open(text, kind, kNow, opened));

  // The bytes once more, as a claim, a place and what is put there.
  uint8_t bytes[18] = {};
  std::copy_n(data, std::min(size, sizeof bytes), bytes);
  proxy::StickyClaim claim;
  std::memcpy(&claim.group, bytes, sizeof claim.group);
  std::memcpy(&claim.target, bytes + 8, sizeof claim.target);
  claim.expires_s = kNow + 1;
  proxy::StickyCookies::Text sealed;
  Require(cookies.Seal(claim, sealed));
  const std::string_view whole(sealed.data(), sealed.size());
  Require(cookies.Open(whole, claim.kind, kNow, opened) && opened == claim);
  Require(!cookies.Open(whole, Kind::kGroup, kNow, opened));
  Require(!cookies.Open(whole, claim.kind, kNow + 2, opened));
  Require(!cookies.Open(whole.substr(1), claim.kind, kNow, opened));
  char& changed = sealed[bytes[16] % sealed.size()];
  if (changed == static_cast<char>(bytes[17])) return 0;
  changed = static_cast<char>(bytes[17]);
  Require(!cookies.Open(whole, claim.kind, kNow, opened));
  return 0;
}
