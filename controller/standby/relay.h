// Relay: passes connections on, byte by byte, to the controller that leads. So every call, stream
// and client works through whichever controller it has dialled.
//
// A connection to the API has proved its identity at this controller's gate; what the leader is
// told of it is its certificate (RelayedCaller), and it believes that of a controller alone. Of a
// connection to the join endpoint it is told where it came from; the leader's own TLS goes through
// to who joins.
//
// Owns: the connections. Does not own: who leads (Roster). Thread: its own; public functions any.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "controller/identity/caller.h"
#include "controller/identity/cluster_identity.h"

namespace remuda {

class Relay {
 public:
  static constexpr size_t kMaxConnections = 8192;
  // For the leader's TCP, and again for its TLS.
  static constexpr absl::Duration kConnectTimeout = absl::Seconds(2);
  // For a leader that answers: a connection is held so long and nothing of it lost, as the next one
  // leads after some seconds. Counted from when the last one was lost; those that come later are
  // held for kLatePatience, so that they are told why before they try elsewhere.
  static constexpr absl::Duration kLeaderPatience = absl::Seconds(4);
  static constexpr absl::Duration kLatePatience = absl::Milliseconds(500);
  static constexpr size_t kBufferBytes = 16 * 1024;  // each way

  struct Options {
    // What this controller shows to the leader. Empty: there are no identities; the bytes are
    // passed on as they come.
    std::function<ShownIdentityPtr()> identity = nullptr;
    // What is added has come to the join endpoint: its callers have proved nothing.
    bool joins = false;
    // Takes over a connection for which no leader answers in time. Empty: it is
    // closed.
    std::function<void(int fd, const CallerPtr&)> on_no_leader = nullptr;
    // At a time; further ones are closed.
    size_t max_connections = kMaxConnections;
  };

  explicit Relay(Options options);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay();  // stops

  // HOST:PORT to which connections go from now on; not set: nobody leads. Those that were passed on
  // to the leader of another epoch are closed.
  void SetLeader(std::optional<std::string> address, int64_t epoch);
  // Takes over a connected socket. `caller` is null where Options::identity is empty, or joins.
  void Add(int fd, CallerPtr caller);
  // Closes every connection. Waits for a lookup of the leader's name that is under way. May be
  // called twice.
  void Stop();

  size_t connections() const;  // open

 private:
  struct Running;
  std::unique_ptr<Running> running_;
};

}  // namespace remuda
