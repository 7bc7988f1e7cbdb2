#include "controller/core/reconcile/gates.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <iterator>
#include <limits>

#include "controller/core/model/words.h"

namespace remuda::core {
namespace {

// Proxies that are named of those that are left out.
constexpr size_t kLeftOutNamed = 5;

void AddTargetGroups(const v1::Action& action, std::set<std::string>& out) {
  for (const auto& target_group : action.forward().target_groups())
    out.insert(target_group.target_group());
}

std::string RefusalOf(const LiveProxy& proxy) {
  if (proxy.seen == nullptr || !proxy.seen->config.has_rejected()) return "";
  return absl::StrCat("proxy ", proxy.id, " refused its config because of ",
                      proxy.seen->config.rejected_resource(), ": ",
                      proxy.seen->config.rejected_reason());
}

// "proxy p2 (silent for 40s)", or "proxies p2 (silent for 40s), p3 (silent for 1h) and 4 more".
std::string Text(const std::vector<LiveProxy>& proxies, Duration lease, Time now) {
  std::vector<std::string> names;
  for (const LiveProxy& proxy : proxies) {
    const Duration silent = now - (proxy.lease_end - lease);
    names.push_back(absl::StrCat(proxy.id, " (silent for ",
                                 absl::FormatDuration(absl::Trunc(silent, absl::Seconds(1))), ")"));
  }
  if (names.empty()) return "";
  const char* what = names.size() == 1 ? "proxy " : "proxies ";
  return absl::StrCat(what, Listed(std::move(names), kLeftOutNamed));
}

// Costs a look at each proxy for each load balancer.
std::shared_ptr<const ServingProxies> FindServing(const Votes::Basis& basis) {
  auto out = std::make_shared<ServingProxies>();
  out->proxies = basis.proxies;
  out->balancers = basis.balancers;
  for (const auto& balancer : basis.balancers) {
    std::vector<size_t> those;
    for (size_t i = 0; i < basis.proxies.size(); ++i) {
      if (Serves(*basis.proxies[i], *balancer)) those.push_back(i);
    }
    for (const std::string& target_group : TargetGroupsOf(*balancer)) {
      std::vector<size_t>& serving = out->by_target_group[target_group];
      std::vector<size_t> both;
      std::set_union(serving.begin(), serving.end(), those.begin(), those.end(),
                     std::back_inserter(both));
      serving = std::move(both);
    }
  }
  return out;
}

}  // namespace

bool IsLive(const Observations& seen, const ProxyObservation* proxy, Time now) {
  return (proxy != nullptr && proxy->connected) ||
         now < LastSeen(seen, proxy) + seen.patience.proxy_lease;
}

Time LastThere(const Observations& seen, const v1::Proxy& row, const ProxyObservation* proxy) {
  const bool heard = proxy != nullptr && proxy->last_seen >= seen.start;
  if (!heard && row.has_last_seen_time()) return FromProto(row.last_seen_time());
  return LastSeen(seen, proxy);
}

bool Serves(const v1::Proxy& proxy, const v1::LoadBalancer& load_balancer) {
  return std::all_of(load_balancer.proxy_selector().begin(), load_balancer.proxy_selector().end(),
                     [&](const auto& wanted) {
                       const auto it = proxy.labels().find(wanted.first);
                       return it != proxy.labels().end() && it->second == wanted.second;
                     });
}

std::set<std::string, std::less<>> LostTogether(std::vector<std::pair<Time, std::string>> lost,
                                                size_t known, Duration span, size_t least) {
  std::sort(lost.begin(), lost.end());
  std::set<std::string, std::less<>> out;
  size_t end = 0;     // of the span that begins with `first`
  size_t marked = 0;  // all before it are in `out` or will not be
  for (size_t first = 0; first < lost.size(); ++first) {
    while (end < lost.size() && lost[end].first <= lost[first].first + span) ++end;
    const size_t there = known - first;
    if (there < least || 2 * (end - first) <= there) continue;
    for (size_t i = std::max(first, marked); i < end; ++i) out.insert(lost[i].second);
    marked = end;
  }
  return out;
}

std::set<std::string> TargetGroupsOf(const v1::LoadBalancer& load_balancer) {
  std::set<std::string> out;
  for (const auto& listener : load_balancer.listeners()) {
    AddTargetGroups(listener.default_action(), out);
    for (const auto& rule : listener.rules()) AddTargetGroups(rule.action(), out);
  }
  return out;
}

int64_t ConfirmedByAll(const State& state, const Observations& seen, Time now) {
  int64_t least = std::numeric_limits<int64_t>::max();
  for (const auto& [id, row] : state.All<v1::Proxy>()) {
    const ProxyObservation* observed = FindObservation(seen.proxies, id);
    if (!IsLive(seen, observed, now)) continue;
    least = std::min(least, observed == nullptr ? 0 : observed->confirmed_commit);
  }
  return least;
}

Gates::Gates(const Draft& draft, const Observations& seen, Time now)
    : seen_(seen),
      confirmed_by_all_(std::numeric_limits<int64_t>::max()),
      loss_span_(seen.patience.proxy_lease + kProxyLossSpan) {
  std::vector<LiveProxy> left_out;  // not live, that is
  draft.ForEachRowFrom<v1::Proxy>("", [&](const std::string& id, const auto& row) {
    const ProxyObservation* observed = FindObservation(seen.proxies, id);
    LiveProxy proxy{.id = id, .row = row, .seen = observed};
    if (IsLive(seen, observed, now)) {
      if (!proxy.Connected()) {
        proxy.lease_end = LastSeen(seen, observed) + seen.patience.proxy_lease;
      }
      confirmed_by_all_ =
          std::min(confirmed_by_all_, observed == nullptr ? 0 : observed->confirmed_commit);
      live_.push_back(std::move(proxy));
    } else if (observed == nullptr || !observed->has_left) {
      proxy.lease_end = LastThere(seen, *row, observed) + seen.patience.proxy_lease;
      left_out.push_back(std::move(proxy));
    }
    return true;
  });
  for (const LiveProxy& proxy : live_) {
    basis_.proxies.push_back(proxy.row);
    basis_.is_current.push_back(proxy.IsCurrent());
    basis_.reports.push_back(proxy.seen == nullptr ? nullptr : &proxy.seen->health);
    if (refuses_ == nullptr && !RefusalOf(proxy).empty()) refuses_ = &proxy;
  }
  draft.ForEachRowFrom<v1::LoadBalancer>("", [&](const std::string&, const auto& row) {
    basis_.balancers.push_back(row);
    if (!left_out.empty()) AddSilent(*row, left_out);
    return true;
  });
  if (seen.serving == nullptr || seen.serving->proxies != basis_.proxies ||
      seen.serving->balancers != basis_.balancers) {
    seen.serving = FindServing(basis_);
  }
  serving_ = seen.serving;
  left_out_ = Text(left_out, seen.patience.proxy_lease, now);
  CountVotes();
  for (const LiveProxy& proxy : live_) {
    if (proxy.seen != nullptr) seen.votes.CountNew(proxy.id, proxy.seen->health);
  }
}

void Gates::AddSilent(const v1::LoadBalancer& balancer, const std::vector<LiveProxy>& left_out) {
  std::map<std::string, Time> silent;
  for (const LiveProxy& proxy : left_out) {
    if (Serves(*proxy.row, balancer)) silent[proxy.id] = proxy.lease_end;
  }
  if (silent.empty()) return;
  for (const std::string& target_group : TargetGroupsOf(balancer)) {
    silent_[target_group].insert(silent.begin(), silent.end());
  }
}

Votes::Voters Gates::Voters() const {
  Votes::Voters out;
  for (const auto& [target_group, serving] : serving_->by_target_group) {
    auto& voters = out[target_group];
    for (const size_t index : serving) {
      const LiveProxy& proxy = live_[index];
      voters.push_back({.proxy = proxy.id,
                        .reports = proxy.seen == nullptr ? nullptr : &proxy.seen->health,
                        .is_current = proxy.IsCurrent()});
    }
  }
  return out;
}

void Gates::CountVotes() const {
  basis_number_ = seen_.votes.Count(
      basis_, [this] { return Voters(); },
      [this](std::string_view proxy) {
        const ProxyObservation* observed = FindObservation(seen_.proxies, proxy);
        return observed == nullptr ? nullptr : &observed->health;
      });
}

void Gates::CountBusy() const {
  has_counted_busy_ = true;
  for (const LiveProxy& proxy : live_) {
    if (proxy.seen == nullptr) continue;
    for (const auto& [target, count] : proxy.seen->busy) {
      if (count > 0) busy_[target.second].insert(target.first);
    }
  }
}

Time Gates::CutOffSince(std::string_view target_group) const {
  Time since = absl::InfinitePast();
  if (const auto it = silent_.find(target_group); it != silent_.end()) {
    for (const auto& [proxy, lease_end] : it->second) since = std::max(since, lease_end);
  }
  return since;
}

const std::string& Gates::Silenced(
    const google::protobuf::RepeatedPtrField<std::string>& target_groups) const {
  const auto [it, is_new] = silenced_.try_emplace(absl::StrJoin(target_groups, ","));
  if (is_new) it->second = SilencedText(target_groups);
  return it->second;
}

std::string Gates::SilencedText(
    const google::protobuf::RepeatedPtrField<std::string>& target_groups) const {
  std::map<std::string, Time> silent;
  std::set<std::string_view> live;
  for (const std::string& target_group : target_groups) {
    const auto it = silent_.find(target_group);
    if (it != silent_.end()) silent.insert(it->second.begin(), it->second.end());
  }
  if (silent.empty()) return "";
  for (const std::string& target_group : target_groups) {
    for (const LiveProxy* proxy : Serving(target_group)) live.insert(proxy->id);
  }
  std::set<std::string, std::less<>> who;
  if (live.empty()) {
    for (const auto& [proxy, lease_end] : silent) who.insert(proxy);
  } else {
    std::vector<std::pair<Time, std::string>> lost;
    for (const auto& [proxy, lease_end] : silent) lost.emplace_back(lease_end, proxy);
    who = LostTogether(std::move(lost), silent.size() + live.size(), loss_span_, 1);
  }
  if (who.empty()) return "";
  return absl::StrCat(
      live.empty() ? "every proxy" : "more than half of the proxies", " fell silent (",
      Listed({who.begin(), who.end()}, kLeftOutNamed),
      ") and may serve on: no deployment goes on and nothing is ended until "
      "enough of them are back; `remuda delete proxy NAME` for each that is gone for good");
}

bool Gates::Confirmed(std::optional<int64_t> commit) const {
  if (!commit.has_value()) return live_.empty();
  if (*commit <= confirmed_by_all_) return true;
  awaited_.insert(*commit);
  return false;
}

std::string Gates::Unconfirmed(std::optional<int64_t> commit) const {
  if (Confirmed(commit)) return "";
  for (const LiveProxy& proxy : live_) {
    if (proxy.Confirmed(commit)) continue;
    if (std::string refusal = RefusalOf(proxy); !refusal.empty()) return refusal;
    if (!proxy.Connected()) {
      return absl::StrCat("proxy ", proxy.id,
                          " has no session, but may still serve its last config");
    }
    return absl::StrCat("proxy ", proxy.id, " has not confirmed it yet");
  }
  return "";
}

std::string Gates::Refusal() const {
  return refuses_ == nullptr ? std::string() : RefusalOf(*refuses_);
}

Time Gates::NextLeaseEnd() const {
  Time next = absl::InfiniteFuture();
  for (const LiveProxy& proxy : live_) next = std::min(next, proxy.lease_end);
  return next;
}

bool Gates::InUse(std::string_view target_group) const {
  return serving_->by_target_group.contains(target_group);
}

const std::vector<const LiveProxy*>& Gates::Serving(std::string_view target_group) const {
  static const auto* const kNone = new std::vector<const LiveProxy*>();
  if (const auto it = asked_.find(target_group); it != asked_.end()) return it->second;
  const auto it = serving_->by_target_group.find(target_group);
  if (it == serving_->by_target_group.end()) return *kNone;
  std::vector<const LiveProxy*>& serving = asked_[it->first];
  for (const size_t index : it->second) serving.push_back(&live_[index]);
  return serving;
}

const VoteTotal& Gates::VotesOn(std::string_view target_group, std::string_view target) const {
  // Gates of another moment may have counted other voters meanwhile.
  if (seen_.votes.basis_number() != basis_number_) CountVotes();
  return seen_.votes.On(target_group, target);
}

const std::set<std::string>& Gates::BusyIn(std::string_view target) const {
  if (!has_counted_busy_) CountBusy();
  static const auto* const kNone = new std::set<std::string>();
  const auto it = busy_.find(target);
  return it == busy_.end() ? *kNone : it->second;
}

}  // namespace remuda::core
