#include "common/identity/renewal_proof.h"

namespace remuda::identity {
namespace {

using DigestPtr = std::unique_ptr<EVP_MD_CTX, tls::Freer<EVP_MD_CTX_free>>;

std::string Signed(std::string_view certificate_pem, std::string_view request_pem) {
  std::string text = "remuda-renew-v1\n";
  text += certificate_pem;
  text += request_pem;
  return text;
}

const EVP_MD* Digest(EVP_PKEY* key) {
  return EVP_PKEY_is_a(key, "ED25519") == 1 ? nullptr : EVP_sha256();
}

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

absl::StatusOr<std::string> MakeRenewalProof(EVP_PKEY* key, std::string_view certificate_pem,
                                             std::string_view request_pem) {
  const DigestPtr digest(EVP_MD_CTX_new());
  const std::string text = Signed(certificate_pem, request_pem);
  size_t size = 0;
  if (digest != nullptr &&
      EVP_DigestSignInit(digest.get(), nullptr, Digest(key), nullptr, key) == 1 &&
      EVP_DigestSign(digest.get(), nullptr, &size, Bytes(text), text.size()) == 1) {
    std::string proof(size, 0);
    if (EVP_DigestSign(digest.get(), reinterpret_cast<unsigned char*>(proof.data()), &size,
                       Bytes(text), text.size()) == 1) {
      proof.resize(size);
      return proof;
    }
  }
  return absl::InternalError("a proof cannot be signed: " + tls::TakeErrors());
}

bool IsRenewalProof(EVP_PKEY* key, std::string_view certificate_pem, std::string_view request_pem,
                    std::string_view proof) {
  const DigestPtr digest(EVP_MD_CTX_new());
  const std::string text = Signed(certificate_pem, request_pem);
  const bool is_proof =
      digest != nullptr &&
      EVP_DigestVerifyInit(digest.get(), nullptr, Digest(key), nullptr, key) == 1 &&
      EVP_DigestVerify(digest.get(), Bytes(proof), proof.size(), Bytes(text), text.size()) == 1;
  if (!is_proof) tls::TakeErrors();
  return is_proof;
}

}  // namespace remuda::identity
