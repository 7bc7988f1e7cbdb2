// What is asked at the join endpoint, and what is answered, as HTTP has it. Pure. Any thread.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <variant>

#include "remuda/join/v1/join.pb.h"

namespace remuda {

// As the server has read it, within its bounds.
struct JoinCall {
  std::string method;
  std::string target;
  std::string content_type;
  std::string body;
  std::string address;  // "ADDRESS:PORT" that it comes from
};

struct JoinAnswer {
  int status = 200;
  std::string body = {};  // JSON
};

using JoinWish = std::variant<join::v1::JoinRequest, join::v1::RenewRequest>;

// What it wishes. NOT_FOUND: no such path; UNIMPLEMENTED: another method than POST;
// INVALID_ARGUMENT: what is wrong with the body. Says nothing of a token but that there is none.
absl::StatusOr<JoinWish> ReadJoinCall(const JoinCall& call);

JoinAnswer AnswerOf(const join::v1::JoinResponse& response);
// The status's words, with the HTTP status that goes with its code.
JoinAnswer AnswerOf(const absl::Status& status);

}  // namespace remuda
