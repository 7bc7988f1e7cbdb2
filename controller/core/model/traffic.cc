#include "controller/core/model/traffic.h"

#include <algorithm>
#include <optional>
#include <set>
#include <vector>

#include "common/latency_histogram.h"
#include "controller/core/model/state.h"
#include "controller/core/model/subset_name.h"

namespace remuda::core {
namespace {

// A number that one report can add. What is above is no count.
constexpr int64_t kMostCounted = int64_t{1} << 50;

int64_t Counted(int64_t number) { return std::clamp<int64_t>(number, 0, kMostCounted); }

v1::SideCounts CountsIn(const proxy::v1::SubsetStats& stats) {
  v1::SideCounts counts;
  counts.set_requests(Counted(stats.requests()));
  counts.set_errors(Counted(stats.errors()));
  const std::optional<std::vector<int64_t>> latency = Decode(stats.latency());
  if (!latency.has_value()) return counts;
  for (const int64_t count : *latency) counts.add_latency(Counted(count));
  return counts;
}

bool IsBelow(const v1::SideCounts& a, const v1::SideCounts& b) {
  if (a.requests() < b.requests() || a.errors() < b.errors()) return true;
  for (int i = 0; i < b.latency_size(); ++i) {
    if ((i < a.latency_size() ? a.latency(i) : 0) < b.latency(i)) return true;
  }
  return false;
}

bool IsSame(const proxy::v1::SubsetStats& a, const proxy::v1::SubsetStats& b) {
  const auto same = [](const auto& x, const auto& y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end());
  };
  return a.requests() == b.requests() && a.errors() == b.errors() &&
         same(a.latency().gaps(), b.latency().gaps()) &&
         same(a.latency().counts(), b.latency().counts());
}

// What a subset has beyond what was said of it before (null: nothing).
v1::SideCounts AddedTo(const proxy::v1::SubsetStats& now, const proxy::v1::SubsetStats* before) {
  const v1::SideCounts counts = CountsIn(now);
  if (before == nullptr) return counts;
  const v1::SideCounts base = CountsIn(*before);
  return IsBelow(counts, base) ? counts : Since(counts, base);
}

void Trim(google::protobuf::RepeatedField<int64_t>& latency) {
  while (!latency.empty() && latency.Get(latency.size() - 1) == 0) latency.RemoveLast();
}

bool IsUnderWay(const v1::Deployment& row) {
  return row.state() == v1::DEPLOYMENT_STATE_IN_PROGRESS ||
         row.state() == v1::DEPLOYMENT_STATE_ROLLING_BACK;
}

// What still needs totals.
class Needs {
 public:
  explicit Needs(const State& state) : state_(state) {
    for (const auto& [id, row] : state.All<v1::Deployment>()) {
      if (!IsUnderWay(*row)) continue;
      groups_.insert(row->auto_scaling_group());
      if (!row->has_shift()) continue;
      target_groups_.insert(row->shift().from_target_group());
      target_groups_.insert(row->shift().to_target_group());
    }
  }

  bool Has(const SubsetId& id) {
    const auto& [target_group, subset] = id;
    if (state_.Find<v1::TargetGroup>(target_group) == nullptr) return false;
    if (target_groups_.contains(target_group)) return true;
    const size_t slash = subset.find('/');
    if (slash == std::string::npos) return false;
    const std::string group = subset.substr(0, slash);
    return groups_.contains(group) || RunBy(group).contains(subset);
  }

 private:
  // Subsets of what the group's instances run.
  const std::set<std::string>& RunBy(const std::string& group) {
    const auto [it, is_new] = run_.try_emplace(group);
    if (is_new) {
      for (const auto& [id, row] : state_.ListOfGroup(group)) {
        if (row->state() != v1::INSTANCE_STATE_TERMINATED)
          it->second.insert(SubsetOf(group, row->launch_template()));
      }
    }
    return it->second;
  }

