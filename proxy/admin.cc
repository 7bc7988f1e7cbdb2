#include "proxy/admin.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <iterator>

#include "common/logging.h"
#include "common/message_yaml.h"
#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda::proxy {
namespace {

// Prometheus' text form, a family at a time.
class Page {
 public:
  void Family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = "remuda_proxy_" + std::string(name);
    fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name_, help, name_,
                   type);
  }
  template <typename T>
  void Value(T value, std::string_view labels = "", std::string_view suffix = "") {
    fmt::format_to(std::back_inserter(text_), "{}{}{} {}\n", name_, suffix, labels, value);
  }
  template <typename T>
  void Single(std::string_view name, std::string_view type, std::string_view help, T value) {
    Family(name, type, help);
    Value(value);
  }
  std::string Take() { return std::move(text_); }

 private:
  std::string name_;
  std::string text_;
};

template <typename Pick>
auto Sum(const Coordinator& coordinator, Pick pick) {
  decltype(pick(std::declval<const WorkerMetrics&>()).Get()) sum = 0;
  for (const auto& worker : coordinator.workers()) sum += pick(worker->metrics()).Get();
  return sum;
}

void AddTraffic(const Coordinator& c, Page& page) {
  const auto counter = [&](std::string_view name, std::string_view help, auto pick) {
    page.Single(name, "counter", help, Sum(c, pick));
  };
  counter(
      "request_count_total", "Requests whose head was read.",
      [](const auto& m) -> const auto& { return m.requests; });
  page.Single("active_connection_count", "gauge", "Client connections now.",
              Sum(
                  c, [](const auto& m) -> const auto& { return m.active_connections; }));
  page.Single("active_tunnel_count", "gauge", "Upgraded and TCP connections now.",
              Sum(
                  c, [](const auto& m) -> const auto& { return m.active_tunnels; }));
  counter(
      "tunnel_count_total", "Upgraded and TCP connections.",
      [](const auto& m) -> const auto& { return m.tunnels; });
  counter(
      "new_connection_count_total", "Client connections accepted.",
      [](const auto& m) -> const auto& { return m.new_connections; });
  counter(
      "rejected_connection_count_total", "Client connections over the limit.",
      [](const auto& m) -> const auto& { return m.rejected_connections; });
  counter(
      "accept_error_count_total", "Accepts that failed, mostly for want of descriptors.",
      [](const auto& m) -> const auto& { return m.accept_errors; });
  page.Family("processed_bytes_total", "counter", "Bytes from and to clients.");
  page.Value(Sum(
                 c, [](const auto& m) -> const auto& { return m.received_bytes; }),
             "{direction=\"received\"}");
  page.Value(Sum(
                 c, [](const auto& m) -> const auto& { return m.sent_bytes; }),
             "{direction=\"sent\"}");
  page.Family("http_code_elb_total", "counter", "Answers of the proxy itself.");
  for (size_t cls = 2; cls <= 5; ++cls) {
    page.Value(Sum(
                   c, [&](const auto& m) -> const auto& { return m.own_codes[cls]; }),
               fmt::format("{{class=\"{}XX\"}}", cls));
  }
  page.Family("http_code_target_total", "counter", "Answers of targets.");
  for (size_t cls = 2; cls <= 5; ++cls) {
    page.Value(Sum(
                   c, [&](const auto& m) -> const auto& { return m.target_codes[cls]; }),
               fmt::format("{{class=\"{}XX\"}}", cls));
  }
  page.Family("answer_reason_total", "counter",
              "Answers of the proxy itself, and answers cut short, by reason.");
  for (size_t i = 1; i < static_cast<size_t>(http::Reason::kCount); ++i) {
    const uint64_t value = Sum(
        c, [&](const auto& m) -> const auto& { return m.reasons[i]; });
    if (value > 0)
      page.Value(value,
                 fmt::format("{{reason=\"{}\"}}", http::NameOf(static_cast<http::Reason>(i))));
  }
  counter(
      "desync_mitigation_mode_non_compliant_total",
      "Requests that were not classified as Acceptable.",
      [](const auto& m) -> const auto& { return m.non_compliant; });
}

