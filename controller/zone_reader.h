// Reads the rules of time zones from the machine's files (tzdata).
#pragma once

#include <absl/time/time.h>

#include <optional>
#include <string_view>

namespace remuda {

// As core's ZoneFinder: the zone of an IANA name, none if the machine has no such file. Each is
// read once. Thread: any.
std::optional<absl::TimeZone> ReadZone(std::string_view name);

}  // namespace remuda
