#include "proxy/client/handshake_turns.h"

namespace remuda::proxy {

bool HandshakeTurns::Take(Handshaking& connection) {
  loop_.AtTurnEnd(this);
  if (taken_ < kHandshakesATurn && waiting_.empty()) {
    ++taken_;
    return true;
  }
  waiting_.PushBack(connection);
  return false;
}

void HandshakeTurns::OnTurnEnd() {
  for (taken_ = 0; taken_ < kHandshakesATurn && !waiting_.empty(); ++taken_) {
    auto& connection = static_cast<Handshaking&>(*waiting_.front());
    ConnectionList::Remove(connection);
    connection.TakeTurn();
  }
  taken_ = 0;
  if (!waiting_.empty()) loop_.AtTurnEnd(this);
}

}  // namespace remuda::proxy
