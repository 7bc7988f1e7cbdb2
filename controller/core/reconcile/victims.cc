#include "controller/core/reconcile/victims.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <string_view>
#include <tuple>

#include "controller/core/model/instance_state.h"
#include "controller/core/reconcile/health.h"
#include "controller/core/reconcile/sides.h"

namespace remuda::core {
namespace {

// Less: serves less. One whose host is silent may well serve; one that is on its way up does not
// yet. One in service does not as far as the proxies say: it may have come there while there was
// none to ask.
int Serving(const Gates& gates, const v1::AutoScalingGroup& group, const Member& member) {
  const v1::Instance& row = *member.second;
  if (row.unhealthy()) return 0;
  if (IsWithheld(row)) return 1;
  if (row.state() == v1::INSTANCE_STATE_UNKNOWN) return 2;
  if (row.state() != v1::INSTANCE_STATE_IN_SERVICE) return 1;
  switch (JudgeByProxies(gates, member.first, group).verdict) {
    case Verdict::kUnhealthy:
      return 3;
    case Verdict::kUnjudged:
      return 4;
    case Verdict::kHealthy:
      break;
  }
  return row.state_before_unknown() != v1::INSTANCE_STATE_UNSPECIFIED ? 5 : 6;
}

// Requests in flight by instance, as the live proxies last said; asked only if a policy asks.
using InFlight = std::map<std::string_view, int64_t>;

InFlight InFlightOf(const Gates& gates, const v1::AutoScalingGroup& group,
                    const InstanceList& members) {
  InFlight out;
  const auto& policies = group.termination_policies();
  if (std::find(policies.begin(), policies.end(), v1::TERMINATION_POLICY_FEWEST_CONNECTIONS) ==
      policies.end()) {
    return out;
  }
  for (const auto& [id, row] : members) {
    int64_t& sum = out[id];
    for (const LiveProxy& proxy : gates.live()) {
      if (proxy.seen == nullptr) continue;
      for (const std::string& target_group : group.target_groups()) {
        const auto it = proxy.seen->in_flight.find({target_group, id});
        if (it != proxy.seen->in_flight.end()) sum += it->second;
      }
    }
  }
  return out;
}

// Less: ended sooner.
bool EndsBefore(const v1::AutoScalingGroup& group, const InFlight& in_flight, const Member& a,
                const Member& b) {
  const v1::Instance& x = *a.second;
  const v1::Instance& y = *b.second;
  const Time x_born = FromProto(x.create_time());
  const Time y_born = FromProto(y.create_time());
  for (const int policy : group.termination_policies()) {
    switch (policy) {
      case v1::TERMINATION_POLICY_OLDEST_INSTANCE:
        if (x_born != y_born) return x_born < y_born;
        break;
      case v1::TERMINATION_POLICY_NEWEST_INSTANCE:
        if (x_born != y_born) return x_born > y_born;
        break;
      case v1::TERMINATION_POLICY_OLDEST_LAUNCH_TEMPLATE:
        if (x.launch_template().resolved_version() != y.launch_template().resolved_version()) {
          return x.launch_template().resolved_version() < y.launch_template().resolved_version();
        }
        break;
      case v1::TERMINATION_POLICY_FEWEST_CONNECTIONS: {
        const int64_t x_busy = in_flight.find(a.first)->second;
        const int64_t y_busy = in_flight.find(b.first)->second;
        if (x_busy != y_busy) return x_busy < y_busy;
        break;
      }
      default:
        break;
    }
  }
  return std::make_tuple(x.launch_template().resolved_version(), x_born, std::cref(a.first)) <
         std::make_tuple(y.launch_template().resolved_version(), y_born, std::cref(b.first));
}

}  // namespace

InstanceList Unprotected(const InstanceList& members) {
  InstanceList out;
  std::copy_if(members.begin(), members.end(), std::back_inserter(out),
               [](const Member& member) { return !IsProtected(*member.second); });
  return out;
}

std::vector<std::string> ChooseVictims(const Gates& gates, const v1::AutoScalingGroup& group,
                                       InstanceList members, size_t count) {
  std::map<std::string_view, size_t> zones;
  const InFlight in_flight = InFlightOf(gates, group, members);
  const auto ends_before = [&](const Member& a, const Member& b) {
    return EndsBefore(group, in_flight, a, b);
  };
  // By what it serves, by zone: the one that ends first is the last.
  std::map<int, std::map<std::string_view, InstanceList>> ranks;
  for (const Member& member : members) {
    ++zones[member.second->zone()];
    ranks[Serving(gates, group, member)][member.second->zone()].push_back(member);
  }
  std::vector<std::string> victims;
  for (auto& [serving, by_zone] : ranks) {
    for (auto& [zone, list] : by_zone) {
      std::sort(list.begin(), list.end(),
                [&](const Member& a, const Member& b) { return ends_before(b, a); });
    }
    while (victims.size() < count && !by_zone.empty()) {
      const auto best =
          std::min_element(by_zone.begin(), by_zone.end(), [&](const auto& a, const auto& b) {
            const size_t x = zones[a.first];
            const size_t y = zones[b.first];
            return x != y ? x > y : ends_before(a.second.back(), b.second.back());
          });
      --zones[best->first];
      victims.push_back(best->second.back().first);
      best->second.pop_back();
      if (best->second.empty()) by_zone.erase(best);
    }
  }
  return victims;
}

}  // namespace remuda::core
