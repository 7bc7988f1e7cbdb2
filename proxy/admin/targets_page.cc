#include "proxy/admin/targets_page.h"

#include <spdlog/fmt/fmt.h>

#include <iterator>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/logging.h"
#include "remuda/proxy/v1/config.pb.h"

namespace remuda::proxy {
namespace {

// The reason of a target that refused or reset a connection since its last check.
constexpr std::string_view kRefusedReason = "Remuda.ConnectionRefused";

// Its health as far as requests go.
Health Judged(const TargetState& target) {
  const bool is_doubted = target.health() == Health::kHealthy && !target.is_healthy();
  return is_doubted ? Health::kUnhealthy : target.health();
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

// One target as both forms show it.
struct Row {
  const TargetGroup* group;
  const Member* member;
  const HealthChange* health;  // may be null
  uint64_t in_flight = 0;
  uint64_t requests = 0;
  uint64_t server_errors = 0;
  uint64_t connection_errors = 0;
  uint32_t share_percent = 100;  // of its weight: below 100 while its requests fail oddly

  std::string_view reason() const {
    if (member->target->is_passively_out()) return kRefusedReason;
    return health == nullptr ? std::string_view() : health->reason;
  }
};

Row RowOf(const TargetGroup& group, const Member& member, const HealthChange* health) {
  Row row{&group, &member, health};
  for (const TargetSlot& slot : member.target->slots()) {
    row.in_flight += slot.in_flight.Get();
    row.requests += slot.requests.Get();
    row.server_errors += slot.server_errors.Get();
    row.connection_errors += slot.connection_errors.Get();
  }
  row.share_percent = member.target->share() * 100 / kFullShare;
  return row;
}

void AddJson(const Row& row, std::string& out) {
  const TargetState& target = *row.member->target;
  fmt::format_to(
      std::back_inserter(out),
      "\n{{\"target_group\":\"{}\",\"target\":\"{}\",\"endpoint\":\"{}\",\"subset\":\"{}\","
      "\"zone\":\"{}\",\"weight\":{},\"subset_weight\":{},\"admin\":\"{}\",\"health\":\"{}\","
      "\"passively_out\":{},\"reason\":\"{}\",\"description\":\"{}\",\"share_percent\":{},"
      "\"in_flight\":{},\"requests\":{},\"server_errors\":{},\"connection_errors\":{}}}",
      row.group->id, JsonEscape(target.id()), target.endpoint(),
      JsonEscape(row.member->config->subset()), JsonEscape(row.member->config->zone()),
      row.member->weight, row.group->subsets[row.member->subset].weight, NameOf(row.member->admin),
      NameOf(Judged(target)), target.is_passively_out(), row.reason(),
      row.health == nullptr ? "" : JsonEscape(row.health->description), row.share_percent,
      row.in_flight, row.requests, row.server_errors, row.connection_errors);
}

void AddText(const Row& row, std::string& out) {
  const TargetState& target = *row.member->target;
  std::string state(NameOf(row.member->admin));
  if (row.member->admin == AdminState::kActive) {
    state = target.is_passively_out() ? "refused" : std::string(NameOf(Judged(target)));
  }
  fmt::format_to(std::back_inserter(out),
                 "{:<20} {:<28} {:<10} {:>5}% {:>9} {:>12} {:>8} {:>8}  {}\n", row.group->id,
                 target.id(), state, row.share_percent, row.in_flight, row.requests,
                 row.server_errors, row.connection_errors, row.reason());
}

// The value of `name` in a query of plain words.
std::string_view Parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    const size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name)
      return pair.substr(equals + 1);
    query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
  }
  return {};
}

}  // namespace

AdminResponse ServeTargets(const Coordinator& coordinator, const AdminRequest& request) {
  const bool is_text = Parameter(request.query, "format") == "text";
  const std::string_view wanted = Parameter(request.query, "target_group");
  const Coordinator::View view = coordinator.SnapshotWithHealth();
  if (!wanted.empty() && view.table->groups.count(std::string(wanted)) == 0)
    return {404, "text/plain; charset=utf-8", "there is no such target group\n"};
  std::unordered_map<const TargetState*, const HealthChange*> health;
  health.reserve(view.health.size());
  for (const HealthChange& change : view.health) health[change.target.get()] = &change;

  std::string out = is_text
                        ? fmt::format("{:<20} {:<28} {:<10} {:>6} {:>9} {:>12} {:>8} {:>8}  {}\n",
                                      "GROUP", "TARGET", "STATE", "SHARE", "IN-FLIGHT", "REQUESTS",
                                      "5XX", "FAILED", "REASON")
                        : "{\"targets\":[";
  for (const auto& [id, group] : view.table->groups) {
    if (!wanted.empty() && id != wanted) continue;
    for (const Member& member : group->members) {
      const auto it = health.find(member.target.get());
      const Row row = RowOf(*group, member, it == health.end() ? nullptr : it->second);
      if (is_text) {
        AddText(row, out);
        continue;
      }
      if (out.back() == '}') out += ',';
      AddJson(row, out);
    }
  }
  if (is_text) return {200, "text/plain; charset=utf-8", std::move(out)};
  return {200, "application/json", out + "\n]}\n"};
}

}  // namespace remuda::proxy
