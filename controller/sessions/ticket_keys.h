// TicketKeys: what the proxies of the cluster seal TLS session tickets with. Random, made here and
// only ever in memory: a controller that takes over makes new ones, and nobody who reads a store or
// a disk can open what was recorded.
//
// Owns: the keys and when they change. Does not own: who has them (ProxySessions). Thread: the loop
// thread.
#pragma once

#include <absl/time/time.h>

#include <string>

#include "controller/views/frame.h"

namespace remuda {

class TicketKeys {
 public:
  // How long a key seals. It is understood from one such time before to one after.
  static constexpr absl::Duration kLifetime = absl::Hours(12);

  // Takes the next key if it is time, or there is none yet. Whether there is a new message.
  bool Renew(absl::Time now);
  // When Renew has something to do.
  absl::Time due() const { return due_; }
  // The ConnectResponse with the keys of now; null before the first Renew.
  const Frame& frame() const { return frame_; }

 private:
  // The next one is there already, so that a proxy that hears of a change later than another
  // understands what that has sealed.
  std::string sealing_, next_, before_;
  absl::Time due_ = absl::InfinitePast();
  Frame frame_;
};

}  // namespace remuda
