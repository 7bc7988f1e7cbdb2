// Root may do a data directory's work for its owner, who runs the controller: what it makes there
// is then the owner's.
#pragma once

#include <absl/status/status.h>

#include <string>

namespace remuda {

// Gives `top` and all that is in it, if it is there, to the owner of `directory`. Nothing where
// this is not root, or root's directory. UNAVAILABLE names what cannot be given.
absl::Status GiveToOwner(const std::string& directory, const std::string& top);

}  // namespace remuda
