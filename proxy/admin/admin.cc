#include "proxy/admin/admin.h"

#include <spdlog/fmt/fmt.h>

#include <iterator>

#include "common/logging.h"
#include "common/message_yaml.h"
#include "proxy/admin/bad_messages_page.h"
#include "proxy/admin/targets_page.h"
#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda::proxy {
namespace {

// A line for each reason; empty: it is ready.
std::string WhyNotReady(const AdminSources& sources) {
  const Coordinator::View view = sources.coordinator->Snapshot();
  std::string out;
  if (view.is_draining) out += "draining\n";
  if (view.adopted_at == std::chrono::steady_clock::time_point()) out += "no config yet\n";
  for (const ListenerReport& report : view.listeners) {
    if (report.error.empty()) continue;
    out += fmt::format("loadBalancers/{}: listener {}: {}\n", report.load_balancer, report.port,
                       report.error);
  }
  const SteadyTime::rep lease_end = sources.control->lease_end.load();
  const auto over = std::chrono::steady_clock::now() - SteadyTime(SteadyTime::duration(lease_end));
  if (lease_end != 0 && over.count() > 0 && !sources.is_ready_without_lease) {
    out += fmt::format(
        "the lease from the controller was over {} s ago: it may have gone on without this proxy\n",
        std::chrono::duration_cast<std::chrono::seconds>(over).count());
  }
  return out;
}

}  // namespace

std::string RenderListeners(const Coordinator& coordinator) {
  const Coordinator::View view = coordinator.Snapshot();
  std::string out = "{\"listeners\":[";
  bool is_first = true;
  for (const ListenerReport& report : view.listeners) {
    fmt::format_to(std::back_inserter(out),
                   "{}\n{{\"load_balancer\":\"{}\",\"address\":\"{}\",\"port\":{},\"actual_port\":{"
                   "},\"error\":\"{}\"}}",
                   is_first ? "" : ",", report.load_balancer, JsonEscape(report.address),
                   report.port, report.actual_port, JsonEscape(report.error));
    is_first = false;
  }
  return out + "\n]}\n";
}

void AddAdminPages(AdminHttp& server, const AdminSources& sources) {
  server.Handle("/metrics", [sources](const AdminRequest&) {
    return AdminResponse{200, "text/plain; version=0.0.4; charset=utf-8", RenderMetrics(sources)};
  });
  server.Handle("/healthz", [](const AdminRequest&) {
    return AdminResponse{200, "text/plain; charset=utf-8", "ok\n"};
  });
  server.Handle("/readyz", [sources](const AdminRequest&) {
    const std::string why_not = WhyNotReady(sources);
    return AdminResponse{why_not.empty() ? 200 : 503, "text/plain; charset=utf-8",
                         why_not.empty() ? "ok\n" : why_not};
  });
  server.Handle("/config", [sources](const AdminRequest&) {
    v1::ProxyConfig config = ConfigOf(*sources.coordinator->Snapshot().table);
    // Whoever may look may not therefore speak for us.
    config.clear_shared_secrets();
    for (auto& certificate : *config.mutable_certificates()) certificate.clear_private_key_pem();
    return AdminResponse{200, "application/json", MessageToJson(config) + "\n"};
  });
  server.Handle("/targets", [sources](const AdminRequest& request) {
    return ServeTargets(*sources.coordinator, request);
  });
  server.Handle("/bad-messages", [sources](const AdminRequest&) {
    return AdminResponse{200, "application/json", RenderBadMessages(*sources.coordinator)};
  });
  server.Handle("/listeners", [sources](const AdminRequest&) {
    return AdminResponse{200, "application/json", RenderListeners(*sources.coordinator)};
  });
}

}  // namespace remuda::proxy
