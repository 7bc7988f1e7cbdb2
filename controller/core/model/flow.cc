#include "controller/core/model/flow.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "controller/core/model/state.h"

namespace remuda::core {
namespace {

// What is above is no count, no rate (a second) and no number of requests at one moment: the sums
// of ten thousand proxies stay below 2^63.
constexpr int64_t kMostFlowed = int64_t{1} << 50;
constexpr double kMostRequestsRate = 1e8;
constexpr double kMostBytesRate = 1e11;
constexpr int64_t kMostAtOnce = 100'000'000;
// Of a proxy; a subset that is beyond has begun from zero when it comes back.
constexpr size_t kMostAbsent = 256;

void AddTo(Flow& sum, const Flow& part, int64_t sign) {
  sum.requests += sign * part.requests;
  sum.errors += sign * part.errors;
  sum.bytes_in += sign * part.bytes_in;
  sum.bytes_out += sign * part.bytes_out;
  sum.in_flight += sign * part.in_flight;
  sum.missing += sign * part.missing;
}
void AddTo(Waiting& sum, const Waiting& part, int64_t sign) {
  sum.queued += sign * part.queued;
  sum.held += sign * part.held;
  sum.missing += sign * part.missing;
}

bool IsNothing(const Flow& flow) {
  return flow.requests == 0 && flow.errors == 0 && flow.bytes_in == 0 && flow.bytes_out == 0 &&
         flow.in_flight == 0 && flow.missing == 0;
}
bool IsNothing(const Waiting& waiting) {
  return waiting.queued == 0 && waiting.held == 0 && waiting.missing == 0;
}

// Puts `now` in place of `part` in the sum.
template <class Sums, class Part>
void Replace(Sums& sums, const typename Sums::key_type& key, Part& part, const Part& now) {
  const auto it = sums.try_emplace(key).first;
  AddTo(it->second, part, -1);
  AddTo(it->second, now, 1);
  part = now;
  if (IsNothing(it->second)) sums.erase(it);
}

bool IsAtOnce(int64_t number) { return number >= 0 && number <= kMostAtOnce; }

std::optional<ProxyFlows::Counts> CountsIn(const proxy::v1::SubsetStats& stats) {
  const ProxyFlows::Counts counts = {stats.requests(), stats.errors(), stats.bytes_in(),
                                     stats.bytes_out()};
  const bool is_right = std::all_of(counts.begin(), counts.end(), [](int64_t count) {
    return count >= 0 && count <= kMostFlowed;
  });
  return is_right ? std::optional(counts) : std::nullopt;
}

constexpr Flow kMissing = {.missing = 1};

Flow PartOf(const proxy::v1::SubsetStats& stats, const RateWindow<4>::Rates& rates) {
  const auto& [requests, errors, bytes_in, bytes_out] = rates;
  if (std::max(requests, errors) > kMostRequestsRate ||
      std::max(bytes_in, bytes_out) > kMostBytesRate) {
    return kMissing;
  }
  const auto thousandths = [](double rate) { return static_cast<int64_t>(rate * 1000); };
  return {.requests = thousandths(requests),
          .errors = thousandths(errors),
          .bytes_in = thousandths(bytes_in),
          .bytes_out = thousandths(bytes_out),
          .in_flight = stats.in_flight()};
}

// A proxy's subsets, from one report to the next.
class Taking {
 public:
  // `before`: when the report before it came; nothing: the first of its process.
  Taking(Time now, Duration period, std::optional<Time> before, bool is_young)
      : now_(now), period_(period), before_(before), is_young_(is_young) {}

  // The part of the sum that follows. `is_known`: the report before had the subset.
  Flow Take(const proxy::v1::SubsetStats& stats, bool is_known, ProxyFlows::Subset& subset) const {
    const auto counts = CountsIn(stats);
    if (!counts || !IsAtOnce(stats.in_flight())) {
      subset.window = {};
      return kMissing;
    }
    if (!is_known) Begin(*counts, subset);
    const bool has_gone_back = !std::equal(subset.said.begin(), subset.said.end(), counts->begin(),
                                           [](int64_t said, int64_t is) { return said <= is; });
    for (size_t i = 0; i < counts->size(); ++i) {
      subset.sum[i] += (*counts)[i] - (has_gone_back ? 0 : subset.said[i]);
    }
    subset.said = *counts;
    subset.window.Add(now_, period_, subset.sum);
    if (subset.window.rates()) return PartOf(stats, *subset.window.rates());
    return is_young_ ? Flow{.in_flight = stats.in_flight()} : kMissing;
  }

 private:
  // One that the report before did not have has begun from zero since.
  void Begin(const ProxyFlows::Counts& counts, ProxyFlows::Subset& subset) const {
    if (before_) {
      subset.window.Add(*before_, period_, {});
    } else {
      subset.said = counts;
    }
  }