void AddUpstream(const Coordinator& c, Page& page) {
  page.Family("target_response_time_seconds", "histogram",
              "From sending a request to the first byte of its response.");
  uint64_t below = 0;
  for (size_t i = 0; i <= kResponseTimeBoundsUs.size(); ++i) {
    below += Sum(
        c, [&](const auto& m) -> const auto& { return m.response_time[i]; });
    const std::string bound =
        i < kResponseTimeBoundsUs.size()
            ? fmt::format("{}", static_cast<double>(kResponseTimeBoundsUs[i]) / 1e6)
            : "+Inf";
    page.Value(below, fmt::format("{{le=\"{}\"}}", bound), "_bucket");
  }
  page.Value(static_cast<double>(Sum(
                 c, [](const auto& m) -> const auto& { return m.response_time_sum_us; })) /
                 1e6,
             "", "_sum");
  page.Value(below, "", "_count");
  const auto counter = [&](std::string_view name, std::string_view help, auto pick) {
    page.Single(name, "counter", help, Sum(c, pick));
  };
  counter(
      "target_connection_error_count_total",
      "Connections to targets that were refused, reset or timed out.",
      [](const auto& m) -> const auto& { return m.target_connection_errors; });
  counter(
      "target_connections_made_total", "New connections to targets.",
      [](const auto& m) -> const auto& { return m.connections_made; });
  counter(
      "target_connections_reused_total", "Requests sent on a pooled connection.",
      [](const auto& m) -> const auto& { return m.connections_reused; });
  counter(
      "retry_count_total", "Requests sent again to another target.",
      [](const auto& m) -> const auto& { return m.retries; });
  counter(
      "retry_refused_count_total", "Safe retries not made because the budget was used up.",
      [](const auto& m) -> const auto& { return m.retries_refused; });
  counter(
      "queued_request_count_total", "Requests that waited for a place at a target.",
      [](const auto& m) -> const auto& { return m.queued; });
  page.Single("queued_requests", "gauge", "Requests that wait for a place at a target now.",
              Sum(
                  c, [](const auto& m) -> const auto& { return m.queued_requests; }));
  counter(
      "fail_open_pick_count_total", "Requests sent while too few of their group were healthy.",
      [](const auto& m) -> const auto& { return m.fail_open_picks; });
}

void AddTargets(const Coordinator& c, Page& page) {
  const Coordinator::View view = c.Snapshot();
  const auto family = [&](std::string_view name, std::string_view help, auto value_of) {
    page.Family(name, "gauge", help);
    for (const auto& [id, group] : view.table->groups)
      page.Value(value_of(*group), fmt::format("{{target_group=\"{}\"}}", id));
  };
  const auto count = [](const TargetGroup& group, bool healthy) {
    size_t sum = 0;
    for (const Member& member : group.members) {
      const bool is_healthy =
          member.target->health() == Health::kHealthy && !member.target->is_passively_out();
      sum += member.admin == AdminState::kActive && is_healthy == healthy;
    }
    return sum;
  };
  family("healthy_host_count", "Active targets that pass their checks.",
         [&](const TargetGroup& g) { return count(g, true); });
  family("un_healthy_host_count", "Active targets that do not pass their checks, or not yet.",
         [&](const TargetGroup& g) { return count(g, false); });
  family("request_count_per_target", "Requests to the group's present targets over their number.",
         [](const TargetGroup& g) {
           double sum = 0;
           for (const Member& member : g.members) {
             for (const TargetSlot& slot : member.target->slots())
               sum += static_cast<double>(slot.requests.Get());
           }
           return g.members.empty() ? 0 : sum / static_cast<double>(g.members.size());
         });
  page.Single("config_epoch", "gauge", "Epoch of the revision in force.",
              view.table->revision.epoch);
  page.Single("config_sequence", "gauge", "Sequence of the revision in force.",
              view.table->revision.sequence);
  const bool has_config = view.adopted_at != std::chrono::steady_clock::time_point();
  const auto age = has_config ? std::chrono::steady_clock::now() - view.adopted_at
                              : std::chrono::steady_clock::duration(0);
  page.Single("config_age_seconds", "gauge", "Since the config in force was adopted.",
              std::chrono::duration<double>(age).count());
}

void AddWorkerTime(const Coordinator& c, Page& page) {
  const auto timer = [&](const std::string& name, const std::string& help, auto pick) {
    uint64_t count = 0;
    uint64_t sum_ns = 0;
    uint64_t max_ns = 0;
    for (const auto& worker : c.workers()) {
      const OwnedTimer& times = pick(worker->metrics());
      count += times.count.Get();
      sum_ns += times.sum_ns.Get();
      max_ns = std::max(max_ns, times.max_ns.Get());
    }
    page.Family(name + "_seconds", "summary", help);
    page.Value(static_cast<double>(sum_ns) / 1e9, "", "_sum");
    page.Value(count, "", "_count");
    page.Single(name + "_max_seconds", "gauge", "The longest of " + name + "_seconds.",
                static_cast<double>(max_ns) / 1e9);
  };
  timer(
      "adopt", "CPU time of workers to adopt a config.",
      [](const auto& m) -> const auto& { return m.adopt_time; });
  timer(
      "repick", "CPU time of workers to list a group's targets again after a change.",
      [](const auto& m) -> const auto& { return m.repick_time; });
}

