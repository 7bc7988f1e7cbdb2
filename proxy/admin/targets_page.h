// /targets: what the proxy knows of each target in the config in force, as JSON or as a table for
// people.
#pragma once

#include "common/admin_http.h"
#include "proxy/control/coordinator.h"

namespace remuda::proxy {

// Any thread. Query: `format=text` for the table (JSON otherwise), `target_group=ID` for one group.
AdminResponse ServeTargets(const Coordinator& coordinator, const AdminRequest& request);

}  // namespace remuda::proxy
