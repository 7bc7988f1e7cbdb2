// Why a deployment does not come out, as far as its instances tell: asked of the controller.
#pragma once

#include "cli/context.h"
#include "cli/controller_client.h"
#include "remuda/v1/deployment.pb.h"

namespace remuda::cli {

// What the instance that tells most printed last, and the command that shows all of it, on standard
// output. Nothing where none of the deployment's instances failed, or the controller does not say.
void PrintTrouble(Context& context, const ControllerClient& client,
                  const v1::Deployment& deployment);

}  // namespace remuda::cli
