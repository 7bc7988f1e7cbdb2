// One thread that accepts connections and serves them, alone: its own sockets (Acceptor), loop,
// pools and counters. Everything is reached by tasks posted to its loop; the counters may be read
// by anyone.
#pragma once

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "proxy/client/acceptor.h"
#include "proxy/client/client_worker.h"

namespace remuda::proxy {

class Worker final : public ClientWorker {
 public:
  Worker(size_t index, const Settings& settings, AccessLog* log, Events events);
  ~Worker();

  void Start();
  void Join();

  // On the worker's thread, as posted tasks:
  void Adopt(std::shared_ptr<const RoutingTable> table, const std::vector<ListenerChange>& opened,
             const std::vector<std::string>& closed);
  // Opens listeners of the table that it has.
  void Listen(const std::vector<ListenerChange>& opened) { acceptor_.Listen(opened, table()); }
  // Stops accepting; requests in flight finish. Who is left after `timeout` is cut.
  void Drain(std::chrono::milliseconds timeout);
  // As Drain; see Coordinator::HandOver.
  void HandOver(std::chrono::milliseconds timeout, const std::set<std::string>& kept);
  // After HandOver: clients that wait for nothing are let go of now.
  void LetIdleGo();

 private:
  void AdoptUntimed(std::shared_ptr<const RoutingTable> table,
                    const std::vector<ListenerChange>& opened,
                    const std::vector<std::string>& closed);

  Acceptor acceptor_;
  Timer sweep_timer_;
  std::thread thread_;
};

}  // namespace remuda::proxy
