// The keys that session tickets (RFC 5077, RFC 8446 section 4.6.1) are sealed with: made from
// secrets that the proxies of a cluster share, new every kGeneration. Nothing is kept of a session:
// any worker of any proxy, also one that was restarted, can resume it.
//
// Thread: immutable, used by all workers without a lock; each keeps what it derived.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace remuda::proxy::tls {

class TicketKeys {
 public:
  // How long tickets are sealed with one key. They are understood for one generation more, so that
  // each is good for this long at least; and for one ahead, for proxies whose clocks differ.
  static constexpr std::chrono::hours kGeneration{12};
  static constexpr size_t kMaxSecrets = 2;

  struct Key {
    std::array<uint8_t, 16> name;
    std::array<uint8_t, 32> cipher;
    std::array<uint8_t, 32> mac;
    bool operator==(const Key&) const = default;
  };

  // Seals with the first secret, understands all (at most kMaxSecrets). Without any: with one that
  // is random, the same for all of this process.
  explicit TicketKeys(const std::vector<std::string>& secrets);

  static int64_t GenerationAt(std::chrono::system_clock::time_point now);
  // HKDF-SHA256 over the secret; deterministic.
  static Key Derive(std::string_view secret, int64_t generation);

  // The key to seal with.
  Key Sealing(std::chrono::system_clock::time_point now) const;
  // The key of that name.
  std::optional<Key> Find(const uint8_t* name, std::chrono::system_clock::time_point now) const;

  // Makes `context` use this for its tickets. Must outlive it.
  void Attach(SSL_CTX* context) const;

 private:
  // The first is the one to seal with.
  using Keys = std::vector<Key>;
  // Valid until this thread asks the next time.
  const Keys& KeysAt(std::chrono::system_clock::time_point now) const;
  static int OnTicket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                      EVP_MAC_CTX* mac, int is_sealing);

  const uint64_t serial_;  // unique in the process
  std::vector<std::string> secrets_;
};

}  // namespace remuda::proxy::tls
