#include "common/image_signature.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>

#include "common/sha256.h"

namespace remuda {
namespace {

constexpr size_t kSignatureBytes = 64;
constexpr size_t kKeyBytes = 32;
constexpr size_t kIdDigits = 16;
constexpr char kRule[] = ": must hold public keys (-----BEGIN PUBLIC KEY-----), and key ";

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Hash = std::unique_ptr<EVP_MD_CTX, Free>;
using Bytes = std::unique_ptr<BIO, Free>;

std::string Text(const std::string& digest) { return "remuda-image-v1\n" + digest; }

const unsigned char* AsBytes(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::optional<std::string> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::string text(ImageKeys::kMaxFileBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  if (text.size() > ImageKeys::kMaxFileBytes) return std::nullopt;
  return text;
}

std::string IdOf(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) return "";
  const std::string bytes(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return "ed25519:" + Sha256Hex(bytes).substr(0, kIdDigits);
}

// A password is never asked for.
int NoPassword(char*, int, int, void*) { return -1; }

absl::Status WriteNew(const std::string& path, BIO* text, mode_t mode) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(text, &data);
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("create ", path));
  const bool is_written = write(fd, data, static_cast<size_t>(size)) == size;
  const int error = errno;
  close(fd);
  return is_written ? absl::OkStatus() : absl::ErrnoToStatus(error, absl::StrCat("write ", path));
}

}  // namespace

absl::StatusOr<ImageKeys> ImageKeys::Load(const std::string& path) {
  const auto text = ReadFile(path);
  if (!text) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": cannot be read, or is over ", kMaxFileBytes, " bytes"));
  }
  const Bytes in(BIO_new_mem_buf(text->data(), static_cast<int>(text->size())));
  ImageKeys keys;
  for (;;) {
    ERR_clear_error();
    char* name = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long size_bytes = 0;
    if (PEM_read_bio(in.get(), &name, &header, &data, &size_bytes) != 1) {
      // The end of the file is said so.
      if (!keys.empty() && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE) break;
      return absl::InvalidArgumentError(
          absl::StrCat(path, kRule, keys.keys_.size() + 1, " is none"));
    }
    const unsigned char* at = data;
    const Key key(std::strcmp(name, PEM_STRING_PUBLIC) == 0 ? d2i_PUBKEY(nullptr, &at, size_bytes)
                                                            : nullptr);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(data, static_cast<size_t>(size_bytes));
    if (key == nullptr)
      return absl::InvalidArgumentError(
          absl::StrCat(path, kRule, keys.keys_.size() + 1, " is none"));
    std::string raw(kKeyBytes, '\0');
    size_t size = raw.size();
    if (EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519 ||
        EVP_PKEY_get_raw_public_key(key.get(), reinterpret_cast<unsigned char*>(raw.data()),
                                    &size) != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": key ", keys.keys_.size() + 1, " is not an Ed25519 key"));
    }
    keys.keys_[IdOf(key.get())] = raw;
    if (keys.keys_.size() > kMaxKeys)
      return absl::InvalidArgumentError(absl::StrCat(path, ": more than ", kMaxKeys, " keys"));
  }
  ERR_clear_error();
  return keys;
}

absl::Status ImageKeys::Check(const std::string& digest,
                              const std::vector<SignedDigest>& signatures) const {
  std::vector<std::string> reasons;
  const std::string text = Text(digest);
  for (const SignedDigest& one : signatures) {
    const auto trusted = keys_.find(one.key_id);
    if (trusted == keys_.end()) {
      reasons.push_back(absl::StrCat("key ", one.key_id.substr(0, 64), " is not trusted"));
      continue;
    }
    const Key key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, AsBytes(trusted->second),
                                              trusted->second.size()));
    const Hash hash(EVP_MD_CTX_new());
    if (one.signature.size() == kSignatureBytes && key != nullptr && hash != nullptr &&
        EVP_DigestVerifyInit(hash.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
        EVP_DigestVerify(hash.get(), AsBytes(one.signature), one.signature.size(), AsBytes(text),
                         text.size()) == 1) {
      return absl::OkStatus();
    }
    ERR_clear_error();
    reasons.push_back(absl::StrCat("the signature of key ", one.key_id, " is wrong"));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "image ", digest,
      ": no trusted signature: ", reasons.empty() ? "it has none" : absl::StrJoin(reasons, "; ")));
}

absl::StatusOr<SignedDigest> SignDigest(const std::string& key_path, const std::string& digest) {
  const auto pem = ReadFile(key_path);
  if (!pem) return absl::InvalidArgumentError(absl::StrCat(key_path, ": cannot be read"));
  const Bytes in(BIO_new_mem_buf(pem->data(), static_cast<int>(pem->size())));
  const Key key(PEM_read_bio_PrivateKey(in.get(), nullptr, NoPassword, nullptr));
  ERR_clear_error();
  if (key == nullptr || EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519) {
    return absl::InvalidArgumentError(
        absl::StrCat(key_path, ": holds no Ed25519 private key without a password"));
  }
  SignedDigest out{.key_id = IdOf(key.get()), .signature = std::string(kSignatureBytes, '\0')};
  const std::string text = Text(digest);
  const Hash hash(EVP_MD_CTX_new());
  size_t size = out.signature.size();
  if (EVP_DigestSignInit(hash.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestSign(hash.get(), reinterpret_cast<unsigned char*>(out.signature.data()), &size,
                     AsBytes(text), text.size()) != 1) {
    return absl::InternalError(absl::StrCat(key_path, ": signing failed"));
  }
  return out;
}

absl::StatusOr<std::string> MakeImageKey(const std::string& path) {
  const Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  const Bytes secret(BIO_new(BIO_s_mem())), shown(BIO_new(BIO_s_mem()));
  if (key == nullptr ||
      PEM_write_bio_PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
          1 ||
      PEM_write_bio_PUBKEY(shown.get(), key.get()) != 1) {
    return absl::InternalError("making a key failed");
  }
  if (absl::Status status = WriteNew(path, secret.get(), 0600); !status.ok()) return status;
  if (absl::Status status = WriteNew(path + ".pub", shown.get(), 0644); !status.ok()) {
    unlink(path.c_str());
    return status;
  }
  return IdOf(key.get());
}

}  // namespace remuda
