// Steps: whether the current one of a deployment is over. One small function a kind; they look and
// edit nothing. Thread: the loop thread. Pure.
#pragma once

#include "controller/core/deployment/step_answer.h"
#include "controller/core/deployment/subject.h"

namespace remuda::core {

StepAnswer AskStep(const Subject& subject);

// By when the current step has to be over; InfiniteFuture: it may take as long as it takes.
Time StepDeadline(const Subject& subject);

}  // namespace remuda::core
