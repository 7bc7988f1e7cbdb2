// The keys that session tickets (RFC 5077, RFC 8446 section 4.6.1) are sealed with: random, of
// short life, and never on a disk. A controller gives all proxies of a cluster the same; a proxy
// that has none from it makes its own. Nothing else is kept of a session: any worker of any such
// proxy can resume it.
//
// Threads: any. Each keeps a copy of the keys and takes the lock only when they have changed.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace remuda::proxy::tls {

class TicketKeys {
 public:
  // How long a key of our own seals. It is understood for one generation more, so that each ticket
  // is good for this long at least.
  static constexpr std::chrono::hours kGeneration{12};
  // Keys from a controller that sends none any more are given up after so many: no key lives long.
  static constexpr int64_t kMaxGenerationsWithoutNew = 4;
  static constexpr size_t kKeyBytes = 80;
  static constexpr size_t kMaxKeys = 4;  // that a controller may send

  struct Key {
    std::array<uint8_t, 16> name;
    std::array<uint8_t, 32> cipher;
    std::array<uint8_t, 32> mac;
    bool operator==(const Key&) const = default;
  };
  using Time = std::chrono::system_clock::time_point;

  TicketKeys();
  TicketKeys(const TicketKeys&) = delete;
  TicketKeys& operator=(const TicketKeys&) = delete;
  ~TicketKeys();

  // From a controller (TicketKeys in proxy.proto): the first seals from now on, all are understood,
  // and so is what sealed before. Empty, or which rule is broken; then nothing has changed.
  std::string Replace(const std::vector<std::string>& keys, Time now);

  // For another process of this proxy: the keys, as Replace takes them, and whether they are our
  // own.
  std::vector<std::string> Export(Time now, bool& are_own) const;
  // What another process of this proxy had (Export).
  std::string Inherit(const std::vector<std::string>& keys, bool are_own, Time now);

  // The key to seal with.
  Key Sealing(Time now) const;
  // The key of that name.
  std::optional<Key> Find(const uint8_t* name, Time now) const;

  // Makes `context` use this for its tickets. Must outlive it.
  void Attach(SSL_CTX* context) const;

 private:
  // The first is the one to seal with. At most kMaxKeys and one.
  using Keys = std::vector<Key>;
  // Valid until this thread asks the next time.
  const Keys& KeysAt(Time now) const;
  void RenewLocked(int64_t generation) const;
  void SetLocked(Keys keys, int64_t generation) const;
  static int OnTicket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                      EVP_MAC_CTX* mac, int is_sealing);

  mutable std::mutex mutex_;
  mutable Keys keys_;                        // guarded by mutex_
  mutable bool is_own_ = true;               // guarded by mutex_
  mutable std::atomic<int64_t> good_until_;  // the last generation in which they are
  mutable std::atomic<uint64_t> version_;    // unique in the process; changes with the keys
};

}  // namespace remuda::proxy::tls
