// A small HTTP server for a program's own admin pages (/healthz, /readyz, /metrics), by GET and
// HEAD, and for calls of small bodies that are answered later: one response a connection,
// everything bounded. It is not the proxy's data path and shares nothing with it.
//
// Owns one thread; handlers run on it, one at a time, so they must not block for long and must only
// read what is safe to read from another thread.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace remuda {

struct AdminRequest {
  std::string path;        // without the query
  std::string query = {};  // what followed '?', undecoded; empty if there was none
  // Of calls only:
  std::string method = {};
  std::string authorization = {};  // the header's value
  std::string body = {};
  bool is_local = false;  // it comes from this machine, as far as addresses tell
};

struct AdminResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};  // beside the usual ones
};

class AdminHttp {
 public:
  // Everything a stranger can make it hold. One more than so many connections closes the oldest
  // that waits for its client, so that idle ones never keep a page from who asks for it.
  static constexpr size_t kMaxConnections = 32;
  static constexpr size_t kMaxRequestBytes = size_t{8} * 1024;
  static constexpr size_t kMaxBodyBytes = size_t{4} * 1024;  // of a call
  static constexpr int kConnectionTimeoutMs = 5000;

  struct Options {
    std::string address = "127.0.0.1";  // a numeric IPv4 or IPv6 address
    uint16_t port = 0;                  // 0: the system picks one; port() tells
    size_t max_connections = kMaxConnections;
    // A socket that listens on that address and port already, to be closed with the server; -1:
    // none.
    int socket = -1;
  };

  using Handler = std::function<AdminResponse(const AdminRequest&)>;
  // Any thread, also after the server has stopped; the first counts.
  using Answer = std::function<void(AdminResponse)>;
  using CallHandler = std::function<void(AdminRequest, Answer)>;

  explicit AdminHttp(Options options);
  AdminHttp(const AdminHttp&) = delete;
  AdminHttp& operator=(const AdminHttp&) = delete;
  ~AdminHttp();  // stops

  // Answers `path` (exact match) with `handler`. Only before Start.
  AdminHttp& Handle(std::string path, Handler handler);

  // Passes requests of any method for `path` to `handler`, which sees that each is answered at
  // last. Only before Start.
  AdminHttp& HandleCall(std::string path, CallHandler handler);

  // Binds and starts to serve. The error names the address and port.
  absl::Status Start();
  // Ends the thread and closes every connection. May be called twice.
  void Stop();
  // Accepts nothing any more; what is under way goes on. After Start.
  void StopListening();
  // The listening socket, for another process; it stays this one's. -1 before Start.
  int socket() const { return socket_; }

  // The bound port; valid after Start.
  uint16_t port() const { return port_; }
  // "address:port"; valid after Start.
  std::string listen_address() const;

 private:
  class Server;
  struct Running;

  const Options options_;
  std::map<std::string, Handler> handlers_;   // constant after Start, as
  std::map<std::string, CallHandler> calls_;  // this
  std::unique_ptr<Running> running_;          // null: not started, or stopped
  uint16_t port_ = 0;
  int socket_ = -1;
};

}  // namespace remuda
