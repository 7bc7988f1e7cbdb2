#include "controller/core/door/validate_secrets.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <set>

#include "controller/core/door/secret_kind.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/names.h"

namespace remuda::core {
namespace {

bool IsLetterOrDigit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// [A-Za-z_][A-Za-z0-9_]* (POSIX.1-2017 section 8.1, with lower case).
bool IsEnvName(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return IsLetterOrDigit(c) || c == '_'; });
}

bool IsFileName(std::string_view name) {
  return !name.empty() && name.size() <= limits::kSecretFileNameBytes && name != "." &&
         name != ".." && std::all_of(name.begin(), name.end(), [](char c) {
           return IsLetterOrDigit(c) || c == '.' || c == '_' || c == '-';
         });
}

// What the references of one version have used up.
struct Used {
  std::set<std::string> variables;
  std::set<std::string> files;
};

void CheckDelivery(Violations& out, const FieldPath& at, const v1::SecretReference& reference,
                   const v1::LaunchTemplateVersion& value, Used& used) {
  switch (reference.delivery_case()) {
    case v1::SecretReference::kEnv:
      if (std::string fault = FaultOfEnvName(reference.env()); !fault.empty()) {
        out.Add(at / "env", std::move(fault));
      } else if (value.env().contains(reference.env())) {
        out.Add(at / "env", absl::StrCat(reference.env(), " is among the template's env already"));
      } else if (!used.variables.insert(reference.env()).second) {
        out.Add(at / "env", absl::StrCat(reference.env(), " is given by another secret already"));
      }
      return;
    case v1::SecretReference::kFile:
      if (!IsFileName(reference.file())) {
        out.Add(at / "file",
                absl::StrCat(Quoted(reference.file()), " must be 1-", limits::kSecretFileNameBytes,
                             " letters, digits, '.', '_' and '-', and not \".\" or \"..\""));
      } else if (!used.files.insert(reference.file()).second) {
        out.Add(at / "file",
                absl::StrCat(Quoted(reference.file()), " is given by another secret already"));
      }
      return;
    case v1::SecretReference::DELIVERY_NOT_SET:
      out.Add(at, "must say env or file: how the app is given it");
  }
}

}  // namespace

std::string FaultOfEnvName(std::string_view name) {
  if (!IsEnvName(name) || name.size() > limits::kEnvNameBytes) {
    return absl::StrCat("name ", Quoted(name), " must be [A-Za-z_][A-Za-z0-9_]*, at most ",
                        limits::kEnvNameBytes, " bytes");
  }
  if (name == "PORT" || name == "HOST" || name.starts_with("REMUDA_"))
    return absl::StrCat(std::string(name), " is set by the agent");
  return {};
}

void CheckSecrets(Violations& out, const FieldPath& at, const References& references,
                  v1::LaunchTemplateVersion& value) {
  CheckCount(out, at, value.secrets_size(), 0, limits::kSecretsAVersion);
  Used used;
  for (int i = 0; i < value.secrets_size(); ++i) {
    v1::SecretReference& reference = *value.mutable_secrets(i);
    const FieldPath name_at = at[i] / "secret";
    if (reference.secret().empty()) {
      out.Add(name_at, "must name a secret");
    } else if (NormalizeReference(out, name_at, kSecrets, *reference.mutable_secret()) &&
               references.draft.Find<v1::Secret>(reference.secret()) == nullptr) {
      out.Add(name_at, absl::StrCat("there is no ", FullName(kSecrets, reference.secret())));
    }
    CheckDelivery(out, at[i], reference, value, used);
  }
  const size_t bytes = SecretBytesOf(references.draft, value);
  if (bytes > limits::kSecretBytesAVersion) {
    out.Add(at, absl::StrCat("their values have ", bytes, " bytes together; at most ",
                             limits::kSecretBytesAVersion));
  }
}

size_t SecretBytesOf(const Draft& draft, const v1::LaunchTemplateVersion& value,
                     std::string_view changed, size_t changed_bytes) {
  std::set<std::string> named;
  for (const v1::SecretReference& reference : value.secrets()) named.insert(reference.secret());
  size_t bytes = 0;
  for (const std::string& id : named) {
    if (id == changed) {
      bytes += changed_bytes;
    } else if (const auto secret = draft.Find<v1::Secret>(id); secret != nullptr) {
      bytes += secret->value().size();
    }
  }
  return bytes;
}

}  // namespace remuda::core
