#include "controller/sessions/peer_address.h"

#include "common/traffic/address.h"

namespace remuda {

std::string PeerAddress(std::string_view peer) {
  for (const std::string_view scheme : {"ipv4:", "ipv6:"}) {
    if (peer.starts_with(scheme)) peer.remove_prefix(scheme.size());
  }
  std::string text;
  for (size_t i = 0; i < peer.size(); ++i) {
    const std::string_view escaped = peer.substr(i, 3);
    const bool opens = escaped == "%5B" || escaped == "%5b";
    const bool closes = escaped == "%5D" || escaped == "%5d";
    text += opens ? '[' : closes ? ']' : peer[i];
    if (opens || closes) i += escaped.size() - 1;
  }
  std::string address;
  uint16_t port = 0;
  return traffic::ParseEndpoint(text, address, port) ? traffic::CanonicalAddress(address) : "";
}

}  // namespace remuda
