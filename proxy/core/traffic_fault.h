// Faults of the rules that the controller's door holds too (common/traffic), in this folder's
// words.
#pragma once

#include <string>

#include "common/traffic/field_fault.h"
#include "proxy/core/fault.h"

namespace remuda::proxy {

// The first of them; `where` is the message.
inline Fault FirstOf(const traffic::FieldFaults& faults, const std::string& where) {
  if (faults.empty()) return std::nullopt;
  const traffic::FieldFault& first = faults.front();
  return where + "." + first.field + ": " +
         (first.value.has_value() ? Quote(*first.value) + " " : "") + first.rule;
}

}  // namespace remuda::proxy
