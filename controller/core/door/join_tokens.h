// What a token to join with is good for, as its row says it.
//
// Pure functions of a row; any thread.
// What refuses one: it is for another role or name, used up, over; or it is for several uses and
// older than a revocation of the identity that shows it.
#pragma once

#include <absl/time/time.h>

#include <string_view>

#include "remuda/v1/identity.pb.h"

namespace remuda::core {
namespace limits {

// identity.proto: JoinToken.max_uses.
inline constexpr int kMaxJoinTokenUses = 10'000;
// The longest life of a token of several uses.
inline constexpr absl::Duration kMaxSharedJoinTokenLife = absl::Hours(24 * 365);

}  // namespace limits

// Whether it was used as often as it may be. Rows of before there were tokens of several uses have
// no counts: used once they are used up.
bool IsUsedUp(const v1::JoinToken& token);

// Whether its subject is `PREFIX*`.
bool IsForSeveralNames(const v1::JoinToken& token);

// Whether one of that name may join with it: the subject itself, or with `PREFIX*` any name that
// begins so and is longer.
bool IsForName(const v1::JoinToken& token, std::string_view name);

}  // namespace remuda::core
