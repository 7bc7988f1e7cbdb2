// Where strangers come from: what counts as one address of theirs, where so many things are allowed
// from one. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace remuda {

// Of "ADDRESS:PORT": the IPv4 address, or the /64 network of an IPv6 one, which is what one
// customer has of it: "10.0.0.1", "2001:db8::/64". An IPv4 address within IPv6 is one.
std::string NetworkOf(std::string_view address);

// "ADDRESS:PORT" at the other end of a socket; "unknown" where it has gone.
std::string AddressOfPeer(int fd);

}  // namespace remuda
