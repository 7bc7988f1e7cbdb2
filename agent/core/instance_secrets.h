// What an instance is given of secrets: values of its assignment, by the ways its launch template
// names. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <string>

#include "remuda/agent/v1/agent.pb.h"

namespace remuda::agent {

struct InstanceSecrets {
  std::map<std::string, std::string> env;    // by name of the variable
  std::map<std::string, std::string> files;  // by name of the file
};

// FAILED_PRECONDITION: a value was not sent, or cannot be what it shall be: an environment variable
// is UTF-8 text without NUL. The text names secret and version, never a value.
absl::StatusOr<InstanceSecrets> SecretsOf(const v1::InstanceAssignment& assigned);

}  // namespace remuda::agent
