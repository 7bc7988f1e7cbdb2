#include "controller/store/sealer.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "common/random_bytes.h"
#include "common/status.h"

namespace remuda {
namespace {

// What sealed bytes are: mark, id of the key, salt, nonce, ciphertext, tag.
constexpr std::string_view kMark("\0RS1", 4);
constexpr size_t kIdBytes = 8;
constexpr size_t kSaltBytes = 16;
constexpr size_t kNonceBytes = 12;
constexpr size_t kTagBytes = 16;
constexpr size_t kHeadBytes = kMark.size() + kIdBytes + kSaltBytes + kNonceBytes;
// Keys of other starts that are kept at hand while a store is read.
constexpr size_t kMaxOpeningKeys = 1'000;

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

const unsigned char* In(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* Out(std::string& bytes, size_t at) {
  return reinterpret_cast<unsigned char*>(bytes.data()) + at;
}

std::string IdBytes(std::string_view key) {
  const std::string text = absl::StrCat("remuda sealing key id ", std::string(key));
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(In(text), text.size(), digest);
  return std::string(reinterpret_cast<const char*>(digest), kIdBytes);
}

std::string Derive(std::string_view key, std::string_view salt) {
  const std::string text = absl::StrCat("remuda sealed row ", std::string(salt));
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), In(text), text.size(), out,
           &size) == nullptr) {
    throw std::runtime_error("sealing: HMAC failed");
  }
  return std::string(reinterpret_cast<const char*>(out), size);
}

// What else is bound: the head, so that none of it can be exchanged, and the place.
std::string Bound(std::string_view head, std::string_view place) {
  return absl::StrCat(std::string(head), std::string(place));
}

}  // namespace

std::string SealingKeyId(std::string_view key) { return absl::BytesToHexString(IdBytes(key)); }

Sealer::Sealer(const SealingKeys& keys)
    : file_(keys.file), keys_(keys.keys), salt_(RandomBytes(kSaltBytes)) {
  for (const std::string& key : keys_) ids_.push_back(IdBytes(key));
  key_ = Derive(keys_.front(), salt_);
}

bool Sealer::IsSealed(std::string_view bytes) {
  return bytes.size() >= kHeadBytes + kTagBytes && bytes.substr(0, kMark.size()) == kMark;
}

std::string Sealer::KeyIdOf(std::string_view sealed) {
  return absl::BytesToHexString(std::string(sealed.substr(kMark.size(), kIdBytes)));
}

bool Sealer::IsCurrent(std::string_view sealed) const {
  return IsSealed(sealed) && sealed.substr(kMark.size(), kIdBytes) == ids_.front();
}

std::string Sealer::Seal(std::string_view place, std::string_view plain) {
  std::string out = absl::StrCat(std::string(kMark), ids_.front(), salt_);
  const uint64_t number = ++sealed_;
  out.append(kNonceBytes - sizeof number, '\0');
  for (size_t i = 0; i < sizeof number; ++i)
    out += static_cast<char>((number >> (8 * (sizeof number - 1 - i))) & 0xff);
  const std::string bound = Bound(out, place);
  const std::string nonce = out.substr(kHeadBytes - kNonceBytes);
  out.resize(kHeadBytes + plain.size() + kTagBytes);
  const Cipher cipher(EVP_CIPHER_CTX_new());
  int size = 0;
  if (cipher == nullptr ||
      EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, In(key_), In(nonce)) != 1 ||
      EVP_EncryptUpdate(cipher.get(), nullptr, &size, In(bound), static_cast<int>(bound.size())) !=
          1 ||
      EVP_EncryptUpdate(cipher.get(), Out(out, kHeadBytes), &size, In(plain),
                        static_cast<int>(plain.size())) != 1 ||
      EVP_EncryptFinal_ex(cipher.get(), Out(out, kHeadBytes + plain.size()), &size) != 1 ||
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes,
                          Out(out, kHeadBytes + plain.size())) != 1) {
    // Never the plain bytes instead.
    throw std::runtime_error("sealing: AES-256-GCM failed");
  }
  return out;
}

absl::StatusOr<std::string> Sealer::Open(std::string_view place, std::string_view sealed) {
  if (!IsSealed(sealed))
    return absl::DataLossError(absl::StrCat(std::string(place), ": not sealed"));
  const std::string_view id = sealed.substr(kMark.size(), kIdBytes);
  const auto known = std::find(ids_.begin(), ids_.end(), id);
  if (known == ids_.end()) {
    std::string has;
    for (const std::string& one : ids_)
      absl::StrAppend(&has, has.empty() ? "" : ", ", absl::BytesToHexString(one));
    return FailedPrecondition(
        "SEALING_KEY", absl::StrCat(std::string(place), " is sealed under key ", KeyIdOf(sealed),
                                    ", which is not in ", file_, " (it has ", has,
                                    "); put that key into the file"));
  }
  const std::string derived_from(sealed.substr(kMark.size(), kIdBytes + kSaltBytes));
  auto key = opening_.find(derived_from);
  if (key == opening_.end()) {
    if (opening_.size() >= kMaxOpeningKeys) opening_.clear();
    const std::string& of = keys_[static_cast<size_t>(known - ids_.begin())];
    key = opening_.emplace(derived_from, Derive(of, derived_from.substr(kIdBytes))).first;
  }
  const std::string_view head = sealed.substr(0, kHeadBytes);
  const std::string_view nonce = head.substr(kHeadBytes - kNonceBytes);
  const std::string_view text = sealed.substr(kHeadBytes, sealed.size() - kHeadBytes - kTagBytes);
  std::string tag(sealed.substr(sealed.size() - kTagBytes));
  const std::string bound = Bound(head, place);
  std::string out(text.size(), '\0');
  std::string rest(kTagBytes, '\0');
  const Cipher cipher(EVP_CIPHER_CTX_new());
  int size = 0;
  if (cipher == nullptr ||
      EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, In(key->second), In(nonce)) !=
          1 ||
      EVP_DecryptUpdate(cipher.get(), nullptr, &size, In(bound), static_cast<int>(bound.size())) !=
          1 ||
      EVP_DecryptUpdate(cipher.get(), Out(out, 0), &size, In(text),
                        static_cast<int>(text.size())) != 1 ||
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) != 1 ||
      EVP_DecryptFinal_ex(cipher.get(), Out(rest, 0), &size) != 1) {
    return absl::DataLossError(absl::StrCat(
        std::string(place), ": what is sealed there was changed, or belongs to another place"));
  }
  return out;
}

}  // namespace remuda
