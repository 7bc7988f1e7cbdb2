// What a controller is told of identities, by its flags.
#pragma once

#include <absl/time/time.h>

#include <string>
#include <vector>

#include "common/identity/authority.h"

namespace remuda {

inline constexpr absl::Duration kLeastLifetime = absl::Seconds(15);
inline constexpr absl::Duration kMostLifetime = absl::Hours(24 * 30);

struct IdentityOptions {
  // "HOST" or "HOST:PORT" by which others reach this controller: a DNS name or an address, and the
  // port of the API if it is another than that of --listen. The first is what tokens say.
  std::vector<std::string> advertise = {};
  std::string join_listen = "127.0.0.1:7443";
  // An authority that is given.
  std::string ca_certificate = {};
  std::string ca_key = {};
  // What is trusted beside it; alone where certificates are issued elsewhere.
  std::string ca_bundle = {};
  // The controller's own certificate, which is issued elsewhere.
  std::string tls_certificate = {};
  std::string tls_key = {};
  // How long certificates of programs are good: kLeastLifetime to kMostLifetime.
  absl::Duration certificate_lifetime = identity::kProgramLifetime;
  // Makes a token for an admin at the start.
  bool new_admin_token = false;

  bool is_external() const { return !tls_certificate.empty(); }
};

// An address as --advertise has it.
struct AdvertisedAddress {
  std::string host;  // without brackets
  std::string port;  // empty: not said
};
// False: it is none.
bool ParseAdvertised(const std::string& text, AdvertisedAddress& out);

// "HOST:PORT", with brackets where they belong.
std::string HostPort(const std::string& host, const std::string& port);

// Empty, or what is wrong: the flag's name first.
std::string CheckIdentityOptions(const IdentityOptions& options);

}  // namespace remuda
