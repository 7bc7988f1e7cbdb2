// --wait: a command that asked for something stays until it is so.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "cli/context.h"
#include "cli/controller_client.h"
#include "cli/kinds.h"

namespace remuda::cli {

inline constexpr std::chrono::minutes kDefaultWait{10};
inline constexpr std::chrono::hours kMaxWait{24};

// What --wait[=DURATION] said; 0: not given.
using WaitTime = std::chrono::milliseconds;
// `what`: until what it waits, for the help.
void AddWaitFlag(CLI::App* command, WaitTime& out, const std::string& what);

// --timeout of a command that watches a deployment: how long at most; 0: not given.
void AddWatchLimit(CLI::App* command, WaitTime& out);

// What is still missing, for a person; empty: it is so.
using Missing = std::function<absl::StatusOr<std::string>()>;

// Asks until nothing is missing, and says on standard error whenever what is missing changes. A
// controller that is away is tried again. kTimedOut: `limit` is over; kFailed: asking failed for
// good.
ExitCode Await(Context& context, WaitTime limit, const Missing& missing);

// The group has as many instances in service as it wants, and none on its way up or down.
Missing GroupSettled(const ControllerClient& client, const std::string& id);
// Every proxy that is connected serves what it was sent last.
Missing ProxiesFollow(const ControllerClient& client);
// Every listener of the load balancer is open at every live proxy.
Missing Listens(const ControllerClient& client, const std::string& load_balancer);
// The deployment (id) has ended, in whatever way.
Missing DeploymentEnded(const ControllerClient& client, const std::string& id);
// The resource is not there any more.
Missing Gone(const ControllerClient& client, KindId kind, const std::string& id);
// No instance is left on the host.
Missing HostEmpty(const ControllerClient& client, const std::string& id);
// The instance is terminated.
Missing InstanceEnded(const ControllerClient& client, const std::string& id);
// The instance is in the state.
Missing InstanceIs(const ControllerClient& client, const std::string& id, v1::InstanceState state);
// The instance is of no group.
Missing InstanceDetached(const ControllerClient& client, const std::string& id);
// All of them, the first first.
Missing AllOf(std::vector<Missing> parts);

}  // namespace remuda::cli
