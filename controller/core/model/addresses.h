// Addresses that a row tells as text. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "remuda/v1/cluster.pb.h"

namespace remuda::core {

// The IP addresses in a text that lists them with commas between, each in its one spelling; without
// those of loopback, which is let in everywhere.
std::vector<std::string> AddressesIn(std::string_view text);

// Those of a proxy, from which hosts are reached. A row of before they had a field of their own
// lists them in `address`.
std::vector<std::string> AddressesOf(const v1::Proxy& proxy);

}  // namespace remuda::core
