// What is constant about secrets as a kind of resource, and what of them callers see. Included
// before the templates of rows.h and done.h are used for them. Pure.
#pragma once

#include "controller/core/door/kinds.h"
#include "controller/core/door/secret_limits.h"
#include "controller/core/model/draft.h"
#include "controller/core/model/etag.h"
#include "controller/core/model/observations.h"

namespace remuda::core {

inline constexpr std::string_view kSecrets = "secrets";

template <>
struct Traits<v1::Secret> {
  static constexpr std::string_view kCollection = kSecrets;
  static constexpr std::string_view kField = "secret";
  static constexpr size_t kQuota = limits::kSecrets;
};

// Who has an etag could try values until one fits it: the version says as much of a value.
template <>
inline std::string EtagOf<v1::Secret>(const v1::Secret& value) {
  v1::Secret scratch = value;
  scratch.clear_value();
  return Fingerprint(scratch);
}

// Values are for the agents that run what names them.
inline v1::Secret Shown(const Draft&, const Observations&, Time, const v1::Secret& row) {
  v1::Secret out = row;
  out.clear_value();
  return out;
}

}  // namespace remuda::core
