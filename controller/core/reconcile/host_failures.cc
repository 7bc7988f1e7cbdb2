#include "controller/core/reconcile/host_failures.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>
#include <set>

#include "controller/core/model/launch_ref.h"
#include "controller/core/reconcile/health.h"
#include "controller/core/reconcile/launch_failures.h"
#include "controller/core/reconcile/limits.h"

namespace remuda::core {
namespace {

struct Tally {
  Time good = absl::InfinitePast();  // when the last launch that held had held long enough
  HostRecord record;
  Time last = absl::InfinitePast();
};

void Count(const std::string& id, const v1::Instance& row, Tally& tally) {
  const Time time = FromProto(row.state_time());
  if (time <= tally.good) return;
  ++tally.record.failures;
  if (time < tally.last) return;
  tally.last = time;
  tally.record.last = absl::StrCat("instance ", id, " of ", TextOf(row.launch_template()), ": ",
                                   row.state_reason());
}

HostRecord Finish(Tally tally) {
  if (tally.record.failures == 0) return {};
  Duration backoff = kFirstHostBackoff;
  for (int i = 1; i < tally.record.failures && backoff < kMaxHostBackoff; ++i) backoff *= 2;
  tally.record.avoided_until = tally.last + std::min(backoff, kMaxHostBackoff);
  return tally.record;
}

struct Tallies {
  std::map<std::string, Tally> of_version;  // only those with failures; by TextOf
  Tally of_any;
  size_t failing = 0;  // versions that have failed since any launch held
};

Tallies TalliesOf(const InstanceList& on_host, Time now) {
  Tallies out;
  InstanceList failed;
  for (const auto& member : on_host) {
    if (!IsFailedLaunch(*member.second, now)) continue;
    out.of_version[TextOf(member.second->launch_template())];
    failed.push_back(member);
  }
  if (failed.empty()) return out;
  for (const auto& [id, row] : on_host) {
    if (!WasStable(*row, now)) continue;
    const Time held = FromProto(row->in_service_time()) + kStableAfter;
    out.of_any.good = std::max(out.of_any.good, held);
    const auto it = out.of_version.find(TextOf(row->launch_template()));
    if (it != out.of_version.end()) it->second.good = std::max(it->second.good, held);
  }
  std::set<std::string> failing;
  for (const auto& [id, row] : failed) {
    const std::string version = TextOf(row->launch_template());
    Count(id, *row, out.of_version[version]);
    Count(id, *row, out.of_any);
    if (FromProto(row->state_time()) > out.of_any.good) failing.insert(version);
  }
  out.failing = failing.size();
  return out;
}

bool IsTheHost(const Tallies& tallies) { return tallies.failing >= kFailingVersionsOfABadHost; }

}  // namespace

HostRecord HostRecordOf(const InstanceList& on_host, const v1::LaunchTemplateRef& launch,
                        Time now) {
  Tallies tallies = TalliesOf(on_host, now);
  if (IsTheHost(tallies)) return Finish(std::move(tallies.of_any));
  const auto it = tallies.of_version.find(TextOf(launch));
  return it == tallies.of_version.end() ? HostRecord() : Finish(std::move(it->second));
}

HostRecord WorstHostRecordOf(const InstanceList& on_host, Time now) {
  Tallies tallies = TalliesOf(on_host, now);
  if (IsTheHost(tallies)) return Finish(std::move(tallies.of_any));
  HostRecord worst;
  for (auto& [version, tally] : tallies.of_version) {
    HostRecord record = Finish(std::move(tally));
    if (record.failures > worst.failures) worst = std::move(record);
  }
  return worst;
}

void FollowLostHost(Pass& pass, std::string_view id) {
  const auto row = pass.draft.Find<v1::Host>(id);
  if (row == nullptr) return;
  const Time lost_at = LostAt(pass.seen, id);
  if (lost_at > pass.now) {
    pass.DueAt(lost_at);
    // After a start it is not known yet whether it is back: until it is, it stays lost.
    if (!row->has_lost_time() || lost_at != absl::InfiniteFuture()) return;
    v1::Host after = *row;
    after.clear_lost_time();
    pass.Put(id, std::move(after));
  } else if (!row->has_lost_time()) {
    v1::Host after = *row;
    *after.mutable_lost_time() = ToProto(lost_at);
    pass.Put(id, std::move(after));
  }
}

}  // namespace remuda::core
