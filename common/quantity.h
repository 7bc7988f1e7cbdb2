// Amounts as people write them in templates: memory ("256Mi") and processor ("500m", "0.5").
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string_view>

namespace remuda {

// Whole bytes with an optional unit Ki Mi Gi Ti (powers of 1024) or k M G T (of 1000). Above 0. The
// error says the value and the rule.
absl::StatusOr<int64_t> ParseMemoryBytes(std::string_view text);

// Cores ("2", "0.5", at most three decimals) or thousandths of one ("500m"), as thousandths. Above
// 0, at most 1,000,000.
absl::StatusOr<int64_t> ParseCpuMillis(std::string_view text);

}  // namespace remuda
