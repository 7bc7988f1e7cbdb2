// A listening socket of one worker and what it serves.
//
// Thread: its worker's.
#pragma once

#include <cstdint>
#include <memory>

#include "proxy/exchange/entrance.h"
#include "proxy/io/event_loop.h"

namespace remuda::proxy {

class Acceptor;

struct Listener final : IoHandler, Entrance, std::enable_shared_from_this<Listener> {
  void OnIo(uint32_t events) override;

  Acceptor* acceptor = nullptr;
  int fd = -1;
};

}  // namespace remuda::proxy
