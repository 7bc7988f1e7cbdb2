// Listeners and rules as the command line names them: `shop/8080` and `shop/8080/admin`, or by
// their full names. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "cli/kinds.h"

namespace remuda::cli {

bool IsPart(KindId kind);

// `shop/8080` from that or from `loadBalancers/shop/listeners/8080`, of any depth up to the kind's:
// `shop` means all listeners of it. INVALID_ARGUMENT shows how one is named.
absl::StatusOr<std::string> ParsePartId(KindId kind, std::string_view word);

// Whether the id names one, not all of what is in it.
bool IsOnePart(KindId kind, std::string_view id);

// `shop/8080` → `loadBalancers/shop/listeners/8080`.
std::string PartFullName(std::string_view id);
// For a list of those that the id (not of one) holds: `shop` → `loadBalancers/shop`, of rules
// `loadBalancers/shop/listeners/-`; empty: all.
std::string PartParent(KindId kind, std::string_view id);
// `loadBalancers/shop/listeners/8080` → `shop/8080`.
std::string PartId(std::string_view full_name);
// `shop/8080/admin` → `shop/8080`.
std::string ParentId(std::string_view id);

}  // namespace remuda::cli
