// How many TLS handshakes are brought on in one turn of the loop: each costs as much as many
// requests, and those of clients that are served already shall not wait for all of them. The others
// get their turn in order.
//
// Thread: its worker's.
#pragma once

#include <cstddef>

#include "proxy/client/connection.h"
#include "proxy/client/connection_list.h"
#include "proxy/io/event_loop.h"

namespace remuda::proxy {

// A connection that makes handshakes.
class Handshaking : public Connection {
 public:
  using Connection::Connection;
  // It is its turn to go on.
  virtual void TakeTurn() = 0;
};

class HandshakeTurns final : public TurnEndHandler {
 public:
  static constexpr size_t kHandshakesATurn = 16;

  explicit HandshakeTurns(EventLoop& loop) : loop_(loop) {}

  // Whether this one may go on now. If not, its TakeTurn is called when it may.
  bool Take(Handshaking& connection);

  void OnTurnEnd() override;

 private:
  EventLoop& loop_;
  ConnectionList waiting_;
  size_t taken_ = 0;  // in this turn
};

}  // namespace remuda::proxy
