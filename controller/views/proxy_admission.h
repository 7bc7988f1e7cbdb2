// ProxyAdmission: proxies that have joined and are told nothing to serve yet, because hosts filter
// what comes in to instances and have not confirmed that they let these in: a proxy that was sent
// there before would find its targets dead, and fail requests.
//
// A host that has no session is not waited for, and none is for longer than kPatience: then the
// proxy serves all the same, and its own checks say what it reaches. Proxies that are known when
// the controller begins wait for nobody. Owns: who waits for whom. Thread: the loop thread.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "controller/core/model/observations.h"
#include "controller/core/model/state.h"
#include "controller/core/views/ingress.h"

namespace remuda {

class ProxyAdmission {
 public:
  static constexpr absl::Duration kPatience = absl::Seconds(10);

  // Rows of `touched` came, changed or went. `ingress` is up to date.
  void Look(const core::State& state, const core::Ingress& ingress,
            const std::set<std::string>& touched, absl::Time now);
  // Those that have waited long enough, or for nobody any more: they wait no longer.
  std::set<std::string> Admit(const core::Observations& seen, absl::Time now);

  bool IsWaiting(std::string_view proxy) const { return waiting_.contains(proxy); }
  bool empty() const { return waiting_.empty(); }
  // When the first is admitted whatever hosts say; InfiniteFuture: none waits.
  absl::Time due() const;

 private:
  struct Waiting {
    int64_t commit = 0;  // that wrote its row
    std::set<std::string> hosts;
    absl::Time until;
  };
  std::map<std::string, Waiting, std::less<>> waiting_;
  std::set<std::string, std::less<>> known_;
  bool has_begun_ = false;
};

}  // namespace remuda
