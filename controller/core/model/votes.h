// Votes: how many proxies find a target healthy, kept as totals that each report changes, so that
// asking costs nothing, however many proxies there are.
//
// Owns: what each proxy said last of each target (HealthReports, one a proxy), the totals over all
// that vote (Votes). Does not own: who votes (Gates). Thread: the loop thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "remuda/proxy/v1/proxy.pb.h"
#include "remuda/v1/cluster.pb.h"
#include "remuda/v1/load_balancer.pb.h"

namespace remuda::core {

// (id of the target group, id of the target within it).
using TargetId = std::pair<std::string, std::string>;

// How a report counts on its target.
enum class Vote : uint8_t { kNone, kOther, kHealthy, kUnhealthy, kUnhealthyNow };

// What one proxy said last, by target.
class HealthReports {
 public:
  // Null: it said nothing.
  const proxy::v1::TargetHealth* Find(const TargetId& target) const;
  bool contains(const TargetId& target) const { return reports_.contains(target); }
  size_t size() const { return reports_.size(); }
  // fn(const TargetId&, const TargetHealth&) for each.
  template <class Fn>
  void ForEach(Fn fn) const {
    for (const auto& [target, report] : reports_) fn(target, report.health);
  }

  // To be written at once: what is written after the next count is not noticed.
  proxy::v1::TargetHealth& operator[](const TargetId& target);
  void Erase(const TargetId& target);
  void Clear();

 private:
  friend class Votes;
  struct Report {
    proxy::v1::TargetHealth health;
    mutable Vote counted = Vote::kNone;
  };
  std::map<TargetId, Report> reports_;
  // Not counted yet: what was written, and what went though it had been counted.
  mutable std::vector<TargetId> written_;
  mutable std::vector<std::pair<TargetId, Vote>> gone_;
  mutable bool is_counted_ = false;  // some of it was, ever
};

// The votes on one target.
struct VoteTotal {
  int reports = 0;
  int healthy = 0;
  int unhealthy = 0;
  int unhealthy_now = 0;  // by those whose word is current

  // What most of those that report say.
  bool IsHealthy() const { return 2 * healthy > reports; }
  bool IsUnhealthy() const { return 2 * unhealthy > reports; }
  // The same if those whose word may be out of date say otherwise by now.
  bool IsUnhealthyNow() const { return 2 * unhealthy_now > reports; }
};

class Votes {
 public:
  // One whose reports on the targets of a group count. `is_current`: what it said last is what it
  // finds now.
  struct Voter {
    std::string proxy;
    const HealthReports* reports = nullptr;  // null: none
    bool is_current = false;
    bool operator==(const Voter&) const = default;
  };
  // By target group, by name of the proxy.
  using Voters = std::map<std::string, std::vector<Voter>, std::less<>>;
  // What the voters follow from: while it is the same, so are they.
  struct Basis {
    std::vector<std::shared_ptr<const v1::Proxy>> proxies;
    std::vector<bool> is_current;
    std::vector<const HealthReports*> reports;
    std::vector<std::shared_ptr<const v1::LoadBalancer>> balancers;
    bool operator==(const Basis&) const = default;
  };
  // The reports of any proxy, also of one that does not vote; null: it is not there.
  using ReportsOf = std::function<const HealthReports*(std::string_view proxy)>;

  // Makes the totals those of the voters of `basis`, who are asked for if it is a new one. Costs
  // what differs. Answers the basis' number.
  int64_t Count(const Basis& basis, const std::function<Voters()>& voters,
                const ReportsOf& reports);
  int64_t basis_number() const { return basis_number_; }
  // Counts what a proxy said since it was last counted. `turned` gets the targets on which most
  // say something else now than before, or all find them healthy, or not all any more.
  void CountNew(std::string_view proxy, const HealthReports& reports,
                std::vector<TargetId>* turned = nullptr);

  const VoteTotal& On(std::string_view target_group, std::string_view target) const;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  using Totals = std::unordered_map<std::string, VoteTotal, Hash, std::equal_to<>>;
  // Of one target group.
  struct Poll {
    std::vector<Voter> voters;
    Totals totals;
  };
  static Vote VoteOf(const proxy::v1::TargetHealth& health, const Voter* voter);
  static void Add(Vote vote, int count, VoteTotal& total);
  void TakeGone(const HealthReports& reports, std::vector<TargetId>* turned);
  static const Voter* Find(const Poll& poll, std::string_view proxy);
  void Change(const TargetId& target, Vote before, Vote after, std::vector<TargetId>* turned);
  // All reports of the proxy on targets of the group, counted as `voter` says; null: not at all.
  void Recount(std::string_view target_group, const HealthReports& reports, const Voter* voter);
  void SetVoters(std::string_view target_group, std::vector<Voter> voters,
                 const ReportsOf& reports);
  void Forget(const Voters& now, const ReportsOf& reports);

  std::map<std::string, Poll, std::less<>> polls_;
  Basis basis_;
  int64_t basis_number_ = 0;
};

}  // namespace remuda::core
