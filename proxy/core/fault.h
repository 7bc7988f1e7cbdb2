// The vocabulary of config checks: each fault names the field, the value and the rule.
#pragma once

#include <google/protobuf/duration.pb.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace remuda::proxy {

// Nothing, or what is wrong ("health_check.path: 'x' does not start with '/'").
using Fault = std::optional<std::string>;

// Puts `where` before a fault, if there is one.
Fault Prefix(const std::string& where, Fault fault);

// For a value in an error: quoted, cut at 128 bytes.
std::string Quote(std::string_view text);

std::string LowerCase(std::string_view text);

// All of `text` as a decimal number; false if it is not one.
bool ParseInt(std::string_view text, int& out);

// "targetGroups/blue" or "blue" to "blue"; false if it is neither, or not a resource id.
bool NormalizeId(std::string_view name, std::string_view collection, std::string& id);

struct DurationRule {
  std::string_view field;
  std::chrono::milliseconds min, max;
};
// Leaves `out` as it is (the default) when `is_set` is false.
Fault TakeDuration(bool is_set, const google::protobuf::Duration& value, const DurationRule& rule,
                   std::chrono::milliseconds& out);

Fault CheckRange(std::string_view field, int64_t value, int64_t min, int64_t max);

// What goes into a header of ours, or is compared with one: bounded, no control characters.
Fault CheckText(std::string_view field, std::string_view text, size_t max_bytes);

}  // namespace remuda::proxy
