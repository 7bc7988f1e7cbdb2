// Private keys of identities, and requests for certificates for them. Keys are made where they are
// used; only requests travel. No I/O. Any thread.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "common/tls/openssl.h"

namespace remuda::identity {

inline constexpr size_t kMaxRequestPemBytes = 16 * 1024;
inline constexpr size_t kMaxKeyPemBytes = 16 * 1024;

// A new ECDSA P-256 key. INTERNAL: OpenSSL made none.
absl::StatusOr<tls::KeyPtr> MakeKey();
// PEM (PKCS #8), not encrypted.
absl::StatusOr<std::string> KeyPem(EVP_PKEY* key);
absl::StatusOr<tls::KeyPtr> ReadKey(std::string_view pem);

// PEM (PKCS #10). It says nothing but the key: whoever issues the certificate says whose it is.
absl::StatusOr<std::string> MakeCertificateRequest(EVP_PKEY* key);
// The key of a request that it has signed itself: ECDSA P-256 or P-384, or Ed25519.
// INVALID_ARGUMENT: what is wrong.
absl::StatusOr<tls::KeyPtr> ReadCertificateRequest(std::string_view pem);

}  // namespace remuda::identity
