// The address in gRPC's name of a connection. Pure.
#pragma once

#include <string>
#include <string_view>

namespace remuda {

// The IP address of `10.0.0.1:80`, `[::1]:80`, `ipv4:10.0.0.1:80` or `ipv6:%5B::1%5D:80`, in its
// one spelling; empty: there is none.
std::string PeerAddress(std::string_view peer);

}  // namespace remuda
