// Gate: where connections to the API prove who they are, before gRPC reads a byte of them.
//
// Each accepted connection makes a TLS 1.3 handshake here, with a certificate of the cluster; then
// its plain bytes go to gRPC through a socket pair whose name tells gRPC's calls apart (Callers).
// So handshakes are bounded, a connection can be ended at once, and what has no identity reaches
// none of gRPC's code.
//
// What a standby passes on to the leader (controller/standby) comes by a protocol of its own, which
// a controller alone may speak: first the caller's name, then the caller's bytes. From then on it
// is the caller's connection, as if it had come here itself.
//
// Owns: the connections, until both ends are closed. Does not own: who may do what (roles.h).
// Thread: its own, a few; public functions any.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/tls/openssl.h"
#include "controller/identity/callers.h"

namespace remuda {

class ClusterIdentity;
class GateThread;

// What a standby that passes a connection on asks for (ALPN).
inline constexpr std::string_view kRelayProtocol = "remuda-relay/1";
// Of RelayedCaller, serialized.
inline constexpr size_t kMaxRelayedCallerBytes = 64 * 1024;

// Thread: any; each value by itself.
struct GateCounts {
  std::atomic<int64_t> connections = 0;        // open, past the handshake
  std::atomic<int64_t> handshakes = 0;         // under way, or about to begin
  std::atomic<int64_t> admitted = 0;           // since the start
  std::atomic<int64_t> refused = 0;            // no certificate, or one that proves nothing here
  std::atomic<int64_t> abandoned = 0;          // too slow, garbage, or gone
  std::atomic<int64_t> crowded_out = 0;        // ended for newer ones: kMaxHandshakes
  std::atomic<int64_t> closed_for_expiry = 0;  // their certificate was over
};

class Gate {
 public:
  // Of a connection that is open: its own, and the pair between it and gRPC.
  static constexpr size_t kDescriptorsEach = 3;

  struct Options {
    std::string cluster;
    // Whether who has proved its identity is let in; a status says why not. Of what a standby
    // passes on both are asked for. Called on the gate's threads.
    std::function<absl::Status(const Caller&)> admit;
    // Takes over a connected socket from which a caller's plain bytes come. Called on the gate's
    // threads.
    std::function<void(int, const CallerPtr&)> on_connection;
    // Whether standbys may pass connections on to here.
    bool takes_relayed = false;
    // Takes over a connection to the join endpoint that a standby passes on: a connected socket
    // from which the caller's own TLS comes, and "ADDRESS:PORT" where it came from. Empty: none is
    // passed on. Called on the gate's threads.
    std::function<void(int, const std::string& address)> on_join = nullptr;
    // Whether callers' certificates are kept (Caller::certificate_pem).
    bool keeps_certificates = false;
    // A connection was refused: from where, and why. Called on the gate's threads. May be empty.
    std::function<void(const std::string& address, const std::string& why)> on_refused = nullptr;
  };
  // `callers` outlives it.
  Gate(Options options, Callers& callers);
  ~Gate();  // stops
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // What it shows and trusts from now on; connections that are open go on. INVALID_ARGUMENT: why it
  // cannot be used. To be called once before Add.
  absl::Status SetIdentity(const std::string& certificate_pem, const std::string& key_pem,
                           const std::string& authorities_pem);
  // The same with what the cluster's identity is, now and whenever that changes: it is started, and
  // to be stopped before the gate is.
  absl::Status Show(ClusterIdentity& cluster);

  // Takes over an accepted socket.
  void Add(int fd);

  // Ends the connections of these callers, and what these standbys have passed on, at once.
  void CloseIf(std::function<bool(const Caller&)> is_to_end);
  // The identity has a newer certificate: its connections may go on until that one ends.
  void Extend(const identity::SpiffeId& id, absl::Time expire_time);

  // From now on nobody is let in: handshakes under way are ended, and what is added is closed.
  // Connections that are open go on. Waits until that is so. May be called twice.
  void Drain();
  // Ends every connection. May be called twice.
  void Stop();

  const GateCounts& counts() const { return counts_; }

 private:
  friend class GateThread;
  std::shared_ptr<SSL_CTX> context() const;
  // One more connection of `actor`. False: it has limits::kMaxConnectionsPerIdentity.
  bool TakePlace(const std::string& actor);
  void GiveBackPlace(const std::string& actor);

  const Options options_;
  Callers& callers_;
  GateCounts counts_;
  mutable std::mutex mutex_;  // guards context_ and open_
  std::shared_ptr<SSL_CTX> context_;
  std::unordered_map<std::string, size_t> open_;  // connections, by actor
  std::vector<std::unique_ptr<GateThread>> threads_;
  std::atomic<size_t> next_ = 0;
};

// A TLS 1.3 server's context that demands a certificate of `authorities_pem`. For the gate and for
// tests.
absl::StatusOr<std::shared_ptr<SSL_CTX>> MakeGateContext(const std::string& certificate_pem,
                                                         const std::string& key_pem,
                                                         const std::string& authorities_pem,
                                                         bool takes_relayed = false);

}  // namespace remuda
