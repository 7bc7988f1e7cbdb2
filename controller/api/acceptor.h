// Acceptor: the API's listening socket. It accepts, and hands each connection to the server.
//
// gRPC 1.51 stops to accept for good at its first error, a lack of descriptors among them; and it
// bounds nothing. So accepting is done here: as long as the process has fewer open descriptors than
// its bound; otherwise connections wait in the kernel until there are.
//
// Owns: the listening socket. Does not own: accepted connections. Thread: its own.
#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "common/endpoint.h"
#include "controller/engine/metrics.h"

namespace remuda {

// Raises the soft limit on descriptors to the hard one. Answers how many may be open before no
// connection is accepted any more: limits::kMaxDescriptors or what the system allows, less a
// reserve.
size_t TakeDescriptors();

// How many descriptors the process has open, a few more at most; 0 if that cannot be known.
size_t CountDescriptors();

class Acceptor {
 public:
  // Binds and listens. UNAVAILABLE: it cannot be, and why. Does not accept yet.
  static absl::StatusOr<std::unique_ptr<Acceptor>> Listen(const Endpoint& endpoint);
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;
  ~Acceptor();  // stops

  // What is within reach.
  struct Bound {
    size_t max_descriptors = 0;
    // Descriptors that a connection has once it is served, its own among them.
    size_t each = 1;
    // How many those that were accepted will still open; null: none. Any thread.
    std::function<size_t()> to_come = nullptr;
  };
  // Accepts while fewer descriptors are open than the bound. `on_connection` takes over each
  // connection's; it is called on the acceptor's thread. `metrics` outlives it.
  void Start(Bound bound, Metrics& metrics, std::function<void(int)> on_connection);
  // Accepts no more, and closes the socket. May be called twice.
  void Stop();

  // "ADDRESS:PORT", as it listens.
  const std::string& address() const { return address_; }

 private:
  Acceptor(int listener, int wake, std::string address)
      : listener_(listener), wake_(wake), address_(std::move(address)) {}

  void Run();
  // Waits until there is something to accept, or `pause` is over; false: it is to stop.
  bool Wait(bool for_connections, int timeout_ms);
  // Whether one more connection is within the bound.
  bool HasRoom();
  void AcceptAll();

  int listener_;
  int wake_;  // an eventfd: written to by Stop
  const std::string address_;
  std::thread thread_;
  // Constant after Start.
  Bound bound_;
  Metrics* metrics_ = nullptr;
  std::function<void(int)> on_connection_;
  // The thread's.
  // At most so many are open, or will be: the newest count, and what was accepted since.
  size_t open_ = 0;
  bool paused_ = false;
};

}  // namespace remuda
