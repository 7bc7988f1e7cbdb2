// Who is shut out: what commands on users and on revocations share. Pure.
#pragma once

#include <string>

#include "controller/core/door/execute.h"

namespace remuda::core {

// Writes the (checked) revocation, and takes tokens away that its identity could join with. Answers
// its key.
std::string ShutOut(Draft& draft, const Context& context, v1::Revocation revocation);

// "viewer", "deployer", "operator", "admin"; "" for no role.
std::string RoleText(v1::UserRole role);

}  // namespace remuda::core
