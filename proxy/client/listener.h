// A listening socket of one worker and what it serves.
//
// Thread: its worker's.
#pragma once

#include <cstdint>
#include <memory>

#include "proxy/exchange/entrance.h"
#include "proxy/io/event_loop.h"

namespace remuda::proxy {

struct Listener;

// Who accepts what comes.
class Acceptor {
 public:
  // One batch. True if more may wait.
  virtual bool AcceptFrom(Listener& listener) = 0;

 protected:
  ~Acceptor() = default;
};

struct Listener final : IoHandler, Entrance, std::enable_shared_from_this<Listener> {
  void OnIo(uint32_t /*events*/) override { acceptor->AcceptFrom(*this); }

  Acceptor* acceptor = nullptr;
  int fd = -1;
};

}  // namespace remuda::proxy
