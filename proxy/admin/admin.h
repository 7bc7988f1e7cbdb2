// The proxy's admin pages: /metrics /healthz /readyz /config /targets /listeners
// /bad-messages. Reads counters
// and snapshots; changes nothing. Handlers run on the admin server's thread.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "common/admin_http.h"
#include "proxy/admin/metrics_page.h"
#include "proxy/control/coordinator.h"

namespace remuda::proxy {

std::string RenderListeners(const Coordinator& coordinator);

void AddAdminPages(AdminHttp& server, const AdminSources& sources);

}  // namespace remuda::proxy
