// What a certificate of this system says of its holder. Pure. Any thread.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>
#include <string_view>

#include "common/identity/spiffe_id.h"
#include "common/tls/openssl.h"

namespace remuda::identity {

struct Peer {
  SpiffeId id;
  std::string serial;  // lowercase hex digits, no leading zeros
  absl::Time issue_time;
  absl::Time expire_time;
};

// INVALID_ARGUMENT: it is none of ours: no URI in its subjectAltName or several, not a SPIFFE id of
// the form that we use, or an authority's. Does not check who signed it.
absl::StatusOr<Peer> ReadPeer(const X509* certificate);
// The first certificate in `pem`.
absl::StatusOr<Peer> ReadPeer(std::string_view pem);

// When a certificate is to be renewed: after two thirds of its life, less up to a twentieth of it
// (`jitter` 0-1), so that those that were issued together do not come together.
absl::Time RenewalTime(const Peer& peer, double jitter);

absl::Time TimeOf(const ASN1_TIME* time);

}  // namespace remuda::identity
