// Signals as events of the control loop. Made before any thread, so that all inherit the mask.
#pragma once

#include <functional>

#include "proxy/io/event_loop.h"

namespace remuda::proxy {

class Signals final : public IoHandler {
 public:
  struct Events {
    std::function<void()> on_stop;    // SIGTERM, SIGINT
    std::function<void()> on_reload;  // SIGHUP
    std::function<void()> on_rotate;  // SIGUSR1
    std::function<void()> on_renew;   // SIGUSR2
    std::function<void()> on_child;   // SIGCHLD
  };
  explicit Signals(Events events);
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals();

  int fd() const { return fd_; }
  void OnIo(uint32_t events) override;

 private:
  const Events events_;
  int fd_ = -1;
};

}  // namespace remuda::proxy
