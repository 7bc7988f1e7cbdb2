// Where a client's request came in: the listener's config, as it is now.
//
// Thread: its worker's.
#pragma once

#include <cstdint>
#include <memory>

#include "proxy/core/routing_table.h"

namespace remuda::proxy {

struct Entrance {
  uint16_t port = 0;                        // the real one
  std::shared_ptr<BalancerState> balancer;  // outlives the spec
  const ListenerSpec* spec = nullptr;       // of the current table; null: gone
};

}  // namespace remuda::proxy
