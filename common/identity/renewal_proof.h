// How who had an identity proves that it has its key still, after its certificate is over
// (remuda.join.v1.RenewRequest.proof). Pure. Any thread.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "common/tls/openssl.h"

namespace remuda::identity {

// INTERNAL: OpenSSL could not sign.
absl::StatusOr<std::string> MakeRenewalProof(EVP_PKEY* key, std::string_view certificate_pem,
                                             std::string_view request_pem);
bool IsRenewalProof(EVP_PKEY* key, std::string_view certificate_pem, std::string_view request_pem,
                    std::string_view proof);

}  // namespace remuda::identity