  const State& state_;
  std::set<std::string> groups_;         // with a deployment under way
  std::set<std::string> target_groups_;  // of shifts under way
  std::map<std::string, std::set<std::string>> run_;
};

}  // namespace

void BeginProcess(const proxy::v1::Hello& hello, CountedProcess& process) {
  using From = CountedProcess::From;
  const bool was_known = process.from != From::kNowhere;
  const bool is_same =
      was_known && !hello.incarnation().empty() && hello.incarnation() == process.incarnation;
  if (is_same) return;
  const bool is_another = was_known && !hello.incarnation().empty();
  process = {.incarnation = hello.incarnation(),
             .from = is_another || !hello.has_held() ? From::kZero : From::kNowhere,
             .said = {}};
}

bool AddReport(const State& state,
               google::protobuf::RepeatedPtrField<proxy::v1::SubsetStats>&& report,
               CountedProcess& process, Traffic& traffic) {
  const bool counts = process.from != CountedProcess::From::kNowhere;
  bool is_more = false;
  std::map<SubsetId, proxy::v1::SubsetStats> said;
  for (proxy::v1::SubsetStats& stats : report) {
    if (state.Find<v1::TargetGroup>(stats.target_group()) == nullptr) continue;
    SubsetId id(stats.target_group(), stats.subset());
    const auto before = process.said.find(id);
    const bool is_known = before != process.said.end();
    if (counts && !(is_known && IsSame(stats, before->second))) {
      const v1::SideCounts added = AddedTo(stats, is_known ? &before->second : nullptr);
      Add(added, traffic.totals[id]);
      is_more = is_more || added.requests() > 0;
    }
    said[std::move(id)] = std::move(stats);
  }
  process.said = std::move(said);
  process.from = CountedProcess::From::kSaid;
  if (traffic.totals.size() > traffic.most) DropUnneeded(state, traffic);
  return is_more;
}

void DropUnneeded(const State& state, Traffic& traffic) {
  Needs needs(state);
  std::erase_if(traffic.totals, [&](const auto& entry) { return !needs.Has(entry.first); });
  traffic.most = std::max(Traffic::kFewest, 2 * traffic.totals.size());
}

v1::SideCounts CountsOf(const Traffic& traffic,
                        const google::protobuf::RepeatedPtrField<std::string>& target_groups,
                        const std::function<bool(std::string_view subset)>& is_counted) {
  v1::SideCounts sum;
  for (const std::string& target_group : target_groups) {
    for (auto it = traffic.totals.lower_bound({target_group, ""});
         it != traffic.totals.end() && it->first.first == target_group; ++it) {
      if (is_counted(it->first.second)) Add(it->second, sum);
    }
  }
  return sum;
}

v1::SideCounts Since(const v1::SideCounts& now, const v1::SideCounts& base) {
  v1::SideCounts out;
  out.set_requests(std::max<int64_t>(0, now.requests() - base.requests()));
  out.set_errors(std::max<int64_t>(0, now.errors() - base.errors()));
  for (int i = 0; i < now.latency_size(); ++i) {
    const int64_t before = i < base.latency_size() ? base.latency(i) : 0;
    out.add_latency(std::max<int64_t>(0, now.latency(i) - before));
  }
  Trim(*out.mutable_latency());
  return out;
}

void Add(const v1::SideCounts& more, v1::SideCounts& to) {
  to.set_requests(to.requests() + more.requests());
  to.set_errors(to.errors() + more.errors());
  auto& latency = *to.mutable_latency();
  if (latency.size() < more.latency_size()) latency.Resize(more.latency_size(), 0);
  for (int i = 0; i < more.latency_size(); ++i) latency.Set(i, latency.Get(i) + more.latency(i));
  Trim(latency);
}

std::optional<Duration> LatencyOf(const v1::SideCounts& counts, double fraction) {
  const auto size = static_cast<size_t>(counts.latency_size());
  const auto latency = Quantile({counts.latency().data(), size}, fraction);
  if (!latency.has_value()) return std::nullopt;
  return absl::FromChrono(*latency);
}

}  // namespace remuda::core
