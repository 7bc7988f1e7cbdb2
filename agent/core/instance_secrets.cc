#include "agent/core/instance_secrets.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <string_view>

#include "common/utf8.h"

namespace remuda::agent {
namespace {

// Why the value cannot be an environment variable; empty if it can.
std::string FaultOfText(std::string_view value) {
  if (value.find('\0') != std::string_view::npos) return "it holds a NUL byte";
  if (!IsUtf8(value)) return "it is not UTF-8 text";
  return {};
}

}  // namespace

absl::StatusOr<InstanceSecrets> SecretsOf(const v1::InstanceAssignment& assigned) {
  InstanceSecrets out;
  for (const auto& reference : assigned.launch_template().secrets()) {
    const auto sent = std::find_if(
        assigned.secrets().begin(), assigned.secrets().end(),
        [&](const v1::SecretValue& value) { return value.secret() == reference.secret(); });
    if (sent == assigned.secrets().end()) {
      return absl::FailedPreconditionError(
          absl::StrCat("secret \"", reference.secret(), "\": the controller sent no value of it"));
    }
    if (!reference.file().empty()) {
      const std::string& file = reference.file();
      if (file == "." || file == ".." ||
          file.find_first_of(std::string_view("/\0", 2)) != std::string::npos) {
        return absl::FailedPreconditionError(absl::StrCat(
            "secret \"", reference.secret(), "\": \"", ValidUtf8(file), "\" is not a file's name"));
      }
      out.files[file] = sent->value();
      continue;
    }
    if (const std::string fault = FaultOfText(sent->value()); !fault.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("secret \"", reference.secret(), "\" version ", sent->version(),
                       ": cannot be the environment variable ", reference.env(), ": ", fault,
                       "; give it as a file, or set another value"));
    }
    out.env[reference.env()] = sent->value();
  }
  return out;
}

}  // namespace remuda::agent
