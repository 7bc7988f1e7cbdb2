// Addresses that a row tells as text. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace remuda::core {

// The IP addresses in a text that lists them with commas between, each in its one spelling; without
// those of loopback, which is let in everywhere.
std::vector<std::string> AddressesIn(std::string_view text);

}  // namespace remuda::core
