// Authority: the cluster's certificate authority: issues certificates that say who their holders
// are. No I/O; time is an argument. Immutable; any thread.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/identity/spiffe_id.h"
#include "common/tls/openssl.h"

namespace remuda::identity {

// A certificate begins so long before it was issued, for clocks that are behind. By it the time of
// issue is known from a certificate alone.
inline constexpr absl::Duration kBackdate = absl::Minutes(1);
inline constexpr absl::Duration kProgramLifetime = absl::Hours(24);
// A person's: what it may do stands in its User and can be taken back at once; so the certificate
// may outlive a holiday. `remuda` renews it while it is used.
inline constexpr absl::Duration kPersonLifetime = absl::Hours(24 * 30);
inline constexpr absl::Duration kAuthorityLifetime = absl::Hours(24 * 3650);
inline constexpr size_t kMaxNames = 64;  // DNS names and addresses of one certificate

// What a certificate shall say.
struct IssueRequest {
  SpiffeId id;
  // Of a controller: how it is reached. Others have none.
  std::vector<std::string> dns_names = {};
  std::vector<std::string> addresses = {};  // IPv4 or IPv6
  absl::Time now;
  absl::Duration lifetime = kProgramLifetime;
};

class Authority {
 public:
  // A new one: a root for `cluster` with a key of its own.
  static absl::StatusOr<Authority> Make(std::string_view cluster, absl::Time now);
  // One that is given. `certificates_pem`: the certificate that signs, then those between it and
  // the root, then the root; `key_pem`: its key. INVALID_ARGUMENT: what is wrong with them.
  static absl::StatusOr<Authority> Load(std::string_view certificates_pem,
                                        std::string_view key_pem);

  // A certificate for the public key of `key`, PEM, followed by those between it and the root. It
  // ends no later than the authority's own. INVALID_ARGUMENT: a name is none; FAILED_PRECONDITION:
  // the authority's certificate is over.
  absl::StatusOr<std::string> Issue(EVP_PKEY* key, const IssueRequest& request) const;

  // PEM: what to trust: the root.
  const std::string& bundle_pem() const { return bundle_pem_; }
  // PEM: as Load takes them.
  const std::string& certificates_pem() const { return certificates_pem_; }
  absl::StatusOr<std::string> KeyPem() const;
  absl::Time expire_time() const { return expire_time_; }

 private:
  Authority() = default;

  std::shared_ptr<X509> certificate_;
  std::shared_ptr<EVP_PKEY> key_;
  std::string chain_pem_;  // that signs, up to but without the root; empty if the root signs
  std::string bundle_pem_;
  std::string certificates_pem_;
  absl::Time expire_time_;
};

// "sha256:" and 64 hex digits, of the first certificate in `pem`; how a person knows an authority.
absl::StatusOr<std::string> PinOf(std::string_view pem);
std::string PinOf(const X509* certificate);

}  // namespace remuda::identity
