// Bounds of what agents and proxies report, by name. The names appear in the errors of what meets
// them.
#pragma once

#include <cstddef>

namespace remuda::limits {

// Instances that a host may say it has, as many as its agent has ports to give; ids that nobody
// assigned count too.
inline constexpr size_t kMaxReportedInstances = 16'384;
// Means of containment that it may say it lacks.
inline constexpr size_t kMaxHostLacks = 64;
// A text for people: what is longer is cut.
inline constexpr size_t kMaxReportTextBytes = 1024;
// Memory that a message may take once it is parsed: a byte on the wire becomes up to a hundred. It
// is looked at before, of messages that are larger than kSmallReportBytes.
inline constexpr size_t kMaxParsedReportBytes = size_t{64} << 20;
inline constexpr size_t kSmallReportBytes = size_t{64} << 10;

}  // namespace remuda::limits
