// What a connection holds while it is a tunnel (after a 101), instead of an exchange and its
// blocks.
//
// Thread: its worker's.
#pragma once

#include "proxy/client/tunnel.h"
#include "proxy/exchange/exchange.h"

namespace remuda::proxy {

struct UpgradedRequest {
  UpgradedRequest(ClientWorker& worker, TunnelOwner& owner)
      : tunnel(worker, owner), goodbye([this] {
          // It may have been taken back.
          const TargetState* const target = upgrade.record.in_flight.target();
          if (target != nullptr && target->is_leaving()) tunnel.SayGoodbye();
        }) {}

  Upgrade upgrade;
  Tunnel tunnel;
  Timer goodbye;  // its target leaves
};

}  // namespace remuda::proxy
