// Counters of one worker that belong to no load balancer and no target group (core/traffic.h). One
// thread writes; the admin server sums them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "proxy/core/counter.h"
#include "proxy/http/reason.h"
#include "proxy/tls/connection_info.h"

namespace remuda::proxy {

// How often something was done, how long it took in all, and the longest time.
struct OwnedTimer {
  OwnedCounter<uint64_t> count;
  OwnedCounter<uint64_t> sum_ns;
  OwnedCounter<uint64_t> max_ns;

  void Observe(uint64_t ns) {
    count.Add(1);
    sum_ns.Add(ns);
    if (ns > max_ns.Get()) max_ns.Add(ns - max_ns.Get());
  }
};

struct alignas(64) WorkerMetrics {
  OwnedCounter<uint64_t> requests;
  OwnedCounter<int64_t> active_connections;  // and streams, handshakes
  std::array<OwnedCounter<uint64_t>, static_cast<size_t>(http::Reason::kCount)> reasons;
  // Targets' answers that were refused, by the rule that they broke.
  std::array<OwnedCounter<uint64_t>, static_cast<size_t>(http::Reason::kCount)> bad_response_rules;
  OwnedCounter<uint64_t> dropped_fields;  // requests with a field that went no further for its name
  OwnedCounter<uint64_t> retries;
  OwnedCounter<uint64_t> retries_refused;  // safe, but over the budget
  OwnedCounter<uint64_t> connections_made;
  OwnedCounter<uint64_t> connections_reused;
  OwnedCounter<uint64_t> fail_open_picks;
  OwnedCounter<int64_t> queued_requests;  // that wait for a place now
  OwnedCounter<uint64_t> queued;
  OwnedCounter<uint64_t> copies_skipped;       // requests that were not mirrored for want of room
  OwnedCounter<uint64_t> visited_connections;  // for targets that left or fell
  OwnedCounter<uint64_t> accept_errors;
  OwnedCounter<uint64_t> idle_closed;  // idle client connections, to make room for others
  OwnedCounter<uint64_t> proxy_protocol_errors;
  OwnedCounter<uint64_t> tunnels;
  OwnedCounter<int64_t> active_tunnels;
  OwnedCounter<uint64_t> http2_connections;
  OwnedCounter<uint64_t> http2_streams;
  OwnedCounter<uint64_t> http2_errors;           // connections ended for what the client did
  OwnedCounter<uint64_t> http2_refused_streams;  // for want of room, or of time
  OwnedCounter<uint64_t> tls_handshakes;         // with clients, that succeeded
  OwnedCounter<uint64_t> tls_resumptions;
  std::array<OwnedCounter<uint64_t>, static_cast<size_t>(tls::HandshakeFailure::kCount)>
      tls_failures;                            // with clients
  OwnedCounter<uint64_t> target_tls_failures;  // handshakes with targets
  // CPU time of this worker's thread for changes of the config: adopting a table, and making the
  // list of targets to pick from again when a group or its targets' health changed.
  OwnedTimer adopt_time;
  OwnedTimer repick_time;
};

}  // namespace remuda::proxy
