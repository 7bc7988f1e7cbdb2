#include "proxy/admin/metrics_page.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/logging.h"

namespace remuda::proxy {
namespace {

// The value of a label: `\`, `"` and LF are escaped.
std::string Escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
  return out;
}

// Prometheus' text form, a family at a time.
class Page {
 public:
  void Family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = "remuda_proxy_" + std::string(name);
    fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name_, help, name_,
                   type);
  }
  // `labels` without braces.
  template <typename T>
  void Value(T value, std::string_view labels = "", std::string_view suffix = "") {
    if (labels.empty()) {
      fmt::format_to(std::back_inserter(text_), "{}{} {}\n", name_, suffix, value);
    } else {
      fmt::format_to(std::back_inserter(text_), "{}{}{{{}}} {}\n", name_, suffix, labels, value);
    }
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

constexpr size_t kFirstClass = 2;
constexpr size_t kLastClass = 5;

// The sum over the slots of all workers of the counter that `pick` names.
template <typename Slots, typename Pick>
auto SumSlots(const Slots& slots, Pick pick) {
  decltype(pick(*slots.begin()).Get()) sum = 0;
  for (const auto& slot : slots) sum += pick(slot).Get();
  return sum;
}

template <typename Pick>
auto SumWorkers(const Coordinator& coordinator, Pick pick) {
  decltype(pick(std::declval<const WorkerMetrics&>()).Get()) sum = 0;
  for (const auto& worker : coordinator.workers()) sum += pick(worker->metrics()).Get();
  return sum;
}

void AddBalancers(const RoutingTable& table, Page& page) {
  const auto each = [&](auto add) {
    for (const auto& [id, balancer] : table.load_balancers)
      add(balancer->state->slots(), "load_balancer=\"" + id + "\"");
  };
  const auto family = [&](std::string_view name, std::string_view type, std::string_view help,
                          auto pick) {
    page.Family(name, type, help);
    each([&](const auto& slots, const std::string& label) {
      page.Value(SumSlots(slots, pick), label);
    });
  };
  using Slot = const BalancerSlot&;
  family(
      "request_count_total", "counter", "Requests whose head was read.",
      [](Slot s) -> const auto& { return s.requests; });
  family(
      "active_connection_count", "gauge", "Client connections now.",
      [](Slot s) -> const auto& { return s.active_connections; });
  family(
      "new_connection_count_total", "counter", "Client connections accepted.",
      [](Slot s) -> const auto& { return s.new_connections; });
  family(
      "rejected_connection_count_total", "counter", "Client connections over the limit.",
      [](Slot s) -> const auto& { return s.rejected_connections; });
  family(
      "security_group_refused_connection_count_total", "counter",
      "Client connections that no security group of the load balancer let in.",
      [](Slot s) -> const auto& { return s.unwanted_connections; });
  page.Family("processed_bytes_total", "counter", "Bytes from and to clients.");
  each([&](const auto& slots, const std::string& label) {
    page.Value(SumSlots(
                   slots, [](Slot s) -> const auto& { return s.received_bytes; }),
               label + ",direction=\"received\"");
    page.Value(SumSlots(
                   slots, [](Slot s) -> const auto& { return s.sent_bytes; }),
               label + ",direction=\"sent\"");
  });
  page.Family("http_code_elb_total", "counter", "Answers of the proxy itself.");
  each([&](const auto& slots, const std::string& label) {
    for (size_t cls = kFirstClass; cls <= kLastClass; ++cls) {
      page.Value(SumSlots(
                     slots, [&](Slot s) -> const auto& { return s.own_codes[cls]; }),
                 fmt::format("{},class=\"{}XX\"", label, cls));
    }
  });
  family(
      "http_fixed_response_count_total", "counter", "Fixed responses.",
      [](Slot s) -> const auto& { return s.fixed_responses; });
  family(
      "http_redirect_count_total", "counter", "Redirects.",
      [](Slot s) -> const auto& { return s.redirects; });
  family(
      "desync_mitigation_mode_non_compliant_total", "counter",
      "Requests that were classified as anything but compliant.",
      [](Slot s) -> const auto& { return s.non_compliant; });
}

void AddResponseTimes(const std::vector<GroupSlot>& slots, const std::string& label, Page& page) {
  uint64_t below = 0;
  for (size_t i = 0; i <= kResponseTimeBoundsUs.size(); ++i) {
    below += SumSlots(
        slots, [&](const auto& s) -> const auto& { return s.response_times[i]; });
    const std::string bound =
        i < kResponseTimeBoundsUs.size()
            ? fmt::format("{}", static_cast<double>(kResponseTimeBoundsUs[i]) / 1e6)
            : "+Inf";
    page.Value(below, fmt::format("{},le=\"{}\"", label, bound), "_bucket");
  }
  const uint64_t sum_us = SumSlots(
      slots, [](const auto& s) -> const auto& { return s.response_time_sum_us; });
  page.Value(static_cast<double>(sum_us) / 1e6, label, "_sum");
  page.Value(below, label, "_count");
}

void AddGroups(const RoutingTable& table, Page& page) {
  const auto each = [&](auto add) {
    for (const auto& [id, group] : table.groups) add(*group, "target_group=\"" + id + "\"");
  };
  const auto gauge = [&](std::string_view name, std::string_view help, auto value_of) {
    page.Family(name, "gauge", help);
    each([&](const TargetGroup& group, const std::string& label) {
      page.Value(value_of(group), label);
    });
  };
  const auto counter = [&](std::string_view name, std::string_view help, auto pick) {
    page.Family(name, "counter", help);
    each([&](const TargetGroup& group, const std::string& label) {
      page.Value(SumSlots(group.state->slots(), pick), label);
    });
  };
  using Slot = const GroupSlot&;
  counter(
      "target_group_request_count_total", "Requests given to targets; a repeat counts again.",
      [](Slot s) -> const auto& { return s.requests; });
  page.Family("http_code_target_total", "counter", "Answers of targets.");
  each([&](const TargetGroup& group, const std::string& label) {
    for (size_t cls = kFirstClass; cls <= kLastClass; ++cls) {
      page.Value(SumSlots(
                     group.state->slots(), [&](Slot s) -> const auto& { return s.codes[cls]; }),
                 fmt::format("{},class=\"{}XX\"", label, cls));
    }
  });
  page.Family("target_response_time_seconds", "histogram",
              "From sending a request to the first byte of its response.");
  each([&](const TargetGroup& group, const std::string& label) {
    AddResponseTimes(group.state->slots(), label, page);
  });
  counter(
      "target_connection_error_count_total",
      "Connections to targets that were refused, reset or timed out.",
      [](Slot s) -> const auto& { return s.connection_errors; });
  counter(
      "target_unasked_bytes_count_total",
      "Times that a target sent bytes which no request asked for.",
      [](Slot s) -> const auto& { return s.unasked; });
  counter(
      "held_request_count_total", "Requests that had to wait for a first target.",
      [](Slot s) -> const auto& { return s.held; });
  counter(
      "refused_request_count_total",
      "Requests that were answered because no target, or none with a place, would take them.",
      [](Slot s) -> const auto& { return s.refused; });
  gauge("held_requests", "Requests that wait for a first target now.",
        [](const TargetGroup& group) { return group.state->CountHeld(); });
  gauge("held_request_bytes",
        "What was read of the bodies of requests that wait for a first target.",
        [](const TargetGroup& group) { return group.state->held_bytes(); });
  const auto count = [](const TargetGroup& group, bool healthy) {
    return std::count_if(group.members.begin(), group.members.end(), [&](const Member& member) {
      return member.admin == AdminState::kActive && member.target->is_healthy() == healthy;
    });
  };
  gauge("healthy_host_count", "Active targets that pass their checks.",
        [&](const TargetGroup& group) { return count(group, true); });
  gauge("un_healthy_host_count", "Active targets that do not pass their checks, or not yet.",
        [&](const TargetGroup& group) { return count(group, false); });
  gauge("mitigated_host_count", "Active targets that get less because their requests fail oddly.",
        [](const TargetGroup& group) {
          return std::count_if(group.members.begin(), group.members.end(), [](const Member& m) {
            return m.admin == AdminState::kActive && m.target->share() < kFullShare;
          });
        });
  gauge("request_count_per_target", "Requests to the group's present targets over their number.",
        [](const TargetGroup& group) {
          uint64_t sum = 0;
          for (const Member& member : group.members) {
            sum += SumSlots(
                member.target->slots(),
                [](const TargetSlot& s) -> const auto& { return s.requests; });
          }
          return group.members.empty()
                     ? 0.0
                     : static_cast<double>(sum) / static_cast<double>(group.members.size());
        });
}

void AddTargets(const RoutingTable& table, Page& page) {
  std::vector<std::pair<const TargetState*, std::string>> targets;
  size_t total = 0;
  for (const auto& [id, group] : table.groups) {
    total += group->members.size();
    for (const Member& member : group->members) {
      if (targets.size() == kMaxTargetSeries) break;
      targets.emplace_back(member.target.get(), fmt::format("target_group=\"{}\",target=\"{}\"", id,
                                                            Escape(member.target->id())));
    }
  }
  const auto family = [&](std::string_view name, std::string_view type, std::string_view help,
                          auto value_of) {
    page.Family(name, type, help);
    for (const auto& [target, labels] : targets) page.Value(value_of(*target), labels);
  };
  const auto counter = [&](std::string_view name, std::string_view help, auto pick) {
    family(name, "counter", help,
           [&](const TargetState& target) { return SumSlots(target.slots(), pick); });
  };
  using Slot = const TargetSlot&;
  counter(
      "target_request_count_total", "Requests given to the target.",
      [](Slot s) -> const auto& { return s.requests; });
  counter(
      "target_error_count_total", "Answers of the target with a code of 500 or above.",
      [](Slot s) -> const auto& { return s.server_errors; });
  counter(
      "target_failure_count_total", "Requests that failed before or within the response.",
      [](Slot s) -> const auto& { return s.connection_errors; });
  family("target_in_flight_count", "gauge", "Requests under way.",
         [](const TargetState& target) { return target.InFlight(); });
  family("target_healthy", "gauge", "1 if it passes its checks.",
         [](const TargetState& target) { return target.is_healthy() ? 1 : 0; });
  page.Single("target_series_omitted", "gauge", "Targets without series of their own.",
              total - targets.size());
}

void AddSubsets(const RoutingTable& table, Page& page) {
  std::vector<std::pair<std::string, SubsetCounts>> subsets;
  for (const auto& [id, group] : table.groups) {
    for (const SubsetSpec& subset : group->subsets) {
      if (subsets.size() == kMaxTargetSeries) break;
      subsets.emplace_back(
          fmt::format("target_group=\"{}\",subset=\"{}\"", id, Escape(subset.name)),
          subset.state->Sum());
    }
  }
  const auto counter = [&](std::string_view name, std::string_view help,
                           int64_t SubsetCounts::*count) {
    page.Family(name, "counter", help);
    for (const auto& [labels, counts] : subsets) page.Value(counts.*count, labels);
  };
  counter("subset_request_count_total",
          "Requests sent to targets of the subset that have ended; a repeat counts again.",
          &SubsetCounts::requests);
  counter("subset_error_count_total",
          "Of them answered with a code of 500 or above, or ended by the target without an answer.",
          &SubsetCounts::errors);
  counter("mirrored_request_count_total", "Copies of requests sent to the subset that have ended.",
          &SubsetCounts::mirrored);
  counter("mirrored_error_count_total",
          "Of them answered with a code of 500 or above, or not answered.",
          &SubsetCounts::mirrored_errors);
}

void AddProcess(const Coordinator& c, Page& page) {
  const auto counter = [&](std::string_view name, std::string_view help, auto pick) {
    const uint64_t sum = SumWorkers(c, pick);
    page.Single(name, "counter", help, sum);
    return sum;
  };
  using Worker = const WorkerMetrics&;
  page.Family("answer_reason_total", "counter",
              "Answers of the proxy itself, and answers cut short, by reason.");
  for (size_t i = 1; i < static_cast<size_t>(http::Reason::kCount); ++i) {
    const uint64_t value = SumWorkers(
        c, [&](Worker m) -> const auto& { return m.reasons[i]; });
    if (value == 0) continue;
    page.Value(value, fmt::format("reason=\"{}\"", http::NameOf(static_cast<http::Reason>(i))));
  }
  page.Family("target_bad_response_count_total", "counter",
              "Answers of targets that were refused, by the rule that they broke.");
  for (size_t i = 1; i < static_cast<size_t>(http::Reason::kCount); ++i) {
    const uint64_t value = SumWorkers(
        c, [&](Worker m) -> const auto& { return m.bad_response_rules[i]; });
    if (value == 0) continue;
    page.Value(value, fmt::format("rule=\"{}\"", http::NameOf(static_cast<http::Reason>(i))));
  }
  counter(
      "dropped_field_count_total", "Requests with a field that did not go on for its name.",
      [](Worker m) -> const auto& { return m.dropped_fields; });
  counter(
      "accept_error_count_total", "Accepts that failed, mostly for want of descriptors.",
      [](Worker m) -> const auto& { return m.accept_errors; });
  counter(
      "idle_connection_closed_count_total",
      "Idle client connections that were closed to make room for others.",
      [](Worker m) -> const auto& { return m.idle_closed; });
  counter(
      "http2_connection_count_total", "Client connections that spoke HTTP/2.",
      [](Worker m) -> const auto& { return m.http2_connections; });
  counter(
      "http2_stream_count_total", "Requests that came on HTTP/2 streams.",
      [](Worker m) -> const auto& { return m.http2_streams; });
  counter(
      "http2_refused_stream_count_total",
      "HTTP/2 streams refused for want of room, or because their connection was about to end.",
      [](Worker m) -> const auto& { return m.http2_refused_streams; });
  counter(
      "http2_abusive_connection_count_total",
      "HTTP/2 connections ended for an error or a flood of the client's.",
      [](Worker m) -> const auto& { return m.http2_errors; });
  const uint64_t made = counter(
      "target_connections_made_total", "New connections to targets.",
      [](Worker m) -> const auto& { return m.connections_made; });
  const uint64_t reused = counter(
      "target_connections_reused_total", "Requests sent on a pooled connection.",
      [](Worker m) -> const auto& { return m.connections_reused; });
  page.Single(
      "target_connection_reuse_ratio", "gauge",
      "Requests on a pooled connection over all, since the start.",
      made + reused == 0 ? 0.0 : static_cast<double>(reused) / static_cast<double>(made + reused));
  counter(
      "retry_count_total", "Requests sent again to another target.",
      [](Worker m) -> const auto& { return m.retries; });
  counter(
      "retry_refused_count_total", "Safe retries not made because the budget was used up.",
      [](Worker m) -> const auto& { return m.retries_refused; });
  counter(
      "mirror_skipped_count_total", "Requests that were not mirrored for want of room.",
      [](Worker m) -> const auto& { return m.copies_skipped; });
  counter(
      "queued_request_count_total", "Requests that waited for a place at a target.",
      [](Worker m) -> const auto& { return m.queued; });
  page.Single("queued_requests", "gauge", "Requests that wait for a place at a target now.",
              SumWorkers(
                  c, [](Worker m) -> const auto& { return m.queued_requests; }));
  counter(
      "proxy_protocol_error_count_total",
      "Connections of trusted senders without a valid PROXY protocol header.",
      [](Worker m) -> const auto& { return m.proxy_protocol_errors; });
  counter(
      "tunnel_count_total", "Upgraded and TCP connections.",
      [](Worker m) -> const auto& { return m.tunnels; });
  page.Single("active_tunnel_count", "gauge", "Upgraded and TCP connections now.",
              SumWorkers(
                  c, [](Worker m) -> const auto& { return m.active_tunnels; }));
  page.Single("passive_ejection_count_total", "counter",
              "Targets taken out for a while because requests to them failed.", c.ejections());
  counter(
      "fail_open_pick_count_total", "Requests sent while too few of their group were healthy.",
      [](Worker m) -> const auto& { return m.fail_open_picks; });
}

void AddTls(const Coordinator& c, Page& page) {
  using Worker = const WorkerMetrics&;
  page.Family("client_tls_negotiation_error_count_total", "counter",
              "TLS handshakes with clients that failed.");
  for (size_t i = 1; i < static_cast<size_t>(tls::HandshakeFailure::kCount); ++i) {
    const uint64_t value = SumWorkers(
        c, [&](Worker m) -> const auto& { return m.tls_failures[i]; });
    page.Value(value,
               fmt::format("reason=\"{}\"", tls::NameOf(static_cast<tls::HandshakeFailure>(i))));
  }
  const auto counter = [&](std::string_view name, std::string_view help, auto pick) {
    page.Single(name, "counter", help, SumWorkers(c, pick));
  };
  counter(
      "client_tls_handshake_count_total", "TLS handshakes with clients that succeeded.",
      [](Worker m) -> const auto& { return m.tls_handshakes; });
  counter(
      "client_tls_resumption_count_total", "Of them, those that resumed a session.",
      [](Worker m) -> const auto& { return m.tls_resumptions; });
  counter(
      "target_tls_negotiation_error_count_total", "TLS handshakes with targets that failed.",
      [](Worker m) -> const auto& { return m.target_tls_failures; });
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
      [](const WorkerMetrics& m) -> const auto& { return m.adopt_time; });
  timer(
      "repick", "CPU time of workers to list a group's targets again after a change.",
      [](const WorkerMetrics& m) -> const auto& { return m.repick_time; });
}