  const Time now_;
  const Duration period_;
  const std::optional<Time> before_;
  const bool is_young_;
};

// A proxy counts on from where a subset stood when it comes back into its table: a version that a
// deployment left, after a rollback. So one that is not told of now stands still.
void KeepAbsent(const State& state, std::map<SubsetId, ProxyFlows::Subset> absent, Time now,
                Duration period, ProxyFlows& of, Flows& all) {
  size_t kept = 0;
  for (auto& [id, subset] : absent) {
    Replace(all.subsets, id, subset.part, {});
    if (kept == kMostAbsent || state.Find<v1::TargetGroup>(id.first) == nullptr) continue;
    ++kept;
    subset.window.Add(now, period, subset.sum);
    of.subsets.emplace(id, std::move(subset));
  }
}

Waiting WaitingOf(const proxy::v1::TargetGroupStats& stats) {
  if (!IsAtOnce(stats.queued()) || !IsAtOnce(stats.held())) return {.missing = 1};
  return {.queued = stats.queued(), .held = stats.held()};
}

void TakeWaiting(const State& state, const proxy::v1::StatsReport& report, ProxyFlows& of,
                 Flows& all) {
  auto before = std::exchange(of.target_groups, {});
  for (const proxy::v1::TargetGroupStats& stats : report.groups()) {
    const std::string& id = stats.target_group();
    if (state.Find<v1::TargetGroup>(id) == nullptr || of.target_groups.contains(id)) continue;
    auto known = before.extract(id);
    Waiting& part = of.target_groups[id];
    if (!known.empty()) part = known.mapped();
    Replace(all.target_groups, id, part, WaitingOf(stats));
  }
  for (auto& [id, part] : before) Replace(all.target_groups, id, part, {});
}

// A report holds some of the targets: one that is told of first may have been counted for long.
void TakeTargets(const State& state, const proxy::v1::StatsReport& report, ProxyFlows& of,
                 Flows& all) {
  for (const proxy::v1::TargetStats& stats : report.targets()) {
    const bool is_right =
        stats.requests() >= 0 && stats.requests() <= kMostFlowed && IsAtOnce(stats.in_flight());
    if (!is_right || state.Find<v1::Instance>(stats.target()) == nullptr) continue;
    const auto [it, is_new] = of.targets.try_emplace({stats.target_group(), stats.target()});
    ProxyFlows::Target& part = it->second;
    if (is_new && !of.is_young) part.requests = stats.requests();
    const bool has_gone_back = stats.requests() < part.requests;
    TargetFlow& sum = all.targets[stats.target()];
    sum.requests += stats.requests() - (has_gone_back ? 0 : part.requests);
    sum.in_flight += stats.in_flight() - part.in_flight;
    part = {.requests = stats.requests(), .in_flight = stats.in_flight()};
  }
  if (of.targets.size() <= of.most_targets) return;
  std::erase_if(of.targets, [&](const auto& entry) {
    return state.Find<v1::Instance>(entry.first.second) == nullptr;
  });
  of.most_targets = std::max(ProxyFlows::kFewestTargets, 2 * of.targets.size());
}

// Whether it says that it is of another process than the one before.
bool IsOfAnother(const proxy::v1::StatsReport& report, const ProxyFlows& of) {
  return report.has_start_time() && FromProto(report.start_time()) != of.process_start;
}

}  // namespace

void TakeFlows(const State& state, const proxy::v1::StatsReport& report, Time now, Duration period,
               ProxyFlows& of, Flows& all) {
  if (of.is_new || IsOfAnother(report, of)) ForgetFlows(of, all);
  const Taking taking(now, period, of.is_new ? std::nullopt : std::optional(of.time), of.is_young);
  auto before = std::exchange(of.subsets, {});
  for (const proxy::v1::SubsetStats& stats : report.subsets()) {
    if (state.Find<v1::TargetGroup>(stats.target_group()) == nullptr) continue;
    SubsetId id(stats.target_group(), stats.subset());
    if (of.subsets.contains(id)) continue;
    auto known = before.extract(id);
    ProxyFlows::Subset& subset = of.subsets[id];
    if (!known.empty()) subset = std::move(known.mapped());
    Replace(all.subsets, id, subset.part, taking.Take(stats, !known.empty(), subset));
  }
  KeepAbsent(state, std::move(before), now, period, of, all);
  TakeWaiting(state, report, of, all);
  TakeTargets(state, report, of, all);
  of.time = now;
  of.is_new = false;
  if (report.has_start_time()) of.process_start = FromProto(report.start_time());
}

void ForgetGoneTargets(const State& state, Flows& all) {
  if (all.targets.size() <= state.All<v1::Instance>().size() + ProxyFlows::kFewestTargets) return;
  std::erase_if(all.targets, [&](const auto& entry) {
    return state.Find<v1::Instance>(entry.first) == nullptr;
  });
}

void ForgetFlows(ProxyFlows& of, Flows& all) {
  for (auto& [id, subset] : of.subsets) Replace(all.subsets, id, subset.part, {});
  for (auto& [id, part] : of.target_groups) Replace(all.target_groups, id, part, {});
  for (const auto& [id, part] : of.targets) {
    const auto it = all.targets.find(id.second);
    if (it != all.targets.end()) it->second.in_flight -= part.in_flight;
  }
  of.targets.clear();
  of.subsets.clear();
  of.target_groups.clear();
  of.is_new = true;
}

}  // namespace remuda::core
