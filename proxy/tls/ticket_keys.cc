#include "proxy/tls/ticket_keys.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <stdexcept>

namespace remuda::proxy::tls {
namespace {

uint64_t NextSerial() {
  static std::atomic<uint64_t> serial{0};
  return ++serial;
}

const std::string& ProcessSecret() {
  static const std::string secret = [] {
    std::string bytes(32, '\0');
    if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), 32) != 1)
      throw std::runtime_error("no random bytes");
    return bytes;
  }();
  return secret;
}

// Fetched once: a lookup by name for each ticket would cost more than the sealing.
const EVP_CIPHER* Cipher() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
  return cipher;
}

int ContextIndex() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

}  // namespace

TicketKeys::TicketKeys(const std::vector<std::string>& secrets)
    : serial_(NextSerial()),
      secrets_(secrets.begin(), secrets.begin() + static_cast<std::ptrdiff_t>(
                                                      std::min(secrets.size(), kMaxSecrets))) {
  if (secrets_.empty()) secrets_.push_back(ProcessSecret());
}

int64_t TicketKeys::GenerationAt(std::chrono::system_clock::time_point now) {
  return std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count() /
         std::chrono::seconds(kGeneration).count();
}

TicketKeys::Key TicketKeys::Derive(std::string_view secret, int64_t generation) {
  const std::string info = "remuda session ticket " + std::to_string(generation);
  EVP_KDF* const kdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  EVP_KDF_CTX* const context = EVP_KDF_CTX_new(kdf);
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, const_cast<char*>("SHA256"), 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, const_cast<char*>(secret.data()),
                                        secret.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, const_cast<char*>(info.data()),
                                        info.size()),
      OSSL_PARAM_construct_end()};
  std::array<uint8_t, sizeof(Key)> bytes;
  const bool is_done = EVP_KDF_derive(context, bytes.data(), bytes.size(), params) == 1;
  EVP_KDF_CTX_free(context);
  EVP_KDF_free(kdf);
  if (!is_done) throw std::runtime_error("HKDF failed");
  Key key;
  std::memcpy(key.name.data(), bytes.data(), key.name.size());
  std::memcpy(key.cipher.data(), bytes.data() + 16, key.cipher.size());
  std::memcpy(key.mac.data(), bytes.data() + 48, key.mac.size());
  return key;
}

const TicketKeys::Keys& TicketKeys::KeysAt(std::chrono::system_clock::time_point now) const {
  // Two sets of secrets are in use while a new config spreads, hardly ever more.
  struct Derived {
    uint64_t serial = 0;
    int64_t generation = 0;
    Keys keys;
  };
  static thread_local std::array<Derived, 2> cache;
  const int64_t generation = GenerationAt(now);
  for (const Derived& entry : cache) {
    if (entry.serial == serial_ && entry.generation == generation) return entry.keys;
  }
  Derived& entry = cache[0].serial <= cache[1].serial ? cache[0] : cache[1];
  entry.serial = serial_;
  entry.generation = generation;
  entry.keys.clear();
  for (const std::string& secret : secrets_) {
    for (const int64_t of : {generation, generation - 1, generation + 1})
      entry.keys.push_back(Derive(secret, of));
  }
  return entry.keys;
}

TicketKeys::Key TicketKeys::Sealing(std::chrono::system_clock::time_point now) const {
  return KeysAt(now).front();
}

std::optional<TicketKeys::Key> TicketKeys::Find(const uint8_t* name,
                                                std::chrono::system_clock::time_point now) const {
  for (const Key& key : KeysAt(now)) {
    if (std::memcmp(key.name.data(), name, key.name.size()) == 0) return key;
  }
  return std::nullopt;
}

void TicketKeys::Attach(SSL_CTX* context) const {
  SSL_CTX_set_ex_data(context, ContextIndex(), const_cast<TicketKeys*>(this));
  SSL_CTX_set_tlsext_ticket_key_evp_cb(context, OnTicket);
}

int TicketKeys::OnTicket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                         EVP_MAC_CTX* mac, int is_sealing) {
  const auto* keys =
      static_cast<const TicketKeys*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), ContextIndex()));
  const auto now = std::chrono::system_clock::now();
  std::optional<Key> key;
  if (is_sealing != 0) {
    key = keys->Sealing(now);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(Cipher())) != 1) return -1;
    std::memcpy(name, key->name.data(), key->name.size());
    if (EVP_EncryptInit_ex2(cipher, Cipher(), key->cipher.data(), iv, nullptr) != 1) return -1;
  } else {
    key = keys->Find(name, now);
    if (!key) return 0;  // a full handshake
    if (EVP_DecryptInit_ex2(cipher, Cipher(), key->cipher.data(), iv, nullptr) != 1) return -1;
  }
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac.data(), key->mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, const_cast<char*>("SHA256"), 0),
      OSSL_PARAM_construct_end()};
  if (EVP_MAC_CTX_set_params(mac, params) != 1) return -1;
  if (is_sealing != 0) return 1;
  // 2: understood, but give a new one: for the next connection of the client, which should use a
  // ticket of TLS 1.3 once only (RFC 8446 section C.4), or because the key is not the newest.
  return SSL_version(ssl) == TLS1_3_VERSION || !(*key == keys->Sealing(now)) ? 2 : 1;
}

}  // namespace remuda::proxy::tls