void AddConfig(const Coordinator::View& view, const AdminSources& sources, Page& page) {
  page.Single("config_epoch", "gauge", "Epoch of the revision in force.",
              view.table->revision.epoch);
  page.Single("config_sequence", "gauge", "Sequence of the revision in force.",
              view.table->revision.sequence);
  const bool has_config = view.adopted_at != std::chrono::steady_clock::time_point();
  const auto age = has_config ? std::chrono::steady_clock::now() - view.adopted_at
                              : std::chrono::steady_clock::duration(0);
  page.Single("config_age_seconds", "gauge", "Since the config in force was adopted.",
              std::chrono::duration<double>(age).count());
  page.Family("config_reload_total", "counter", "Config files read again (SIGHUP).");
  page.Value(sources.control->reloads.load(), "result=\"success\"");
  page.Value(sources.control->failed_reloads.load(), "result=\"failure\"");
  page.Single("config_nack_total", "counter", "Configs refused.", sources.control->nacks.load());
  page.Single("takeovers_total", "counter",
              "Times that a new process took over from the one before, counted on by each.",
              sources.control->takeovers.load());
  page.Single("failed_takeovers_total", "counter",
              "Takeovers that were begun, but not ended: the process served on.",
              sources.control->failed_takeovers.load());
  page.Single("controller_session_total", "counter", "Sessions with the controller begun.",
              sources.control->sessions.load());
  page.Single("controller_connected", "gauge", "1 while there is a session with the controller.",
              sources.control->is_connected.load() ? 1 : 0);
  page.Single("log_lost_lines_total", "counter",
              "Lines of the program's log that did not fit because nobody read them.",
              LostLogLines());
  if (const SteadyTime::rep end = sources.control->lease_end.load(); end != 0) {
    const auto left = SteadyTime(SteadyTime::duration(end)) - std::chrono::steady_clock::now();
    page.Single("lease_remaining_seconds", "gauge",
                "Until the controller may go on without this proxy; below 0: it may.",
                std::chrono::duration<double>(left).count());
  }
  page.Single("connection_visit_count_total", "counter",
              "Connections looked at because a target had left or failed its checks.",
              SumWorkers(
                  *sources.coordinator,
                  [](const WorkerMetrics& m) -> const auto& { return m.visited_connections; }));
  page.Single("skipped_health_check_count_total", "counter",
              "Checks not made for want of the proxy's own descriptors, memory or ports.",
              sources.coordinator->skipped_checks());
  page.Single("access_log_lost_lines_total", "counter",
              "Lines of the access log that did not fit or could not be written.",
              sources.log == nullptr ? 0 : sources.log->lost_lines());
}

}  // namespace

std::string RenderMetrics(const AdminSources& sources) {
  const Coordinator& coordinator = *sources.coordinator;
  const Coordinator::View view = coordinator.Snapshot();
  Page page;
  AddBalancers(*view.table, page);
  AddGroups(*view.table, page);
  AddTargets(*view.table, page);
  AddSubsets(*view.table, page);
  AddProcess(coordinator, page);
  AddTls(coordinator, page);
  AddWorkerTime(coordinator, page);
  AddConfig(view, sources, page);
  return page.Take();
}

}  // namespace remuda::proxy
