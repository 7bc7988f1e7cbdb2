// IP addresses as text. Thread: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace remuda::traffic {

// The one spelling of an address: IPv4 dotted, also for its form in IPv6 (::ffff:10.0.0.1); IPv6 as
// RFC 5952 writes it. Empty: it is no address.
std::string CanonicalAddress(const std::string& text);

// `10.0.0.1:80`, `[2001:db8::1]:80`.
std::string EndpointText(std::string_view address, int port);

// The id of a target that has no other: its EndpointText, of an address in its one spelling, so
// that two are not two targets. One that is no address stays as it is.
std::string TargetIdOf(const std::string& address, int port);

// The two parts of EndpointText; the address may be a name, and the port 0. An IPv6 address must
// stand in brackets: 2001:db8::1:8080 is an address of its own. False: it is none.
bool ParseEndpoint(std::string_view text, std::string& address, uint16_t& port);

}  // namespace remuda::traffic