std::string_view NameOf(Health health) {
  switch (health) {
    case Health::kHealthy:
      return "healthy";
    case Health::kUnhealthy:
      return "unhealthy";
    default:
      return "initial";
  }
}

std::string_view NameOf(AdminState admin) {
  switch (admin) {
    case AdminState::kActive:
      return "active";
    case AdminState::kDraining:
      return "draining";
    case AdminState::kGone:
      return "gone";
    default:
      return "removed";
  }
}

}  // namespace

std::string RenderMetrics(const AdminSources& sources) {
  Page page;
  AddTraffic(*sources.coordinator, page);
  AddUpstream(*sources.coordinator, page);
  AddTargets(*sources.coordinator, page);
  AddWorkerTime(*sources.coordinator, page);
  page.Single("access_log_lost_lines_total", "counter",
              "Access log lines lost because the queue was full.",
              sources.log == nullptr ? 0 : sources.log->lost_lines());
  page.Single("config_nack_total", "counter", "Configs refused.", sources.control->nacks.load());
  page.Single("controller_session_total", "counter", "Sessions with the controller begun.",
              sources.control->sessions.load());
  page.Single("controller_connected", "gauge", "1 while there is a session with the controller.",
              sources.control->is_connected.load() ? 1 : 0);
  return page.Take();
}

std::string RenderTargets(const Coordinator& coordinator) {
  const Coordinator::View view = coordinator.Snapshot();
  std::map<const TargetState*, const HealthChange*> health;
  for (const HealthChange& change : view.health) health[change.target.get()] = &change;
  std::string out = "{\"targets\":[";
  bool is_first = true;
  for (const auto& [id, group] : view.table->groups) {
    for (const Member& member : group->members) {
      const TargetState& target = *member.target;
      const auto it = health.find(&target);
      uint64_t requests = 0;
      uint64_t errors = 0;
      for (const TargetSlot& slot : target.slots()) {
        requests += slot.requests.Get();
        errors += slot.connection_errors.Get();
      }
      fmt::format_to(
          std::back_inserter(out),
          "{}\n{{\"target_group\":\"{}\",\"target\":\"{}\",\"endpoint\":\"{}\",\"subset\":\"{}\","
          "\"weight\":{},"
          "\"subset_weight\":{},\"admin\":\"{}\",\"health\":\"{}\",\"passively_out\":{},\"reason\":"
          "\"{}\","
          "\"description\":\"{}\",\"in_flight\":{},\"requests\":{},\"connection_errors\":{}}}",
          is_first ? "" : ",", id, JsonEscape(target.id()), target.endpoint(),
          JsonEscape(member.config->subset()), member.weight, group->subsets[member.subset].weight,
          NameOf(member.admin), NameOf(target.health()), target.is_passively_out(),
          it == health.end() ? "" : it->second->reason,
          it == health.end() ? "" : JsonEscape(it->second->description), target.InFlight(),
          requests, errors);
      is_first = false;
    }
  }
  return out + "\n]}\n";
}

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
    const Coordinator::View view = sources.coordinator->Snapshot();
    if (view.is_draining) return AdminResponse{503, "text/plain; charset=utf-8", "draining\n"};
    if (view.adopted_at == std::chrono::steady_clock::time_point()) {
      return AdminResponse{503, "text/plain; charset=utf-8", "no config yet\n"};
    }
    for (const ListenerReport& report : view.listeners) {
      if (report.error.empty()) continue;
      return AdminResponse{503, "text/plain; charset=utf-8",
                           "listener " + std::to_string(report.port) + ": " + report.error + "\n"};
    }
    return AdminResponse{200, "text/plain; charset=utf-8", "ok\n"};
  });
  server.Handle("/config", [sources](const AdminRequest&) {
    v1::ProxyConfig config = ConfigOf(*sources.coordinator->Snapshot().table);
    config.clear_shared_secrets();
    return AdminResponse{200, "application/json", MessageToJson(config) + "\n"};
  });
  server.Handle("/targets", [sources](const AdminRequest&) {
    return AdminResponse{200, "application/json", RenderTargets(*sources.coordinator)};
  });
  server.Handle("/listeners", [sources](const AdminRequest&) {
    return AdminResponse{200, "application/json", RenderListeners(*sources.coordinator)};
  });
}

}  // namespace remuda::proxy
