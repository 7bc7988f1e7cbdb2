// Replacement: what becomes of instances by the word of hosts and proxies: into service, unknown,
// back again, or to be replaced. Thread: the loop thread. Pure.
#pragma once

#include <string>

#include "controller/core/reconcile/pass.h"
#include "controller/core/reconcile/sides.h"

namespace remuda::core {

// Instances of hosts that have become lost are Unknown; those of hosts that are back are what they
// were.
void FollowHosts(Pass& pass, const std::string& group_id);

// Pending instances whose process runs and which the proxies find healthy come into service;
// launches that get no further within their limits are given up.
void BringIntoService(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group);

// Marks instances of the side that the proxies find unhealthy after their grace period for
// replacement: never more than a share of it at once, one at a time when all are unhealthy.
void MarkUnhealthy(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group,
                   const Side& side);

}  // namespace remuda::core
