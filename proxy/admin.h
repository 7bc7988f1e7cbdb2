// The proxy's admin pages: /metrics /healthz /readyz /config /targets /listeners. Reads counters
// and snapshots; changes nothing. Handlers run on the admin server's thread.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "common/admin_http.h"
#include "proxy/access_log.h"
#include "proxy/coordinator.h"

namespace remuda::proxy {

// Counters of the session with the controller; constant zeros when there is none.
struct ControlCounters {
  std::atomic<uint64_t> nacks{0};
  std::atomic<uint64_t> sessions{0};
  std::atomic<bool> is_connected{false};
};

struct AdminSources {
  const Coordinator* coordinator = nullptr;
  const AccessLog* log = nullptr;  // may be null
  const ControlCounters* control = nullptr;
};

std::string RenderMetrics(const AdminSources& sources);
std::string RenderTargets(const Coordinator& coordinator);
std::string RenderListeners(const Coordinator& coordinator);

void AddAdminPages(AdminHttp& server, const AdminSources& sources);

}  // namespace remuda::proxy
