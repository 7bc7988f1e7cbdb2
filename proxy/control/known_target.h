// What is known of a target, apart from the process that knows it: what one process of a proxy
// tells the next, so that this one begins where it stood. Times are of this boot's clocks.
#pragma once

#include <chrono>
#include <string>

#include "proxy/core/steady_time.h"
#include "proxy/core/target_state.h"

namespace remuda::proxy::v1 {
class TakeoverTarget;
}  // namespace remuda::proxy::v1

namespace remuda::proxy {

struct KnownTarget {
  std::string group;
  std::string target;
  std::string endpoint;  // one of that name that is elsewhere is another one
  Health health = Health::kInitial;
  std::string reason;
  std::string description;
  std::chrono::system_clock::time_point since;
  bool is_passively_out = false;
  SteadyTime warm_begin{};     // zero: it does not warm up
  SteadyTime ejected_until{};  // zero: it is not ejected
  std::chrono::milliseconds ejected_for{0};
};

void Write(const KnownTarget& known, v1::TakeoverTarget& out);
KnownTarget ReadKnown(const v1::TakeoverTarget& from);

}  // namespace remuda::proxy
