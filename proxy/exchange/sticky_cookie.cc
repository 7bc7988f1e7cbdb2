#include "proxy/exchange/sticky_cookie.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <cstring>

namespace remuda::proxy {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kKeyBytes = 32;
constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// HKDF (RFC 5869) over SHA-256, with a label that no other use of the secret has.
bool DeriveKey(const std::string& secret, std::array<uint8_t, kKeyBytes>& key) {
  char digest[] = "SHA256";
  char label[] = "remuda sticky cookie 1";
  EVP_KDF* const kdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  EVP_KDF_CTX* const context = EVP_KDF_CTX_new(kdf);
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, const_cast<char*>(secret.data()),
                                        secret.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, label, sizeof label - 1),
      OSSL_PARAM_construct_end()};
  const bool ok =
      context != nullptr && EVP_KDF_derive(context, key.data(), key.size(), params) == 1;
  EVP_KDF_CTX_free(context);
  EVP_KDF_free(kdf);
  return ok;
}

template <size_t kSize>
void Encode(const std::array<uint8_t, kSize>& bytes, char* out) {
  uint32_t bits = 0;
  int count = 0;
  for (const uint8_t byte : bytes) {
    bits = (bits << 8) | byte;
    for (count += 8; count >= 6; count -= 6) *out++ = kAlphabet[(bits >> (count - 6)) & 63];
  }
  if (count > 0) *out++ = kAlphabet[(bits << (6 - count)) & 63];
}

int DigitOf(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '-' ? 62 : c == '_' ? 63 : -1;
}

// False for another length, another letter, or bits behind the end that are not 0: one text a
// cookie.
template <size_t kSize>
bool Decode(std::string_view text, std::array<uint8_t, kSize>& out) {
  if (text.size() != (kSize * 4 + 2) / 3) return false;
  uint32_t bits = 0;
  int count = 0;
  size_t at = 0;
  for (const char c : text) {
    const int value = DigitOf(c);
    if (value < 0) return false;
    bits = (bits << 6) | static_cast<uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out[at++] = static_cast<uint8_t>(bits >> count);
  }
  return (bits & ((uint32_t{1} << count) - 1)) == 0;
}

void PutUint64(uint64_t value, uint8_t* out) {
  for (int i = 7; i >= 0; --i, value >>= 8) out[i] = static_cast<uint8_t>(value);
}

uint64_t TakeUint64(const uint8_t* in) {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = (value << 8) | in[i];
  return value;
}

}  // namespace

void StickyCookies::SetSecrets(const std::vector<std::string>& secrets) {
  if (secrets == secrets_) return;
  secrets_ = secrets;
  sealer_.reset();
  openers_.clear();
  for (const std::string& secret : secrets) {
    std::array<uint8_t, kKeyBytes> key{};
    Context opener(EVP_CIPHER_CTX_new());
    if (!DeriveKey(secret, key) ||
        EVP_DecryptInit_ex(opener.get(), EVP_aes_256_gcm(), nullptr, key.data(), nullptr) != 1) {
      continue;
    }
    openers_.push_back(std::move(opener));
    if (sealer_ != nullptr) continue;
    sealer_.reset(EVP_CIPHER_CTX_new());
    if (EVP_EncryptInit_ex(sealer_.get(), EVP_aes_256_gcm(), nullptr, key.data(), nullptr) != 1)
      sealer_.reset();
  }
  nonce_count_ = 0;
}

bool StickyCookies::NextNonce(uint8_t* out) {
  if (nonce_count_ == 0 &&
      RAND_bytes(nonce_prefix_.data(), static_cast<int>(nonce_prefix_.size())) != 1) {
    return false;
  }
  std::memcpy(out, nonce_prefix_.data(), nonce_prefix_.size());
  const uint32_t count = nonce_count_++;
  for (size_t i = 0; i < 4; ++i) out[8 + i] = static_cast<uint8_t>(count >> (24 - 8 * i));
  return true;
}

bool StickyCookies::Seal(const StickyClaim& claim, Text& out) {
  if (sealer_ == nullptr) return false;
  uint8_t plain[kClaimBytes];
  plain[0] = static_cast<uint8_t>(claim.kind);
  PutUint64(claim.group, plain + 1);
  PutUint64(claim.target, plain + 9);
  PutUint64(static_cast<uint64_t>(claim.expires_s), plain + 17);
  std::array<uint8_t, kSealedBytes> sealed;
  sealed[0] = kVersion;
  uint8_t* const nonce = &sealed[1];
  uint8_t* const body = nonce + kNonceBytes;
  EVP_CIPHER_CTX* const c = sealer_.get();
  int size = 0;
  if (!NextNonce(nonce) || EVP_EncryptInit_ex(c, nullptr, nullptr, nullptr, nonce) != 1 ||
      EVP_EncryptUpdate(c, nullptr, &size, sealed.data(), 1) != 1 ||
      EVP_EncryptUpdate(c, body, &size, plain, kClaimBytes) != 1 ||
      EVP_EncryptFinal_ex(c, body + size, &size) != 1 ||
      EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, kTagBytes, body + kClaimBytes) != 1) {
    return false;
  }
  Encode(sealed, out.data());
  return true;
}

bool StickyCookies::OpenWith(EVP_CIPHER_CTX* c, const uint8_t* sealed, uint8_t* claim) {
  const uint8_t* const nonce = sealed + 1;
  const uint8_t* const body = nonce + kNonceBytes;
  uint8_t tag[kTagBytes];
  std::memcpy(tag, body + kClaimBytes, kTagBytes);
  int size = 0;
  return EVP_DecryptInit_ex(c, nullptr, nullptr, nullptr, nonce) == 1 &&
         EVP_DecryptUpdate(c, nullptr, &size, sealed, 1) == 1 &&
         EVP_DecryptUpdate(c, claim, &size, body, kClaimBytes) == 1 &&
         EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, kTagBytes, tag) == 1 &&
         EVP_DecryptFinal_ex(c, claim + size, &size) == 1;
}

bool StickyCookies::Open(std::string_view text, StickyClaim::Kind kind, int64_t now_s,
                         StickyClaim& out) {
  std::array<uint8_t, kSealedBytes> sealed;
  if (!Decode(text, sealed) || sealed[0] != kVersion) return false;
  uint8_t plain[kClaimBytes];
  for (const Context& opener : openers_) {
    if (!OpenWith(opener.get(), sealed.data(), plain)) continue;
    out.kind = static_cast<StickyClaim::Kind>(plain[0]);
    out.group = TakeUint64(plain + 1);
    out.target = TakeUint64(plain + 9);
    out.expires_s = static_cast<int64_t>(TakeUint64(plain + 17));
    return out.kind == kind && out.expires_s > now_s;
  }
  return false;
}

}  // namespace remuda::proxy
