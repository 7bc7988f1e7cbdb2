// One request to a join endpoint and its answer, over TLS 1.3. Blocks; any thread.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <string>

#include "common/tls/openssl.h"

namespace remuda::identity {

inline constexpr size_t kMaxJoinAnswerBytes = size_t{256} * 1024;

struct JoinExchange {
  std::string address;  // HOST:PORT
  std::string target;   // "/v1/join"
  std::string body;     // JSON
  absl::Duration timeout;
  // Whether the other end is who is meant, by the certificates that it has shown (its own first).
  // Called before a byte of the request is sent.
  std::function<absl::Status(STACK_OF(X509)*)> check_peer;
};

struct ExchangeAnswer {
  int status = 0;
  std::string body;
};

// UNAVAILABLE: there was no answer, and why; or what check_peer says.
absl::StatusOr<ExchangeAnswer> Exchange(const JoinExchange& exchange);

}  // namespace remuda::identity
