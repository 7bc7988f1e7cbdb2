#include "controller/standby/shared_authority.h"

#include "common/identity/identity_files.h"
#include "common/identity/key.h"
#include "common/private_directory.h"
#include "controller/identity/authority_files.h"

namespace remuda {
namespace {

using identity::Authority;

constexpr char kBegin[] = "-----BEGIN ";

// The key is the last of the PEM blocks.
absl::StatusOr<Authority> Parse(const std::string& shared) {
  const size_t key = shared.rfind(kBegin);
  if (key == std::string::npos || key == 0)
    return absl::InternalError("the store's shared authority has no certificate and key");
  auto authority = Authority::Load(shared.substr(0, key), shared.substr(key));
  if (authority.ok()) return authority;
  return absl::Status(authority.status().code(),
                      "the store's shared authority: " + std::string(authority.status().message()));
}

absl::Status Write(const AuthorityFiles& files, const Authority& authority) {
  auto key = authority.KeyPem();
  if (!key.ok()) return key.status();
  if (absl::Status status = identity::WritePrivateFile(files.key, *key); !status.ok())
    return status;
  return identity::WritePrivateFile(files.certificates, authority.certificates_pem());
}

absl::Status CheckSame(const AuthorityFiles& files, const Authority& held,
                       const Authority& shared) {
  if (held.certificates_pem() == shared.certificates_pem()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      files.certificates +
      ": is another authority than the one that the controllers share in the store. If it is of "
      "another cluster, this is the wrong --data-dir or the wrong --store; else remove ca.pem and "
      "ca.key there");
}

absl::Status MakeDirectory(const std::string& directory) {
  return MakePrivateDirectory(directory, "identity.pem", "identity directory").status();
}

absl::Status Adopt(const std::string& text, const std::string& directory) {
  auto shared = Parse(text);
  if (!shared.ok()) return shared.status();
  if (absl::Status status = MakeDirectory(directory); !status.ok()) return status;
  const AuthorityFiles files = AuthorityFilesIn(directory);
  auto held = LoadAuthority(files);
  if (held.ok()) return CheckSame(files, *held, *shared);
  if (held.status().code() != absl::StatusCode::kNotFound) return held.status();
  return Write(files, *shared);
}

}  // namespace

absl::StatusOr<bool> TakeSharedAuthority(Store& store, const std::string& directory) {
  const auto shared = store.ReadShared(kSharedAuthority);
  if (!shared.ok()) return shared.status();
  if (!shared->has_value()) return false;
  if (absl::Status status = Adopt(**shared, directory); !status.ok()) return status;
  return true;
}

absl::Status ShareAuthority(Store& store, const std::string& directory, const std::string& cluster,
                            absl::Time now) {
  const auto taken = TakeSharedAuthority(store, directory);
  if (!taken.ok() || *taken) return taken.status();
  if (absl::Status status = MakeDirectory(directory); !status.ok()) return status;
  auto made = LoadOrMakeAuthority(AuthorityFilesIn(directory), cluster, now);
  if (!made.ok()) return made.status();
  auto key = made->KeyPem();
  if (!key.ok()) return key.status();
  const auto agreed = store.AgreeShared(kSharedAuthority, made->certificates_pem() + *key);
  return agreed.ok() ? Adopt(*agreed, directory) : agreed.status();
}

}  // namespace remuda
