// Following a deployment until it ends: drawn again on a terminal, otherwise a line a change.
//
// Owns a thread that reads the stream, and dials again when the controller goes away. Ctrl-C
// (SIGINT, SIGTERM) ends the watching, never the deployment.
#pragma once

#include <chrono>

#include "cli/context.h"
#include "cli/controller_client.h"
#include "remuda/v1/deployment.pb.h"

namespace remuda::cli {

// Blocks SIGINT and SIGTERM for the thread and those it starts, and says whether one came.
// Construct before the first gRPC object.
class InterruptFlag {
 public:
  InterruptFlag();
  InterruptFlag(const InterruptFlag&) = delete;
  InterruptFlag& operator=(const InterruptFlag&) = delete;
  ~InterruptFlag();

  bool Seen();

 private:
  int fd_ = -1;
  bool seen_ = false;
};

struct WatchOptions {
  // The state that is a success; a rollback that was asked for ends in ROLLED_BACK and that is
  // good.
  v1::DeploymentState wanted = v1::DEPLOYMENT_STATE_SUCCEEDED;
  std::chrono::milliseconds limit{0};  // 0: until it ends
};

// kRolledBack: it ended the other way. kFailed: it could go neither on nor back, or cannot be
// followed any more. kTimedOut: the limit is over; the deployment goes on.
ExitCode WatchDeploymentToEnd(Context& context, const ControllerClient& client,
                              const v1::Deployment& deployment, const WatchOptions& options,
                              InterruptFlag& interrupt);

}  // namespace remuda::cli
