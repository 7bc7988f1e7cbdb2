#include "proxy/handshake_turns.h"

#include "proxy/greeting.h"

namespace remuda::proxy {

bool HandshakeTurns::Take(Greeting& greeting) {
  loop_.AtTurnEnd(this);
  if (taken_ < kHandshakesATurn && waiting_.empty()) {
    ++taken_;
    return true;
  }
  waiting_.PushBack(greeting);
  return false;
}

void HandshakeTurns::OnTurnEnd() {
  for (taken_ = 0; taken_ < kHandshakesATurn && !waiting_.empty(); ++taken_) {
    auto& greeting = static_cast<Greeting&>(*waiting_.front());
    ConnectionList::Remove(greeting);
    greeting.TakeTurn();
  }
  taken_ = 0;
  if (!waiting_.empty()) loop_.AtTurnEnd(this);
}

}  // namespace remuda::proxy
