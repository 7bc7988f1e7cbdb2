#include "controller/identity/authority_files.h"

#include "common/identity/identity_files.h"
#include "common/identity/key.h"

namespace remuda {

using identity::Authority;

AuthorityFiles AuthorityFilesIn(const std::string& directory) {
  return {.certificates = directory + "/ca.pem", .key = directory + "/ca.key"};
}

absl::StatusOr<Authority> LoadAuthority(const AuthorityFiles& files) {
  auto certificates = identity::ReadSmallFile(files.certificates, identity::kMaxIdentityFileBytes);
  if (!certificates.ok()) return certificates.status();
  auto key = identity::ReadSmallFile(files.key, identity::kMaxKeyPemBytes);
  if (!key.ok()) return key.status();
  if (absl::Status status = identity::CheckPrivate(files.key); !status.ok()) return status;
  auto authority = Authority::Load(*certificates, *key);
  if (authority.ok()) return authority;
  return absl::Status(authority.status().code(), files.certificates + ", " + files.key + ": " +
                                                     std::string(authority.status().message()));
}

absl::StatusOr<Authority> LoadOrMakeAuthority(const AuthorityFiles& files,
                                              const std::string& cluster, absl::Time now) {
  const auto certificates =
      identity::ReadSmallFile(files.certificates, identity::kMaxIdentityFileBytes);
  if (certificates.ok()) {
    auto authority = LoadAuthority(files);
    if (authority.status().code() != absl::StatusCode::kNotFound) return authority;
    return absl::FailedPreconditionError(
        files.key + ": is not there, and " + files.certificates +
        " is: put the key back; or remove the certificate too, and have every host, proxy and "
        "person join anew");
  }
  if (certificates.status().code() != absl::StatusCode::kNotFound) return certificates.status();
  // A key without a certificate was left by a start that did not end: nothing was signed with it.
  auto made = Authority::Make(cluster, now);
  if (!made.ok()) return made;
  auto key = made->KeyPem();
  if (!key.ok()) return key.status();
  if (absl::Status status = identity::WritePrivateFile(files.key, *key); !status.ok())
    return status;
  if (absl::Status status =
          identity::WritePrivateFile(files.certificates, made->certificates_pem());
      !status.ok())
    return status;
  return made;
}

}  // namespace remuda
