#include "controller/views/proxy_admission.h"

#include <algorithm>
#include <utility>

namespace remuda {

void ProxyAdmission::Look(const core::State& state, const core::Ingress& ingress,
                          const std::set<std::string>& touched, absl::Time now) {
  if (!std::exchange(has_begun_, true)) {
    for (const auto& [proxy, row] : state.All<v1::Proxy>()) known_.insert(proxy);
    return;
  }
  for (const std::string& proxy : touched) {
    const auto* row = state.Find<v1::Proxy>(proxy);
    if (row == nullptr) {
      known_.erase(proxy);
      waiting_.erase(proxy);
      continue;
    }
    if (!known_.insert(proxy).second) continue;
    Waiting waiting{
        .commit = row->commit, .hosts = ingress.HostsThatLetIn(**row), .until = now + kPatience};
    if (!waiting.hosts.empty()) waiting_[proxy] = std::move(waiting);
  }
}

std::set<std::string> ProxyAdmission::Admit(const core::Observations& seen, absl::Time now) {
  std::set<std::string> out;
  for (auto& [proxy, waiting] : waiting_) {
    std::erase_if(waiting.hosts, [&, commit = waiting.commit](const std::string& host) {
      const core::HostObservation* observed = core::FindObservation(seen.hosts, host);
      return observed == nullptr || !observed->connected ||
             observed->assignment.confirmed_commit() >= commit;
    });
    if (waiting.hosts.empty() || waiting.until <= now) out.insert(proxy);
  }
  for (const std::string& proxy : out) waiting_.erase(proxy);
  return out;
}

absl::Time ProxyAdmission::due() const {
  absl::Time first = absl::InfiniteFuture();
  for (const auto& [proxy, waiting] : waiting_) first = std::min(first, waiting.until);
  return first;
}

}  // namespace remuda
