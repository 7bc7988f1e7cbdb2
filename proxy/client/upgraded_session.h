// What a session holds while it is a tunnel (after a 101), instead of an exchange and its blocks.
//
// Thread: its worker's.
#pragma once

#include <string>

#include "proxy/client/tunnel.h"
#include "proxy/exchange/session.h"

namespace remuda::proxy {

struct UpgradedSession {
  UpgradedSession(ClientWorker& worker, TunnelOwner& owner)
      : tunnel(worker, owner), goodbye([this] {
          // It may have been taken back.
          const TargetState* const target = record.in_flight.target();
          if (target != nullptr && target->is_leaving()) tunnel.SayGoodbye();
        }) {}

  ExchangeRecord record;  // the target is in flight, the tables are pinned
  std::string head;       // the request's, for the log
  UpstreamConnection* upstream = nullptr;
  Tunnel tunnel;
  Timer goodbye;  // its target leaves
};

}  // namespace remuda::proxy
