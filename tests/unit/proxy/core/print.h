// How GoogleTest prints a Reason.
#pragma once

#include <ostream>

#include "proxy/http/reason.h"

namespace remuda::proxy::http {

inline void PrintTo(Reason reason, std::ostream* out) {
  *out << (reason == Reason::kNone ? "none" : NameOf(reason));
}

}  // namespace remuda::proxy::http
