#include "common/identity/verify_chain.h"

#include <openssl/x509v3.h>

namespace remuda::identity {
namespace {

using StorePtr = std::unique_ptr<X509_STORE, tls::Freer<X509_STORE_free>>;
using VerifierPtr = std::unique_ptr<X509_STORE_CTX, tls::Freer<X509_STORE_CTX_free>>;

absl::Status OpenSslFailed() { return absl::InternalError(tls::TakeErrors()); }

}  // namespace

absl::Status VerifyChain(X509* leaf, STACK_OF(X509) * others, STACK_OF(X509) * authorities,
                         ChainUse use, absl::Time when) {
  const StorePtr store(X509_STORE_new());
  const VerifierPtr verifier(X509_STORE_CTX_new());
  if (store == nullptr || verifier == nullptr) return OpenSslFailed();
  for (int i = 0; i < sk_X509_num(authorities); ++i) {
    if (X509_STORE_add_cert(store.get(), sk_X509_value(authorities, i)) != 1)
      return OpenSslFailed();
  }
  if (X509_STORE_CTX_init(verifier.get(), store.get(), leaf, others) != 1) return OpenSslFailed();
  X509_STORE_CTX_set_time(verifier.get(), 0, absl::ToTimeT(when));
  X509_STORE_CTX_set_purpose(
      verifier.get(), use == ChainUse::kServer ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT);
  if (X509_verify_cert(verifier.get()) == 1) return absl::OkStatus();
  const int error = X509_STORE_CTX_get_error(verifier.get());
  tls::TakeErrors();
  return absl::InvalidArgumentError(std::string("the certificate is not good: ") +
                                    X509_verify_cert_error_string(error));
}

absl::Status VerifyChain(std::string_view chain_pem, std::string_view authorities_pem, ChainUse use,
                         absl::Time when) {
  tls::ChainPtr chain, authorities;
  std::string error;
  if (!tls::ReadCertificates(chain_pem, kMaxChainLength, chain, error))
    return absl::InvalidArgumentError("the certificate: " + error);
  if (!tls::ReadCertificates(authorities_pem, kMaxChainLength, authorities, error))
    return absl::InvalidArgumentError("the authorities: " + error);
  return VerifyChain(sk_X509_value(chain.get(), 0), chain.get(), authorities.get(), use, when);
}

absl::StatusOr<tls::KeyPtr> PublicKeyOf(std::string_view pem) {
  tls::ChainPtr chain;
  std::string error;
  if (!tls::ReadCertificates(pem, kMaxChainLength, chain, error))
    return absl::InvalidArgumentError(error);
  tls::KeyPtr key(X509_get_pubkey(sk_X509_value(chain.get(), 0)));
  if (key == nullptr) return absl::InvalidArgumentError(tls::TakeErrors());
  return key;
}

}  // namespace remuda::identity
