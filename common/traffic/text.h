// Texts that go into headers, or are compared with what stands in them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/traffic/field_fault.h"

namespace remuda::traffic {

inline constexpr size_t kMaxTextBytes = 128;  // ELB quotas: the length of a rule's value

// At most `max_bytes`, no control characters.
void CheckText(const char* field, std::string_view text, size_t max_bytes, FieldFaults& out);

}  // namespace remuda::traffic
