// Renewer: has a program's certificate renewed in time, over the connection that it has then, with
// a new key each time. No connection is dropped for it: later ones show the new certificate.
//
// Owns: a thread, which waits and calls. Does not own: the files.
#pragma once

#include <absl/time/time.h>
#include <grpcpp/channel.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "common/identity/identity_files.h"

namespace remuda::identity {

// Has the certificate of `held` renewed by a call to a controller, and puts it where the old one
// stands. Blocks for Renewer::kCallTimeout at most; errors are the call's, or name the file.
absl::Status RenewIdentity(const std::shared_ptr<grpc::Channel>& channel,
                           const IdentityFiles& files, const Identity& held);

class Renewer {
 public:
  static constexpr absl::Duration kFirstRetry = absl::Seconds(1);
  static constexpr absl::Duration kLastRetry = absl::Minutes(1);
  static constexpr absl::Duration kCallTimeout = absl::Seconds(10);

  struct Options {
    IdentityFiles files;
    // Where it calls now; asked for each call, on the renewer's thread. Never null.
    std::function<std::shared_ptr<grpc::Channel>()> channel;
    // Where a certificate that is over is renewed; empty function: nowhere. Answers as LoadIdentity
    // does; blocks, and begins nothing more once `is_stopping`. Thread: the renewer's.
    std::function<absl::Status(const IdentityFiles&, const std::function<bool()>& is_stopping)>
        renew_expired = nullptr;
  };
  explicit Renewer(Options options);
  ~Renewer();  // stops; waits for a call under way
  Renewer(const Renewer&) = delete;
  Renewer& operator=(const Renewer&) = delete;

  // For metrics and pages. Any thread.
  absl::Time expire_time() const;
  std::string last_error() const;
  int64_t renewals() const;

 private:
  void Run();
  bool is_stopping() const;
  absl::Status Renew(const Identity& held);
  // False: it is to stop.
  bool WaitUntil(absl::Time when);

  const Options options_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable stopped_;
  bool stopping_ = false;
  absl::Time expire_time_ = absl::InfinitePast();
  std::string last_error_;
  int64_t renewals_ = 0;
  std::thread thread_;  // last: it uses the others
};

}  // namespace remuda::identity
