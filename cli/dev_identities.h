// The identities of the cluster that `remuda dev` runs: its admin's, its hosts' and its proxies',
// got as everywhere else: by tokens, at the controller's join endpoint. Thread: main only.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <vector>

#include "cli/context.h"
#include "cli/dev_plan.h"

namespace remuda::cli {

// Where the admin's identity is.
std::string DevAdminDirectory(const DevOptions& options);

// Gives the admin a new certificate, and each of `programs` one that has none that is good for
// kDevLeastLife more. `controller` and `join` are the addresses of a controller that serves. The
// error names what failed.
absl::Status PrepareDevIdentities(const DevOptions& options, const std::string& controller,
                                  const std::string& join, const std::vector<DevProgram>& programs);

// Puts the cluster into the settings file `path` as context `name`, as the current one: what is
// typed next goes there.
absl::Status PutDevContext(const DevOptions& options, const std::string& controller,
                           const std::string& join, const std::string& name,
                           const std::string& path);

}  // namespace remuda::cli
