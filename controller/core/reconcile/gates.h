// Gates: which proxies count, and what all of them have confirmed. Promise 2 of the design stands
// on this file.
//
// Owns: a summary of the proxies at one moment; drawing it up costs a look at each, and at nothing
// else. Does not own: the draft and the observations, which must outlive it. Thread: the loop
// thread. Pure.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controller/core/model/draft.h"
#include "controller/core/model/observations.h"
#include "controller/core/model/votes.h"

namespace remuda::core {

// A proxy that may be sending requests: it has a session, or its lease is not over.
struct LiveProxy {
  std::string id;
  std::shared_ptr<const v1::Proxy> row;    // never null
  const ProxyObservation* seen = nullptr;  // null: nothing heard since the controller began
  // When it stops to count if it stays silent; InfiniteFuture while it has a session.
  Time lease_end = absl::InfiniteFuture();

  bool Connected() const { return seen != nullptr && seen->connected; }
  bool Confirmed(std::optional<int64_t> commit) const {
    return commit.has_value() && seen != nullptr && seen->confirmed_commit >= *commit;
  }
  // Whether what it said last of a target is what it finds now.
  bool IsCurrent() const { return Connected() && seen->reported; }
};

// Proxies whose leases end within this and one lease more fell silent together: longer than it
// takes until what they may still send to is ended without them.
inline constexpr Duration kProxyLossSpan = absl::Seconds(60);

// Whether the proxy counts for gates at `now`.
bool IsLive(const Observations& seen, const ProxyObservation* proxy, Time now);

// When a proxy that is not live was last there: by its row, unless this controller has heard it.
Time LastThere(const Observations& seen, const v1::Proxy& row, const ProxyObservation* proxy);

// The newest commit that every live proxy of the state has confirmed: above all numbers if none is
// live.
int64_t ConfirmedByAll(const State& state, const Observations& seen, Time now);

// Whether the proxy's labels hold all that the load balancer selects.
bool Serves(const v1::Proxy& proxy, const v1::LoadBalancer& load_balancer);

// Of `lost` (when, and who), those that were lost within one span in which more than half of those
// that were there until then were, out of `known` in all. Nobody, where fewer than `least` were
// there.
std::set<std::string, std::less<>> LostTogether(std::vector<std::pair<Time, std::string>> lost,
                                                size_t known, Duration span, size_t least);

// Ids of the target groups that the load balancer forwards to.
std::set<std::string> TargetGroupsOf(const v1::LoadBalancer& load_balancer);

class Gates {
 public:
  Gates(const Draft& draft, const Observations& seen, Time now);
  Gates(const Gates&) = delete;
  Gates& operator=(const Gates&) = delete;

  const std::vector<LiveProxy>& live() const { return live_; }

  // Whether every live proxy has in force what the commit wrote. nullopt (not committed yet): only
  // if no proxy is live.
  bool Confirmed(std::optional<int64_t> commit) const;
  // Why not, for a person: names the first proxy. Empty if confirmed.
  std::string Unconfirmed(std::optional<int64_t> commit) const;
  // The commits that were asked for since the last call and that not all have confirmed: whoever
  // asked has to look again when they have.
  std::set<int64_t> TakeAwaited() const { return std::exchange(awaited_, {}); }
  // The first live proxy that has refused the newest config it was sent, and why; empty if there is
  // none.
  std::string Refusal() const;
  // The earliest end of a lease: a gate may open then. InfiniteFuture if all live proxies have
  // sessions.
  Time NextLeaseEnd() const;

  // Proxies that do not count because their lease is over, though they may serve their last config
  // to whoever still reaches them, for a person: "proxy p2 (silent for 40s)". Empty if there is
  // none.
  const std::string& LeftOut() const { return left_out_; }
  // When the lease of the last such proxy that serves the target group ended; InfinitePast if there
  // is none.
  Time CutOffSince(std::string_view target_group) const;

  // Why nothing can be proven for a group of these target groups: of all proxies that serve one of
  // them none is live, or more than half of those that were live fell silent together. Names them,
  // and says what to do; empty if enough are live, or if none ever served any.
  const std::string& Silenced(
      const google::protobuf::RepeatedPtrField<std::string>& target_groups) const;

  // Whether a load balancer forwards to the target group.
  bool InUse(std::string_view target_group) const;
  // Live proxies that serve a load balancer which forwards to the target group.
  const std::vector<const LiveProxy*>& Serving(std::string_view target_group) const;

  // What the live proxies that serve the target group report on the target.
  const VoteTotal& VotesOn(std::string_view target_group, std::string_view target) const;

  // Target groups in which the target still has requests in flight at a live proxy; empty set if
  // none.
  const std::set<std::string>& BusyIn(std::string_view target) const;

 private:
  std::string SilencedText(
      const google::protobuf::RepeatedPtrField<std::string>& target_groups) const;

  void AddSilent(const v1::LoadBalancer& balancer, const std::vector<LiveProxy>& left_out);
  Votes::Voters Voters() const;
  void CountVotes() const;
  void CountBusy() const;

  const Observations& seen_;
  std::vector<LiveProxy> live_;  // by name
  int64_t confirmed_by_all_ = 0;
  const LiveProxy* refuses_ = nullptr;  // the first that has refused its config
  mutable std::set<int64_t> awaited_;
  Votes::Basis basis_;
  mutable int64_t basis_number_ = 0;
  std::shared_ptr<const ServingProxies> serving_;  // of live_
  // What Serving has answered.
  mutable std::map<std::string, std::vector<const LiveProxy*>, std::less<>> asked_;
  mutable bool has_counted_busy_ = false;
  mutable std::map<std::string, std::set<std::string>, std::less<>> busy_;  // by target
  std::string left_out_;
  // By target group in use: the proxies that serve it and are not live, and when their leases
  // ended.
  std::map<std::string, std::map<std::string, Time>, std::less<>> silent_;
  Duration loss_span_;
  mutable std::map<std::string, std::string> silenced_;  // what Silenced answered, by its question
};

}  // namespace remuda::core
