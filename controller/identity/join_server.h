// JoinServer: the HTTPS endpoint where who has no certificate yet asks for one: TLS 1.3, one
// request a connection, everything bounded (join_limits.h).
//
// Owns: a thread, the listening socket and the connections. Does not own: what is answered.
// Thread: public functions any; the handler is called on its thread.
#pragma once

#include <absl/status/status.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "common/endpoint.h"
#include "controller/identity/join_call.h"

namespace remuda {

// Thread: any; each value by itself.
struct JoinCounts {
  std::atomic<int64_t> connections = 0;  // open
  std::atomic<int64_t> accepted = 0;     // since the start
  std::atomic<int64_t> answered = 0;     // with any status
  std::atomic<int64_t> abandoned = 0;    // ended without an answer
  std::atomic<int64_t> crowded_out = 0;  // of those: gave way to newer ones
};

class JoinServer {
 public:
  // As JoinDesk::Handle takes and gives them: the answer may come from any thread, also after the
  // end, and is made on the server's.
  using MakeAnswer = std::function<JoinAnswer()>;
  using Answer = std::function<void(MakeAnswer)>;
  using Handler = std::function<void(const JoinCall&, Answer)>;

  explicit JoinServer(Handler handler);
  ~JoinServer();  // stops
  JoinServer(const JoinServer&) = delete;
  JoinServer& operator=(const JoinServer&) = delete;

  // What it shows from now on: `certificate_pem` with its chain, and those of `authorities_pem`, so
  // that who knows an authority's pin alone finds that authority. INVALID_ARGUMENT: why it cannot
  // be used. To be called once before Start.
  absl::Status SetIdentity(const std::string& certificate_pem, const std::string& key_pem,
                           const std::string& authorities_pem);

  // Binds and serves. UNAVAILABLE: it cannot be, and why.
  absl::Status Start(const Endpoint& endpoint);
  // Takes over a connected socket, of one that has come to another controller from `address`
  // ("ADDRESS:PORT"). Closed, where it is not between Start and Stop.
  void Take(int fd, const std::string& address);
  // Closes everything. May be called twice.
  void Stop();

  // Valid after Start.
  const std::string& address() const { return address_; }
  const JoinCounts& counts() const { return *counts_; }

 private:
  struct Running;

  const Handler handler_;
  const std::shared_ptr<JoinCounts> counts_ = std::make_shared<JoinCounts>();
  struct Shown;
  const std::unique_ptr<Shown> shown_;
  std::mutex mutex_;
  std::unique_ptr<Running> running_;  // guarded by mutex_
  std::string address_;
};

}  // namespace remuda
