// Room for a deployment: whether hosts can take instances of the new version beside those that run,
// and what a person should know of a plan before it begins. Thread: the loop thread. Pure.
#pragma once

#include <string>
#include <vector>

#include "controller/core/model/draft.h"
#include "controller/core/model/observations.h"

namespace remuda::core {

struct DeploymentRoom {
  int wanted = 0;      // instances of the new version beside the others
  int fits = 0;        // of those, as hosts are now; as many as are wanted where nothing is to ask
  std::string why_no;  // room for more
};

DeploymentRoom RoomFor(const Draft& draft, const Observations& seen, Time now,
                       const std::string& group_id, const v1::AutoScalingGroup& group,
                       const v1::Deployment& deployment);

// Each a sentence. The deployment has its steps.
std::vector<std::string> WarningsOf(const v1::AutoScalingGroup& group,
                                    const v1::Deployment& deployment, const DeploymentRoom& room);

}  // namespace remuda::core
