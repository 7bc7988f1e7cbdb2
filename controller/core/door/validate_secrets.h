// What a launch template version may say of secrets, and the names of environment variables. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "controller/core/door/validate.h"

namespace remuda::core {

// What is wrong with the name of a variable that a template sets; empty if nothing is.
std::string FaultOfEnvName(std::string_view name);

// References become ids. Also that no two things share a variable or a file.
void CheckSecrets(Violations& out, const FieldPath& at, const References& references,
                  v1::LaunchTemplateVersion& value);

// Bytes of the values that the version names, each once; of `changed` (an id) `changed_bytes`
// instead of what it has.
size_t SecretBytesOf(const Draft& draft, const v1::LaunchTemplateVersion& value,
                     std::string_view changed = {}, size_t changed_bytes = 0);

}  // namespace remuda::core
