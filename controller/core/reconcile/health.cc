#include "controller/core/reconcile/health.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>
#include <vector>

#include "controller/core/model/words.h"

namespace remuda::core {
namespace {

const proxy::v1::TargetHealth* HealthAt(const LiveProxy& proxy, const TargetId& target) {
  return proxy.seen == nullptr ? nullptr : proxy.seen->health.Find(target);
}

// What the first proxy that finds the target unhealthy says of it.
std::string WhyUnhealthy(const std::vector<const LiveProxy*>& serving, const TargetId& target) {
  for (const LiveProxy* proxy : serving) {
    const auto* health = HealthAt(*proxy, target);
    if (health == nullptr || health->state() != v1::TARGET_STATE_UNHEALTHY) continue;
    return absl::StrCat(health->reason(), health->description().empty() ? "" : ", ",
                        health->description());
  }
  return "";
}

}  // namespace

ProcessFact ProcessOf(const Observations& seen, std::string_view id, const v1::Instance& instance) {
  const HostObservation* host = FindObservation(seen.hosts, instance.host());
  if (host == nullptr) return {};
  const auto it = host->instances.find(id);
  const auto* status = it == host->instances.end() ? nullptr : &it->second;
  if (!host->connected || !host->reported) return {Process::kUnknown, status};
  // It is to be changed in place, and its agent has not begun: what runs is what it was before.
  const bool is_pending = instance.state() == v1::INSTANCE_STATE_PENDING ||
                          (instance.state() == v1::INSTANCE_STATE_UNKNOWN &&
                           instance.state_before_unknown() == v1::INSTANCE_STATE_PENDING);
  if (status != nullptr && status->generation() < instance.generation() && is_pending) {
    return {Process::kAwaited, nullptr};
  }
  if (status == nullptr) {
    return {instance.has_start_time() ? Process::kEnded : Process::kAwaited, nullptr};
  }
  switch (status->state()) {
    case agent::v1::PROCESS_STATE_RUNNING:
      return {Process::kRunning, status};
    case agent::v1::PROCESS_STATE_STOPPING:
      return {Process::kStopping, status};
    case agent::v1::PROCESS_STATE_EXITED:
    case agent::v1::PROCESS_STATE_FAILED:
      return {Process::kEnded, status};
    default:
      return {Process::kStarting, status};
  }
}

std::string EndOf(const ProcessFact& fact, const v1::Instance& instance) {
  if (fact.status == nullptr) {
    return absl::StrCat("its process is gone: host ", instance.host(), " has it no more");
  }
  if (fact.status->state() == agent::v1::PROCESS_STATE_FAILED) {
    return absl::StrCat("it could not be started", fact.status->message().empty() ? "" : ": ",
                        fact.status->message());
  }
  const auto& exit = fact.status->exit();
  if (exit.out_of_memory()) return "its process ran out of memory";
  if (exit.requested()) return absl::StrCat("its process was stopped by host ", instance.host());
  if (exit.signal() != 0) {
    // Its agent ended it (it was over a limit): it says why.
    const std::string& why = fact.status->message();
    return absl::StrCat("its process was ended by signal ", exit.signal(), why.empty() ? "" : ": ",
                        why);
  }
  // Nobody saw its end (the host was restarted, its shim was killed): the agent says why.
  if (exit.code() < 0 && !fact.status->message().empty()) {
    return absl::StrCat("its process is gone: ", fact.status->message());
  }
  return absl::StrCat("its process exited with code ", exit.code());
}

Judgement JudgeByProxies(const Gates& gates, std::string_view id,
                         const v1::AutoScalingGroup& group) {
  bool all_healthy = true;
  Judgement unhealthy;
  for (const std::string& target_group : group.target_groups()) {
    const auto& serving = gates.Serving(target_group);
    if (serving.empty()) continue;
    const VoteTotal& votes = gates.VotesOn(target_group, id);
    if (votes.IsUnhealthy()) {
      const std::string why = WhyUnhealthy(serving, {target_group, std::string(id)});
      unhealthy = {.verdict = Verdict::kUnhealthy,
                   .why = absl::StrCat("its health check in target group ", target_group, " failed",
                                       why.empty() ? "" : ": ", why),
                   .is_current = votes.IsUnhealthyNow()};
      if (unhealthy.is_current) return unhealthy;
    }
    if (!votes.IsHealthy()) all_healthy = false;
  }
  if (unhealthy.verdict == Verdict::kUnhealthy) return unhealthy;
  return {.verdict = all_healthy ? Verdict::kHealthy : Verdict::kUnjudged};
}

std::string NotHealthyAt(const Gates& gates, std::string_view id,
                         const v1::AutoScalingGroup& group) {
  for (const std::string& target_group : group.target_groups()) {
    const auto& serving = gates.Serving(target_group);
    if (gates.VotesOn(target_group, id).healthy == static_cast<int>(serving.size())) continue;
    for (const LiveProxy* proxy : serving) {
      const auto* health = HealthAt(*proxy, {target_group, std::string(id)});
      if (health != nullptr && health->state() == v1::TARGET_STATE_HEALTHY) continue;
      return absl::StrCat("proxy ", proxy->id, " does not find ", std::string(id),
                          " healthy in target group ", target_group,
                          health == nullptr || health->reason().empty() ? "" : ": ",
                          health == nullptr ? "" : health->reason());
    }
  }
  return "";
}

std::string UnhealthyText(const Gates& gates, const InstanceList& members,
                          const v1::AutoScalingGroup& group) {
  std::map<std::string, std::vector<std::string>> by_reason;
  int64_t count = 0;
  for (const auto& [id, row] : members) {
    const bool is_up =
        row->state() == v1::INSTANCE_STATE_PENDING || row->state() == v1::INSTANCE_STATE_IN_SERVICE;
    if (!is_up || (!row->unhealthy() && !row->has_start_time())) continue;
    std::string why = row->state_reason();
    if (!row->unhealthy()) {
      const Judgement judgement = JudgeByProxies(gates, id, group);
      if (judgement.verdict != Verdict::kUnhealthy) continue;
      why = judgement.why;
    }
    by_reason[why].push_back(id);
    ++count;
  }
  const auto most = std::max_element(
      by_reason.begin(), by_reason.end(),
      [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
  if (most == by_reason.end()) return "";
  const std::string& example = most->second.front();
  return absl::StrCat(count == 1 ? absl::StrCat("instance ", example, " is not healthy")
                                 : absl::StrCat(Counted(count, "instance"),
                                                " are not healthy, for example ", example),
                      ": ", most->first);
}

Time LostAt(const Observations& seen, std::string_view host) {
  const HostObservation* observed = FindObservation(seen.hosts, host);
  if (observed != nullptr && observed->connected) return absl::InfiniteFuture();
  return LastSeen(seen, observed) + seen.patience.host_lost_after;
}

bool IsLost(const Observations& seen, std::string_view host, Time now) {
  return now >= LostAt(seen, host);
}

}  // namespace remuda::core
