// The named times and sizes of the request path. Defaults are AWS's where AWS has one. Constant
// after start.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace remuda::proxy {

struct Settings {
  // From a request's first byte to its last header byte (http-safety: slow clients).
  std::chrono::milliseconds request_head_timeout{15000};
  std::chrono::milliseconds connect_timeout{10000};
  // From the accept to the end of a PROXY protocol header and a TLS handshake.
  std::chrono::milliseconds greeting_timeout{10000};
  // A client's body must bring at least this in each interval.
  std::chrono::milliseconds body_rate_interval{10000};
  size_t body_rate_min_bytes = 2400;
  // Many app servers close an idle connection after 5 s; ours goes first.
  std::chrono::milliseconds pool_idle_timeout{4000};
  size_t pool_max_idle_a_target = 256;
  // After an answer that closes: how long in all, for how long without a byte, and up to how many
  // of them a client's further bytes are read and thrown away, so that the kernel does not reset
  // the connection before the client has read the answer. The times are nginx's.
  std::chrono::milliseconds linger_timeout{30000};
  std::chrono::milliseconds linger_silence{5000};
  uint64_t linger_max_bytes = uint64_t{1} << 30;
  // The same of a connection of HTTP/2 that ends as a whole: what its windows may still bring.
  std::chrono::milliseconds http2_linger_timeout{2000};
  size_t http2_linger_max_bytes = 20 * 1024 * 1024;
  // Random, of this process: seals cookies if the config has no shared secret.
  std::string own_secret;
  // Client connections and HTTP/2 streams a worker holds at most.
  size_t max_connections = 16384;
  // Of both from one address (IPv6: one /64); 0: any number.
  size_t max_connections_an_address = 0;
  // Descriptors that clients' and targets' connections of a worker may have together: idle ones to
  // targets make room for others.
  size_t max_descriptors = SIZE_MAX;
  // Pipes for large bodies that a worker uses at most at a time; what finds none is copied.
  size_t max_pipes = 64;
};

inline constexpr int kListenBacklog = 4096;

}  // namespace remuda::proxy
