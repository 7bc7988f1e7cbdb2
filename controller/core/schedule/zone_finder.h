// Where the core has the rules of time zones from: reading them is I/O, which is the shell's.
#pragma once

#include <absl/time/time.h>

#include <optional>
#include <string_view>

namespace remuda::core {

// The zone of an IANA name ("Europe/Berlin"); none if there is no such zone. "UTC" is always there.
// The answer for a name may change only with a new release of the zones' rules.
using ZoneFinder = std::optional<absl::TimeZone> (*)(std::string_view name);

}  // namespace remuda::core
