// One thread that accepts connections and serves them, alone: its own sockets, loop, pools and
// counters. Everything is reached by tasks posted to its loop; the counters may be read by anyone.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "proxy/client/client_worker.h"

namespace remuda::proxy {

// What a worker is told to listen on: the spec and a socket of its own, already bound.
struct ListenerChange {
  std::string key;  // ListenerSpec::Key
  int fd = -1;      // -1: the socket it has already
  uint16_t port = 0;
};

class Worker final : public ClientWorker, private Acceptor {
 public:
  Worker(size_t index, const Settings& settings, AccessLog* log, Events events);
  ~Worker();

  void Start();
  void Join();

  // On the worker's thread, as posted tasks:
  void Adopt(std::shared_ptr<const RoutingTable> table, const std::vector<ListenerChange>& opened,
             const std::vector<std::string>& closed);
  // Opens listeners of the table that it has.
  void Listen(const std::vector<ListenerChange>& opened);
  // Stops accepting; requests in flight finish.
  void Drain();

 private:
  void AdoptUntimed(std::shared_ptr<const RoutingTable> table,
                    const std::vector<ListenerChange>& opened,
                    const std::vector<std::string>& closed);
  bool AcceptFrom(Listener& listener) override;
  void AcceptBacklog(Listener& listener);
  void CloseListener(Listener& listener);
  bool Admit(Listener& listener, Transport& transport, const PeerAddress& peer);
  void OpenConnection(Transport transport, const PeerAddress& peer,
                      const std::shared_ptr<Listener>& listener);

  std::map<std::string, std::shared_ptr<Listener>> listeners_;
  Timer sweep_timer_;
  Timer accept_timer_;
  std::vector<std::weak_ptr<Listener>> paused_;
  std::thread thread_;
};

}  // namespace remuda::proxy
