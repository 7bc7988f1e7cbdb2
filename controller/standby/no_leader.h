// NoLeader: answers the calls of a connection while no controller leads, so that a caller reads why
// and not that a connection was closed.
//
// Owns: a gRPC server without a port. Thread: public functions any.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <string>

namespace remuda {

class NoLeader {
 public:
  // `why` is asked at each call, on gRPC's threads: UNAVAILABLE, reason NO_LEADER, has it.
  static absl::StatusOr<std::unique_ptr<NoLeader>> Start(std::function<std::string()> why);
  NoLeader(const NoLeader&) = delete;
  NoLeader& operator=(const NoLeader&) = delete;
  ~NoLeader();  // stops

  // A connection is ended after so long, so that its caller finds the leader that there is then.
  static constexpr int kConnectionMs = 1000;

  // Takes over a connected socket, from which a caller's plain bytes come.
  void Add(int fd);

 private:
  struct Serving;
  explicit NoLeader(std::unique_ptr<Serving> serving);

  const std::unique_ptr<Serving> serving_;
};

}  // namespace remuda
