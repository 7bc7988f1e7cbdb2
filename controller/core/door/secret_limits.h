// Limits of secrets; beside controller/core/model/limits.h.
#pragma once

#include <cstddef>

namespace remuda::core::limits {

// A value; secret.proto.
inline constexpr size_t kSecretBytes = 64 * 1024;
// What an instance is given of secrets: an assignment holds them all.
inline constexpr size_t kSecretBytesAVersion = 256 * 1024;
inline constexpr int kSecretsAVersion = 50;  // launch_template.proto
inline constexpr size_t kSecretFileNameBytes = 64;
inline constexpr size_t kSecrets = 5'000;  // of a cluster

}  // namespace remuda::core::limits
