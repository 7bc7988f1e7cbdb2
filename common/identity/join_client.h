// How a program without a certificate, or with one that is over, gets one from a controller's join
// endpoint. Blocks; any thread.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <string>
#include <vector>

#include "common/identity/identity_files.h"

namespace remuda::identity {

// For all of it: resolving, connecting, the handshake, the answer.
inline constexpr absl::Duration kJoinTimeout = absl::Seconds(20);

struct JoinOptions {
  // HOST:PORT, or several with commas between: the first that can be reached is asked.
  std::string address;
  std::string pin;  // "sha256:" and 64 hex digits: the only authority that is believed
  std::string token;
  v1::IdentityRole role = v1::IDENTITY_ROLE_UNSPECIFIED;
  std::string name;
  // If set, a controller of another cluster is not told the token.
  std::string only_cluster = {};
  absl::Duration timeout = kJoinTimeout;
};

// What a join, or a renewal, brought.
struct Joined {
  Peer peer;
  std::string key_pem;
  std::string certificate_pem;
  std::string authorities_pem;
  std::vector<std::string> controllers;  // HOST:PORT of the API
  std::string join_address = {};         // HOST:PORT of the join endpoint that has answered
};

// Makes a key, and has the controller certify it. The token is shown only to a controller that an
// authority with the pin has certified. UNAVAILABLE: it cannot be reached; UNAUTHENTICATED: it is
// not the one of the pin; PERMISSION_DENIED and others: what it answered.
absl::StatusOr<Joined> Join(const JoinOptions& options);

// Puts it where a program looks for it, with the place where it came from.
absl::Status SaveJoined(const std::string& directory, const Joined& joined);

// Where the controllers' API was when it was joined, or renewed there last; empty: not known.
std::vector<std::string> JoinedControllers(const IdentityFiles& files);

// Where one asks to have a certificate renewed that is over, besides where it was joined.
struct RenewalPlaces {
  std::vector<std::string> given = {};  // HOST:PORT of APIs, as --controller has them
  std::string file = {};                // of ControllerAddresses: what was learned since
};
// At most so many are asked.
inline constexpr size_t kMaxRenewalPlaces = 32;

// Has a certificate that is over renewed, and puts it there (Renewer::Options): where it was joined
// or, where that cannot be reached or is somebody else's now, at the same port of the controllers
// that are known. `is_stopping` is asked before each; then CANCELLED. FAILED_PRECONDITION: where it
// was joined is not known.
absl::Status RenewExpired(const IdentityFiles& files, const RenewalPlaces& places,
                          const std::function<bool()>& is_stopping);

// Whether `text` is a pin.
bool IsPin(const std::string& text);

}  // namespace remuda::identity
