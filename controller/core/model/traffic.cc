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

// The buckets of a histogram, in order; none of one that is not well formed. Nothing is copied: a
// report has thousands.
class Buckets {
 public:
  explicit Buckets(const proxy::v1::LatencyHistogram& histogram)
      : histogram_(histogram), size_(IsRight(histogram) ? histogram.gaps_size() : 0) {
    if (!is_over()) bucket_ = histogram_.gaps(0);
  }

  bool is_over() const { return at_ == size_; }
  int bucket() const { return bucket_; }
  int64_t count() const { return Counted(histogram_.counts(at_)); }
  void Next() {
    if (++at_ < size_) bucket_ += histogram_.gaps(at_);
  }
  // Goes on to the bucket, and answers its count.
  int64_t CountAt(int bucket) {
    while (!is_over() && bucket_ < bucket) Next();
    return !is_over() && bucket_ == bucket ? count() : 0;
  }

 private:
  static bool IsRight(const proxy::v1::LatencyHistogram& histogram) {
    if (histogram.gaps_size() != histogram.counts_size()) return false;
    int64_t bucket = 0;
    for (int i = 0; i < histogram.gaps_size(); ++i) {
      if (histogram.gaps(i) < (i == 0 ? 0 : 1)) return false;
      bucket += histogram.gaps(i);
      if (bucket >= static_cast<int64_t>(kLatencyBuckets)) return false;
    }
    return true;
  }

  const proxy::v1::LatencyHistogram& histogram_;
  const int size_;
  int at_ = 0;
  int bucket_ = 0;
};

// Whether a number has gone back.
bool IsBelow(const proxy::v1::SubsetStats& now, const proxy::v1::SubsetStats& before) {
  if (now.requests() < before.requests() || now.errors() < before.errors()) return true;
  Buckets counts(now.latency());
  for (Buckets base(before.latency()); !base.is_over(); base.Next()) {
    if (counts.CountAt(base.bucket()) < base.count()) return true;
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

// Adds to the total what a subset has beyond what was said of it before; whether there are
// requests.
bool AddNews(const proxy::v1::SubsetStats& now, const proxy::v1::SubsetStats& before,
             v1::SideCounts& total) {
  static const proxy::v1::SubsetStats kNothing;
  const proxy::v1::SubsetStats& base = IsBelow(now, before) ? kNothing : before;
  const int64_t requests = Counted(now.requests()) - Counted(base.requests());
  total.set_requests(total.requests() + requests);
  total.set_errors(total.errors() + Counted(now.errors()) - Counted(base.errors()));
  auto& latency = *total.mutable_latency();
  Buckets known(base.latency());
  for (Buckets counts(now.latency()); !counts.is_over(); counts.Next()) {
    const int64_t more = counts.count() - known.CountAt(counts.bucket());
    if (more <= 0) continue;
    if (latency.size() <= counts.bucket()) latency.Resize(counts.bucket() + 1, 0);
    latency.Set(counts.bucket(), latency.Get(counts.bucket()) + more);
  }
  return requests > 0;
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
  process.incarnation = hello.incarnation();
  process.from = is_another || !hello.has_held() ? From::kZero : From::kNowhere;
  process.said.clear();
  process.flows.is_new = true;
  process.flows.is_young = process.from == From::kZero;
}

bool AddReport(const State& state,
               google::protobuf::RepeatedPtrField<proxy::v1::SubsetStats>&& report,
               CountedProcess& process, Traffic& traffic) {
  const bool counts = process.from != CountedProcess::From::kNowhere;
  bool is_more = false;
  std::map<SubsetId, proxy::v1::SubsetStats>& said = process.said;
  for (proxy::v1::SubsetStats& stats : report) {
    if (state.Find<v1::TargetGroup>(stats.target_group()) == nullptr) continue;
    SubsetId id(stats.target_group(), stats.subset());
    const auto before = said.find(id);
    const bool is_known = before != said.end();
    if (counts && !(is_known && IsSame(stats, before->second))) {
      static const proxy::v1::SubsetStats kNothing;
      const bool has_news =
          AddNews(stats, is_known ? before->second : kNothing, traffic.totals[id]);
      is_more = is_more || has_news;
    }
    said[std::move(id)] = std::move(stats);
  }
  // A subset that a report leaves out stands where it stood: it may come back with all that it ever
  // counted (a rollback to its version).
  if (said.size() > CountedProcess::kMostSaid) {
    std::erase_if(said, [&](const auto& entry) {
      return state.Find<v1::TargetGroup>(entry.first.first) == nullptr;
    });
    while (said.size() > CountedProcess::kMostSaid) said.erase(said.begin());
  }
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
