// Whether a certificate leads to an authority that is trusted. Pure. Any thread.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>
#include <string_view>

#include "common/tls/openssl.h"

namespace remuda::identity {

// Certificates that a chain, or a bundle of authorities, has at most.
inline constexpr size_t kMaxChainLength = 16;

enum class ChainUse { kServer, kClient };

// INVALID_ARGUMENT: why the first certificate of `chain_pem` is not good at `when`, by those after
// it and `authorities_pem`.
absl::Status VerifyChain(std::string_view chain_pem, std::string_view authorities_pem, ChainUse use,
                         absl::Time when);
// The same for certificates that are read already. `others` are those that may lie between.
absl::Status VerifyChain(X509* leaf, STACK_OF(X509) * others, STACK_OF(X509) * authorities,
                         ChainUse use, absl::Time when);

// Of the first certificate in `pem`.
absl::StatusOr<tls::KeyPtr> PublicKeyOf(std::string_view pem);

}  // namespace remuda::identity
