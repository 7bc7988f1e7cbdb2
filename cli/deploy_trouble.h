// Why a deployment does not come out, or a group does not get what it wants, as far as instances
// tell: asked of the controller.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"
#include "cli/controller_client.h"
#include "remuda/v1/deployment.pb.h"

namespace remuda::cli {

// What the instance that tells most printed last, and the command that shows all of it, on standard
// output. Nothing where none of the deployment's instances failed, or the controller does not say.
void PrintTrouble(Context& context, const ControllerClient& client,
                  const v1::Deployment& deployment);
// The same of the first of the groups (ids) that has something to tell, on standard error. The
// first read that fails ends it: a controller that hangs costs the time of one call, not one a
// group.
void PrintGroupTrouble(Context& context, const ControllerClient& client,
                       const std::vector<std::string>& groups);

}  // namespace remuda::cli
