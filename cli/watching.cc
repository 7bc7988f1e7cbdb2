#include "cli/watching.h"

#include <ostream>

namespace remuda::cli {

bool IsAway(const absl::Status& status) {
  return status.ok() || status.code() == absl::StatusCode::kUnavailable ||
         status.code() == absl::StatusCode::kDeadlineExceeded ||
         status.code() == absl::StatusCode::kCancelled;
}

void SayAway(Context& context, bool& was_there) {
  if (was_there) context.err << "remuda: the controller is away; trying again" << std::endl;
  was_there = false;
}

}  // namespace remuda::cli
