#include "common/identity/key.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>

#include <array>

namespace remuda::identity {
namespace {

using RequestPtr = std::unique_ptr<X509_REQ, tls::Freer<X509_REQ_free>>;

absl::Status KeyFailed(const std::string& what) {
  return absl::InternalError(what + ": " + tls::TakeErrors());
}

absl::StatusOr<std::string> TextOf(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  if (size <= 0) return KeyFailed("PEM cannot be written");
  return std::string(data, static_cast<size_t>(size));
}

bool IsAllowedKey(EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "ED25519") == 1) return true;
  if (EVP_PKEY_is_a(key, "EC") != 1) return false;
  std::array<char, 64> group{};
  if (EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) != 1) return false;
  const std::string_view name(group.data());
  return name == "prime256v1" || name == "P-256" || name == "secp384r1" || name == "P-384";
}

// No key here is encrypted: nobody is asked for a password at a terminal.
int NoPassword(char*, int, int, void*) { return -1; }

}  // namespace

absl::StatusOr<tls::KeyPtr> MakeKey() {
  tls::KeyPtr key(EVP_EC_gen("P-256"));
  if (key == nullptr) return KeyFailed("a key cannot be made");
  return key;
}

absl::StatusOr<std::string> KeyPem(EVP_PKEY* key) {
  const tls::BioPtr bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr ||
      PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return KeyFailed("the key cannot be written");
  return TextOf(bio.get());
}

absl::StatusOr<tls::KeyPtr> ReadKey(std::string_view pem) {
  if (pem.size() > kMaxKeyPemBytes)
    return absl::InvalidArgumentError("the key is over " + std::to_string(kMaxKeyPemBytes) +
                                      " bytes");
  const tls::BioPtr bio = tls::ReadOnly(pem);
  tls::KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, &NoPassword, nullptr));
  if (key == nullptr)
    return absl::InvalidArgumentError("holds no private key (PEM, not encrypted): " +
                                      tls::TakeErrors());
  return key;
}

absl::StatusOr<std::string> MakeCertificateRequest(EVP_PKEY* key) {
  const RequestPtr request(X509_REQ_new());
  const EVP_MD* const digest = EVP_PKEY_is_a(key, "ED25519") == 1 ? nullptr : EVP_sha256();
  if (request == nullptr || X509_REQ_set_pubkey(request.get(), key) != 1 ||
      X509_REQ_sign(request.get(), key, digest) == 0)
    return KeyFailed("a certificate request cannot be made");
  const tls::BioPtr bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1)
    return KeyFailed("a certificate request cannot be written");
  return TextOf(bio.get());
}

absl::StatusOr<tls::KeyPtr> ReadCertificateRequest(std::string_view pem) {
  if (pem.size() > kMaxRequestPemBytes)
    return absl::InvalidArgumentError("the certificate request is over " +
                                      std::to_string(kMaxRequestPemBytes) + " bytes");
  const tls::BioPtr bio = tls::ReadOnly(pem);
  const RequestPtr request(PEM_read_bio_X509_REQ(bio.get(), nullptr, &NoPassword, nullptr));
  if (request == nullptr)
    return absl::InvalidArgumentError("holds no certificate request (PEM, PKCS #10): " +
                                      tls::TakeErrors());
  tls::KeyPtr key(X509_REQ_get_pubkey(request.get()));
  if (key == nullptr)
    return absl::InvalidArgumentError("the certificate request's key cannot be read: " +
                                      tls::TakeErrors());
  if (!IsAllowedKey(key.get()))
    return absl::InvalidArgumentError(
        "the certificate request's key must be ECDSA P-256 or P-384, or Ed25519");
  if (X509_REQ_verify(request.get(), key.get()) != 1) {
    tls::TakeErrors();
    return absl::InvalidArgumentError("the certificate request is not signed by its own key");
  }
  return key;
}

}  // namespace remuda::identity
