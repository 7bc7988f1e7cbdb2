#include "proxy/tls/ticket_keys.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace remuda::proxy::tls {
namespace {

uint64_t NextVersion() {
  static std::atomic<uint64_t> version{0};
  return ++version;
}

int64_t GenerationAt(TicketKeys::Time now) {
  return std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count() /
         std::chrono::seconds(TicketKeys::kGeneration).count();
}

static_assert(sizeof(TicketKeys::Key) == TicketKeys::kKeyBytes);

TicketKeys::Key RandomKey() {
  TicketKeys::Key key;
  if (RAND_priv_bytes(reinterpret_cast<unsigned char*>(&key), sizeof key) != 1)
    throw std::runtime_error("no random bytes");
  return key;
}

bool HasName(const std::vector<TicketKeys::Key>& keys, const TicketKeys::Key& wanted) {
  return std::any_of(keys.begin(), keys.end(),
                     [&](const TicketKeys::Key& key) { return key.name == wanted.name; });
}

void Forget(std::vector<TicketKeys::Key>& keys) {
  OPENSSL_cleanse(keys.data(), keys.size() * sizeof(TicketKeys::Key));
  keys.clear();
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

TicketKeys::TicketKeys() : good_until_(INT64_MIN), version_(NextVersion()) {}

TicketKeys::~TicketKeys() { Forget(keys_); }

void TicketKeys::SetLocked(Keys keys, int64_t good_until) const {
  Forget(keys_);
  keys_ = std::move(keys);
  good_until_.store(good_until, std::memory_order_relaxed);
  version_.store(NextVersion(), std::memory_order_release);
}

// One of our own seals from now on; the one before is understood while it is not too old.
void TicketKeys::RenewLocked(int64_t generation) const {
  Keys keys = {RandomKey()};
  const bool is_next = is_own_ && generation == good_until_.load(std::memory_order_relaxed) + 1;
  if (is_next && !keys_.empty()) keys.push_back(keys_.front());
  is_own_ = true;
  SetLocked(std::move(keys), generation);
}

std::string TicketKeys::Replace(const std::vector<std::string>& texts, Time now) {
  if (texts.empty() || texts.size() > kMaxKeys)
    return "keys: " + std::to_string(texts.size()) + " are not within 1-" +
           std::to_string(kMaxKeys);
  Keys keys;
  for (const std::string& text : texts) {
    if (text.size() != kKeyBytes) {
      return "keys: one of " + std::to_string(text.size()) + " bytes is not of " +
             std::to_string(kKeyBytes);
    }
    Key key;
    std::memcpy(&key, text.data(), sizeof key);
    if (HasName(keys, key)) return "keys: two have one name";
    keys.push_back(key);
  }
  std::lock_guard lock(mutex_);
  // What sealed before: a controller that was started anew has made new ones. With the same to seal
  // with, what it was that was kept so before.
  if (!keys_.empty()) {
    const Key& kept = keys_.front() == keys.front() ? keys_.back() : keys_.front();
    if (!HasName(keys, kept)) keys.push_back(kept);
  }
  is_own_ = false;
  SetLocked(std::move(keys), GenerationAt(now) + kMaxGenerationsWithoutNew);
  return {};
}

std::vector<std::string> TicketKeys::Export(Time now, bool& are_own) const {
  Keys keys = KeysAt(now);
  keys.resize(std::min(keys.size(), kMaxKeys));
  std::vector<std::string> texts;
  for (const Key& key : keys) texts.emplace_back(reinterpret_cast<const char*>(&key), sizeof key);
  Forget(keys);
  std::lock_guard lock(mutex_);
  are_own = is_own_;
  return texts;
}

std::string TicketKeys::Inherit(const std::vector<std::string>& keys, bool are_own, Time now) {
  const std::string error = Replace(keys, now);
  if (!error.empty() || !are_own) return error;
  std::lock_guard lock(mutex_);
  is_own_ = true;
  good_until_.store(GenerationAt(now), std::memory_order_relaxed);
  return error;
}

const TicketKeys::Keys& TicketKeys::KeysAt(Time now) const {
  struct Copy {
    uint64_t version = 0;
    Keys keys;
  };
  static thread_local Copy copy;
  const int64_t generation = GenerationAt(now);
  const bool is_newest = copy.version == version_.load(std::memory_order_acquire) &&
                         generation <= good_until_.load(std::memory_order_relaxed);
  if (is_newest) return copy.keys;
  std::lock_guard lock(mutex_);
  if (generation > good_until_.load(std::memory_order_relaxed)) RenewLocked(generation);
  Forget(copy.keys);
  copy.keys = keys_;
  copy.version = version_.load(std::memory_order_relaxed);
  return copy.keys;
}

TicketKeys::Key TicketKeys::Sealing(Time now) const { return KeysAt(now).front(); }

std::optional<TicketKeys::Key> TicketKeys::Find(const uint8_t* name, Time now) const {
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
