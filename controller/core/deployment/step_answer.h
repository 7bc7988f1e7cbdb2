// What a step of a deployment answers when it is asked whether it is over. Pure values.
#pragma once

#include <string>
#include <variant>

#include "controller/core/model/time.h"

namespace remuda::core {

// It is over: the next may begin.
struct StepDone {
  std::string cause;  // for the history
};

// It is not.
struct StepWait {
  std::string why;                      // for a person
  Time until = absl::InfiniteFuture();  // when it is over, or asked again, by time alone
};

// It will never be, and the deployment with it.
struct StepFail {
  std::string why;
};

using StepAnswer = std::variant<StepDone, StepWait, StepFail>;

}  // namespace remuda::core
