// Listening: the listening sockets of the newest table: opened for each worker, tried again where
// that failed, taken over from the process before, and given to the next one.
//
// Owns: which listener has which sockets; the sockets themselves are their workers' (Acceptor),
// which close them when they are told to. Thread: the control loop's.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxy/core/routing_table.h"
#include "proxy/io/descriptor.h"
#include "proxy/io/event_loop.h"
#include "proxy/worker.h"

namespace remuda::proxy {

struct ListenerReport {
  std::string load_balancer;
  std::string address;
  uint16_t port = 0;  // as configured
  uint16_t actual_port = 0;
  std::string error;  // empty: it listens
};

// The sockets of one listener, all of one SO_REUSEPORT group.
struct ListenerSockets {
  std::vector<Descriptor> sockets;
  uint16_t port = 0;
};

class Listening {
 public:
  // A listener that could not be opened is tried again after so long, and then after twice as long
  // each time, up to the longest; a new table begins anew.
  static constexpr std::chrono::milliseconds kFirstRetry{500};
  static constexpr std::chrono::milliseconds kLongestRetry{30000};

  using Opened = std::vector<std::vector<ListenerChange>>;  // for each worker

  struct Options {
    size_t workers = 1;
    std::string default_listen_address;  // of listeners that name none; empty: all addresses
    // By ListenerSpec::Key: used for listeners of these names instead of new ones. What the first
    // table does not name is closed.
    std::map<std::string, ListenerSockets> inherited;
  };

  // `on_opened`: sockets that the workers are to listen on besides.
  Listening(EventLoop& loop, Options options, std::function<void(Opened)> on_opened);

  // What changes with `table`: sockets for each worker, and the listeners that are no more.
  void Take(std::shared_ptr<const RoutingTable> table, Opened& opened,
            std::vector<std::string>& closed);
  std::vector<ListenerReport> Reports() const;

  // Nothing is opened any more.
  void Stop();
  // While nothing may change: nothing is tried again.
  void Pause(bool is_paused);

  // Those of all listeners, by ListenerSpec::Key; they stay the workers'.
  struct Open {
    std::vector<int> sockets;
    uint16_t port = 0;
  };
  std::map<std::string, Open> Sockets() const;
  // The listeners whose sockets were inherited.
  std::vector<std::string> Inherited() const;
  // Of listeners that were inherited from a process with fewer workers: one more for each that has
  // none. Before this the former process may come back to what it had.
  void Complete();

 private:
  struct Entry {
    ListenerReport report;
    // By worker; an inherited listener may have several of one, or none.
    std::vector<std::vector<int>> sockets;
    bool is_inherited = false;
  };
  Entry OpenListener(const ListenerSpec& spec, Opened& opened);
  Entry Inherit(const ListenerSpec& spec, const ListenerReport& report, ListenerSockets from,
                Opened& opened) const;
  const std::string& AddressOf(const ListenerSpec& spec) const;
  void Retry();
  void ArmRetry();

  EventLoop& loop_;
  Options options_;
  const std::function<void(Opened)> on_opened_;
  std::shared_ptr<const RoutingTable> table_;
  std::map<std::string, Entry> listeners_;  // by ListenerSpec::Key
  bool is_stopped_ = false;
  bool is_paused_ = false;
  Timer retry_;
  std::chrono::milliseconds backoff_{kFirstRetry};
};

}  // namespace remuda::proxy
