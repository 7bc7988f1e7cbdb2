// Authorities as others would give them, for tests.
#pragma once

#include <absl/time/time.h>

#include <string>

#include "common/identity/authority.h"

namespace remuda::identity {

struct GivenAuthority {
  std::string certificates_pem;  // as Authority::Load takes them
  std::string key_pem;
};
// One that `root` has signed.
GivenAuthority MakeIntermediate(const Authority& root, absl::Time now);

// A file, 0600.
void WriteFile(const std::string& path, const std::string& bytes);

}  // namespace remuda::identity
