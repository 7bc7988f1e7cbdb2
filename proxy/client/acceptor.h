// Acceptor: the listening sockets of one worker, and what comes in by them.
//
// Owns: the sockets. Does not own: the connections that it accepts, which are its worker's.
// Thread: its worker's.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "proxy/client/listener.h"
#include "proxy/core/routing_table.h"
#include "proxy/io/event_loop.h"
#include "proxy/io/socket.h"
#include "proxy/io/transport.h"

namespace remuda::proxy {

class ClientWorker;

// What a worker is told to listen on: the spec and a socket of its own, already bound. It may have
// several of one listener.
struct ListenerChange {
  std::string key;  // ListenerSpec::Key
  int fd = -1;      // -1: the socket it has already
  uint16_t port = 0;
};

class Acceptor {
 public:
  // `worker` outlives it, and serves what is accepted.
  explicit Acceptor(ClientWorker& worker);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Opens listeners of the table, and ties every one that is open to its spec there.
  void Listen(const std::vector<ListenerChange>& opened, const RoutingTable& table);
  // Takes what the kernel has taken already for these, before their sockets are closed: that would
  // reset it.
  void AcceptBacklog(const std::vector<std::string>& keys);
  // Closes these; their listeners have no spec from now on.
  void Close(const std::vector<std::string>& keys);
  // Accepts what waits, and listens no more. Connections still have their listeners. What waits for
  // the listeners of `kept` is left to another process, which accepts on their sockets too.
  void Drain(const std::set<std::string>& kept = {});
  // One batch. True if more may wait.
  bool AcceptFrom(Listener& listener);

 private:
  void AcceptBacklogOf(Listener& listener);
  void CloseSocket(Listener& listener);
  bool Admit(Listener& listener, Transport& transport, const PeerAddress& peer);
  void Open(Transport transport, const PeerAddress& peer,
            const std::shared_ptr<Listener>& listener);

  ClientWorker& worker_;
  std::multimap<std::string, std::shared_ptr<Listener>> listeners_;  // a socket each
  std::vector<std::weak_ptr<Listener>> paused_;
  Timer timer_;
};

}  // namespace remuda::proxy
