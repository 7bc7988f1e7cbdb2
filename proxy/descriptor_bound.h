// How many descriptors the process may have, and what that leaves for connections.
#pragma once

#include <sys/resource.h>

#include <cstddef>

#include "proxy/io/settings.h"

namespace remuda::proxy {

// Takes all descriptors that the system allows. How many; 0: it is not known.
rlim_t RaiseDescriptorLimit();

// Bounds the connections by the descriptors: two for each client, and a reserve that keeps admin
// pages, checks and the controller's stream working when clients have used up the rest. Pipes take
// what clients leave, and at most half of the reserve.
void BoundByDescriptors(Settings& settings, size_t workers);

}  // namespace remuda::proxy
