// The proxy's own cookies: which target, or which target group, a client stays with. Sealed with
// AES-256-GCM under keys made from the config's shared secrets, so that a client can neither read
// nor make one, and every proxy of a cluster understands the others'. No address in it.
//
// Thread: its worker's. Sealing and opening allocate nothing.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace remuda::proxy {

struct StickyClaim {
  enum class Kind : uint8_t { kTarget = 1, kApp = 2, kGroup = 3 };
  Kind kind = Kind::kTarget;
  uint64_t group = 0;     // HashOf the target group's id
  uint64_t target = 0;    // HashOf the target's id; 0 for kGroup
  int64_t expires_s = 0;  // since the epoch
  bool operator==(const StickyClaim&) const = default;
};

class StickyCookies {
 public:
  // base64url of: version, nonce, sealed claim, tag.
  static constexpr size_t kNonceBytes = 12;
  static constexpr size_t kClaimBytes = 25;
  static constexpr size_t kTagBytes = 16;
  static constexpr size_t kSealedBytes = 1 + kNonceBytes + kClaimBytes + kTagBytes;
  static constexpr size_t kTextBytes = (kSealedBytes * 4 + 2) / 3;
  using Text = std::array<char, kTextBytes>;

  // Cookies are sealed by the first secret and opened by any. Cheap if they are what they were.
  void SetSecrets(const std::vector<std::string>& secrets);
  // False if there is no secret, or the library fails.
  bool Seal(const StickyClaim& claim, Text& out);
  // False if `text` is not what Seal made with one of the secrets, or is of another kind, or has
  // expired. Any text will do.
  bool Open(std::string_view text, StickyClaim::Kind kind, int64_t now_s, StickyClaim& out);

 private:
  struct Free {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  };
  using Context = std::unique_ptr<EVP_CIPHER_CTX, Free>;

  bool NextNonce(uint8_t* out);
  static bool OpenWith(EVP_CIPHER_CTX* context, const uint8_t* sealed, uint8_t* claim);

  std::vector<std::string> secrets_;
  Context sealer_;
  std::vector<Context> openers_;
  // A nonce is never used twice with a key: 8 random bytes for each run of 2^32 counts.
  std::array<uint8_t, 8> nonce_prefix_{};
  uint32_t nonce_count_ = 0;
};

}  // namespace remuda::proxy
