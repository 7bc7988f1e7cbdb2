// What keeps a group's deployment from its next step. Each answers why, for a person; empty:
// nothing does. Thread: the loop thread. Pure.
#pragma once

#include <string>

#include "controller/core/deployment/deployment_facts.h"

namespace remuda::core {

// How many of the side are in service, found healthy by every live proxy that will send to them,
// and confirmed by every live proxy. `why`: why the first that is in service is not, unless it says
// something already.
int ReadyOf(Pass& pass, const DeploymentFacts& facts, const Side& side, std::string* why);

// Fewer than `enough` of the side are ready.
std::string NotReady(Pass& pass, const DeploymentFacts& facts, const Side& side, int enough);

// How many of the new side must be ready for the traffic to move. All, unless what serves is
// failing: then more than serve now are better.
int EnoughToShift(Pass& pass, const DeploymentFacts& facts);

// How many of the old side must be ready for the traffic to move back. As many as serve now will
// do: more than that may have no room beside them.
int EnoughToShiftBack(const Pass& pass, const DeploymentFacts& facts);

// The old side cannot take the traffic back yet.
std::string NotReadyForReturn(Pass& pass, const DeploymentFacts& facts);

// Why the old side may not be given up when the bake is over: it serves nothing any more, but it is
// what a rollback returns to while less than half of the new side is up.
std::string NotHalfUp(const Pass& pass, const DeploymentFacts& facts);

// Not every live proxy has confirmed the deployment's row.
std::string RowUnconfirmed(const Pass& pass, const DeploymentFacts& facts);

// What the end of the side waits for.
std::string NotGone(Pass& pass, const DeploymentFacts& facts, const Side& side);

// Whether the proxies have said all that they could: they have confirmed the deployment's row, and
// report what they find. If not (after a start of the controller, a pause, a loss of most of them),
// a deadline that is over proves nothing.
bool IsAllSaid(const Pass& pass, const DeploymentFacts& facts);

}  // namespace remuda::core
