// Which rows are sealed: those of kinds whose messages can hold a field with the mark
// `(remuda.v1.sensitive)`, or any message at all (answers that are kept). Pure.
#pragma once

#include <string>
#include <string_view>

#include "controller/core/model/state.h"

namespace remuda {

// False for numbers that are no kind.
bool IsSealedKind(core::Kind kind);

// What a row is bound to when it is sealed, also its name in errors: `kind 20, key db-password`.
std::string PlaceOfRow(core::Kind kind, std::string_view key);

}  // namespace remuda
