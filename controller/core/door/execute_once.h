// ExecuteOnce: Execute with what every write method has besides: `request_id` (a repeat answers as
// the first did and changes nothing) and `validate_only` (the answer, and no change). The shell
// calls it for each admin RPC.
//
// Owns: the RequestRecord rows. Thread: the loop thread. Pure: the digest's function is an
// argument.
#pragma once

#include <absl/status/statusor.h>
#include <google/protobuf/message.h>

#include <optional>
#include <string>
#include <string_view>

#include "controller/core/door/execute.h"

namespace remuda::core {

// SHA-256 of bytes, in any fixed form (common/sha256.h: Sha256Hex).
using Digest = std::string (*)(std::string_view bytes);

// What the wrapper reads of a request, and what it found. `method` must outlive it. Each caller's
// ids are its own: nobody is answered with what another was.
class Once {
 public:
  Once(std::string_view method, const google::protobuf::Message& request, Digest digest,
       const Who& who);

  bool validate_only() const { return validate_only_; }

  // Fills `answer` and says true if this request has been answered before. INVALID_ARGUMENT if its
  // id is not valid, or was used for another method or content within the last hour.
  absl::StatusOr<bool> Replay(const Draft& draft, Time now,
                              google::protobuf::Message& answer) const;

  // Keeps the answer for a repeat, and forgets some of what is too old. Does nothing without a
  // request_id.
  void Keep(Draft& draft, Time now, const google::protobuf::Message& answer) const;

 private:
  std::string_view method_;
  std::string request_id_;
  std::string key_;  // of the record
  bool validate_only_ = false;
  std::string digest_;  // of the request without its id; empty without an id
};

// As Execute, for a request message of a write method. `method` is its full name, for example
// "remuda.v1.TargetGroupService/CreateTargetGroup". On error, and with validate_only, the draft is
// as it was.
template <class Request>
auto ExecuteOnce(Draft& draft, std::string_view method, const Request& request,
                 const Context& context, Digest digest)
    -> decltype(Execute(draft, request, context)) {
  using Answer = typename decltype(Execute(draft, request, context))::value_type;
  const Once once(method, request, digest, context.who);
  Answer before;
  const absl::StatusOr<bool> replayed = once.Replay(draft, context.now, before);
  if (!replayed.ok()) return replayed.status();
  if (*replayed) return before;
  if (once.validate_only()) {
    Draft::Savepoint savepoint = draft.Save();
    auto answer = Execute(draft, request, context);
    draft.Restore(std::move(savepoint));
    return answer;
  }
  auto answer = Execute(draft, request, context);
  if (answer.ok()) once.Keep(draft, context.now, *answer);
  return answer;
}

}  // namespace remuda::core
