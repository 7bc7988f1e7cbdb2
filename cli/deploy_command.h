// What `remuda deploy`, `shift` and `deployment` say alike.
#pragma once

#include "cli/context.h"
#include "remuda/v1/deployment.pb.h"

namespace remuda::cli {

// Of one that is not watched: its name, which a script goes on with, or its data; on standard error
// how to watch it.
void PrintStarted(Context& context, const v1::Deployment& deployment);

// Of one that was only checked: its steps in words and warnings; or its data.
void PrintPlan(Context& context, const v1::Deployment& deployment);

}  // namespace remuda::cli
