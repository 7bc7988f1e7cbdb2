// BoundReport: what a receiver may say, before any of it is believed. Whoever holds the identity of
// a host or of a proxy may say anything; what it says is kept in memory, committed, and shown to
// others, so that it must not be more, nor other, than a receiver of ours says.
//
// Owns: nothing. Thread: any.
#pragma once

#include <absl/status/status.h>

#include "remuda/agent/v1/agent.pb.h"
#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda {

// Texts for people are cut to limits::kMaxReportTextBytes, and what is told of no instance's id is
// left out. INVALID_ARGUMENT names the field that no agent of ours would send, a port or a time
// that is out of range; RESOURCE_EXHAUSTED the limit: more instances than
// limits::kMaxReportedInstances, more lacks than limits::kMaxHostLacks.
absl::Status BoundReport(agent::v1::ConnectRequest& request);

// The same of a proxy's message.
absl::Status BoundReport(proxy::v1::ConnectRequest& request);

}  // namespace remuda
