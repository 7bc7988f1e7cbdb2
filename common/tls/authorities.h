// The authorities of a `ca_pem`: those that sign clients' certificates, or targets'. The
// controller's door and the proxy read them with this.
#pragma once

#include <string>
#include <string_view>

#include "common/tls/openssl.h"

namespace remuda::tls {

inline constexpr size_t kMaxCaPemBytes = 256 * 1024;
inline constexpr size_t kMaxCaCertificates = 500;

// 1-kMaxCaCertificates PEM certificates, in order. On failure false, with what is wrong in `error`.
bool ReadAuthorities(std::string_view pem, ChainPtr& out, std::string& error);

}  // namespace remuda::tls
