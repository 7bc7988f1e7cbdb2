// Whose connections a listener's address takes.
#pragma once

#include <string>

namespace remuda::traffic {

// Whether two listeners of one port on these addresses would take each other's connections: they
// are the same address, or one is all addresses (empty, 0.0.0.0 or ::). IPv4 and its form in IPv6
// (::ffff:10.0.0.1) are the same. Text that is no address collides with everything.
bool AddressesCollide(const std::string& a, const std::string& b);

}  // namespace remuda::traffic
