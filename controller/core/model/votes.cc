#include "controller/core/model/votes.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace remuda::core {

const proxy::v1::TargetHealth* HealthReports::Find(const TargetId& target) const {
  const auto it = reports_.find(target);
  return it == reports_.end() ? nullptr : &it->second.health;
}

proxy::v1::TargetHealth& HealthReports::operator[](const TargetId& target) {
  written_.push_back(target);
  return reports_[target].health;
}

void HealthReports::Erase(const TargetId& target) {
  const auto it = reports_.find(target);
  if (it == reports_.end()) return;
  if (it->second.counted != Vote::kNone) gone_.emplace_back(target, it->second.counted);
  reports_.erase(it);
}

void HealthReports::Clear() {
  for (const auto& [target, report] : reports_) {
    if (report.counted != Vote::kNone) gone_.emplace_back(target, report.counted);
  }
  reports_.clear();
  written_.clear();
}

Vote Votes::VoteOf(const proxy::v1::TargetHealth& health, const Voter* voter) {
  if (voter == nullptr) return Vote::kNone;
  if (health.state() == v1::TARGET_STATE_HEALTHY) return Vote::kHealthy;
  if (health.state() != v1::TARGET_STATE_UNHEALTHY) return Vote::kOther;
  return voter->is_current ? Vote::kUnhealthyNow : Vote::kUnhealthy;
}

void Votes::Add(Vote vote, int count, VoteTotal& total) {
  if (vote == Vote::kNone) return;
  total.reports += count;
  if (vote == Vote::kHealthy) total.healthy += count;
  if (vote == Vote::kUnhealthy || vote == Vote::kUnhealthyNow) total.unhealthy += count;
  if (vote == Vote::kUnhealthyNow) total.unhealthy_now += count;
}

const Votes::Voter* Votes::Find(const Poll& poll, std::string_view proxy) {
  const auto it = std::lower_bound(
      poll.voters.begin(), poll.voters.end(), proxy,
      [](const Voter& voter, std::string_view name) { return voter.proxy < name; });
  return it == poll.voters.end() || it->proxy != proxy ? nullptr : &*it;
}

void Votes::Change(const TargetId& target, Vote before, Vote after, std::vector<TargetId>* turned) {
  if (before == after) return;
  Poll& poll = polls_[target.first];
  VoteTotal& total = poll.totals[target.second];
  const auto outcome = [&] {
    return std::make_tuple(total.reports == 0, total.IsHealthy(), total.IsUnhealthy(),
                           total.IsUnhealthyNow(),
                           total.healthy == static_cast<int>(poll.voters.size()));
  };
  const auto was = outcome();
  Add(before, -1, total);
  Add(after, 1, total);
  if (turned != nullptr && outcome() != was) turned->push_back(target);
  if (total.reports == 0) poll.totals.erase(target.second);
}

void Votes::TakeGone(const HealthReports& reports, std::vector<TargetId>* turned) {
  for (const auto& [target, vote] : std::exchange(reports.gone_, {})) {
    Change(target, vote, Vote::kNone, turned);
  }
}

void Votes::Recount(std::string_view target_group, const HealthReports& reports,
                    const Voter* voter) {
  TakeGone(reports, nullptr);
  for (auto it = reports.reports_.lower_bound({std::string(target_group), ""});
       it != reports.reports_.end() && it->first.first == target_group; ++it) {
    const Vote now = VoteOf(it->second.health, voter);
    Change(it->first, it->second.counted, now, nullptr);
    it->second.counted = now;
  }
}

void Votes::SetVoters(std::string_view target_group, std::vector<Voter> voters,
                      const ReportsOf& reports) {
  Poll& poll = polls_[std::string(target_group)];
  if (poll.voters == voters) return;
  const Poll before{std::exchange(poll.voters, std::move(voters)), {}};
  for (const Voter& voter : before.voters) {
    if (Find(poll, voter.proxy) != nullptr) continue;
    const HealthReports* said = reports(voter.proxy);
    if (said != nullptr) Recount(target_group, *said, nullptr);
  }
  for (const Voter& voter : poll.voters) {
    const Voter* known = Find(before, voter.proxy);
    if (voter.reports == nullptr || (known != nullptr && *known == voter)) continue;
    Recount(target_group, *voter.reports, &voter);
  }
}

// What was counted of proxies that are not there any more, or are others of the same name, cannot
// be taken back: then all is counted anew.
void Votes::Forget(const Voters& now, const ReportsOf& reports) {
  const auto is_there = [&](const Voter& voter) {
    if (voter.reports == nullptr) return true;
    const HealthReports* said = reports(voter.proxy);
    return said == voter.reports && said->is_counted_;
  };
  const bool all_there = std::all_of(polls_.begin(), polls_.end(), [&](const auto& entry) {
    return std::all_of(entry.second.voters.begin(), entry.second.voters.end(), is_there);
  });
  if (all_there && basis_number_ != 0) return;
  for (auto& [target_group, poll] : polls_) {
    for (const Voter& voter : poll.voters) {
      const HealthReports* said = reports(voter.proxy);
      if (said == nullptr) continue;
      for (const auto& [target, report] : said->reports_) report.counted = Vote::kNone;
      said->gone_.clear();
    }
  }
  for (const auto& [target_group, voters] : now) {
    for (const Voter& voter : voters) {
      if (voter.reports == nullptr) continue;
      for (const auto& [target, report] : voter.reports->reports_) report.counted = Vote::kNone;
      voter.reports->gone_.clear();
    }
  }
  polls_.clear();
}

int64_t Votes::Count(const Basis& basis, const std::function<Voters()>& voters,
                     const ReportsOf& reports) {
  // One that was written over has been counted never: what it said before is still in the totals.
  const bool all_known =
      std::all_of(basis.reports.begin(), basis.reports.end(),
                  [](const HealthReports* said) { return said == nullptr || said->is_counted_; });
  if (basis_number_ != 0 && all_known && basis == basis_) return basis_number_;
  Voters now = voters();
  Forget(now, reports);
  for (auto& [target_group, poll] : polls_) {
    if (!now.contains(target_group)) SetVoters(target_group, {}, reports);
  }
  for (auto& [target_group, of_group] : now) {
    SetVoters(target_group, std::move(of_group), reports);
  }
  std::erase_if(polls_, [](const auto& entry) {
    return entry.second.voters.empty() && entry.second.totals.empty();
  });
  for (const HealthReports* said : basis.reports) {
    if (said != nullptr) said->is_counted_ = true;
  }
  basis_ = basis;
  return ++basis_number_;
}

void Votes::CountNew(std::string_view proxy, const HealthReports& reports,
                     std::vector<TargetId>* turned) {
  TakeGone(reports, turned);
  for (const TargetId& target : std::exchange(reports.written_, {})) {
    const auto it = reports.reports_.find(target);
    if (it == reports.reports_.end()) continue;
    const auto poll = polls_.find(target.first);
    const Voter* voter = poll == polls_.end() ? nullptr : Find(poll->second, proxy);
    const Vote now = VoteOf(it->second.health, voter);
    Change(target, it->second.counted, now, turned);
    it->second.counted = now;
  }
}

const VoteTotal& Votes::On(std::string_view target_group, std::string_view target) const {
  static const VoteTotal kNone;
  const auto poll = polls_.find(target_group);
  if (poll == polls_.end()) return kNone;
  const auto it = poll->second.totals.find(target);
  return it == poll->second.totals.end() ? kNone : it->second;
}

}  // namespace remuda::core
