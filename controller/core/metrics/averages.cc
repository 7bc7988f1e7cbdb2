#include "controller/core/metrics/averages.h"

#include <algorithm>

#include "controller/core/metrics/fold.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/subset_name.h"

namespace remuda::core {
namespace {

constexpr Duration kDefaultWarmup = absl::Seconds(30);
// Resident pages that processes share count in each of them; what is above is no measurement.
constexpr double kMostMemoryPercent = 400;
// An agent and its host's clock are not that exact.
constexpr double kCpuTolerance = 1.5;
constexpr double kMostCores = 4096;

// One side's part of a group.
class SideSum {
 public:
  void AddServing() { ++serving_; }
  void Add(const InstanceUse& use) {
    cpu_.Add(use.cpu_percent);
    memory_.Add(use.memory_percent);
  }
  int serving() const { return serving_; }
  bool is_known() const { return cpu_.number > 0 || memory_.number > 0; }
  void Show(MetricPoint& point) const {
    point.cpu_percent = cpu_.Mean();
    point.memory_percent = memory_.Mean();
  }

 private:
  struct Average {
    double sum = 0;
    int number = 0;
    void Add(const std::optional<double>& value) {
      if (!value) return;
      sum += *value;
      ++number;
    }
    std::optional<double> Mean() const {
      return number == 0 ? std::nullopt : std::optional(sum / number);
    }
  };
  int serving_ = 0;  // in service, with a share of the traffic
  Average cpu_;
  Average memory_;
};

// The deployment that divides the group's load between two versions; null if none does.
std::shared_ptr<const v1::Deployment> Dividing(const Draft& draft, const std::string& group) {
  auto deployment = ActiveDeployment(draft, group, nullptr);
  if (deployment == nullptr || IsShift(*deployment) || IsBackToServing(*deployment)) return nullptr;
  return deployment;
}

// Averages of the side that is measured, and how many like it bear everything.
MeasuredSide ShowSides(const v1::Deployment* deployment, const SideSum& stable,
                       const SideSum& fresh, MetricPoint& point) {
  const bool is_by_share = deployment != nullptr && IsShared(*deployment);
  MeasuredSide out;
  out.is_new =
      fresh.serving() > 0 && (stable.serving() == 0 || (!is_by_share && !stable.is_known()));
  const SideSum& side = out.is_new ? fresh : stable;
  side.Show(point);
  const int all = stable.serving() + fresh.serving();
  if (all == 0) return out;
  const double fresh_share = is_by_share ? deployment->traffic_percent() / 100.0
                                         : static_cast<double>(fresh.serving()) / all;
  out.share = out.is_new ? fresh_share : 1 - fresh_share;
  point.bearing = side.serving() / out.share;
  return out;
}

// Restarts that no value holds yet.
int TakeRestarts(const std::string& id, const v1::Instance& row, const Usage& said,
                 Observations& seen) {
  const int restarts = said.said.restarts() - said.restarts_folded;
  if (restarts == 0) return 0;
  seen.hosts.find(row.host())->second.usage.instances.find(id)->second.restarts_folded =
      said.said.restarts();
  return std::max(0, restarts);
}

}  // namespace

bool IsWarm(const v1::AutoScalingGroup& group, const v1::Instance& instance, Time now) {
  if (!instance.has_start_time()) return false;
  // An agent's clock says when its process began; it was not before the instance was placed, nor
  // after it was in service.
  Time start = std::max(FromProto(instance.start_time()), FromProto(instance.create_time()));
  if (instance.state() == v1::INSTANCE_STATE_IN_SERVICE && instance.has_in_service_time()) {
    start = std::min(start, FromProto(instance.in_service_time()));
  }
  const Duration warmup =
      group.has_instance_warmup() ? FromProto(group.instance_warmup()) : kDefaultWarmup;
  return now >= start + warmup;
}

const UseReader::Host& UseReader::HostOf(const std::string& id) {
  const auto [it, is_new] = hosts_.try_emplace(id);
  if (!is_new) return it->second;
  Host& host = it->second;
  const HostObservation* seen = FindObservation(seen_.hosts, id);
  if (seen != nullptr && !IsSilentSince(seen->usage.time, seen_, now_)) {
    host.usage = &seen->usage;
  }
  if (const auto* row = state_.Find<v1::Host>(id)) {
    host.memory_bytes = (*row)->capacity().memory_bytes();
    host.cpu_millis = (*row)->capacity().cpu_millis();
  }
  return host;
}

const Bounds& UseReader::BoundsOfVersion(const v1::LaunchTemplateRef& version) {
  if (last_version_ != nullptr && IsSame(*last_version_, version)) return *last_bounds_;
  const auto [it, is_new] =
      bounds_.try_emplace({version.launch_template(), version.resolved_version()});
  if (is_new) {
    const auto* row = state_.Find<v1::LaunchTemplateVersion>(
        LaunchTemplateKey(version.launch_template(), version.resolved_version()));
    if (row != nullptr) it->second = BoundsOf(**row);
  }
  last_version_ = &version;
  last_bounds_ = &it->second;
  return it->second;
}

UseReader::Found UseReader::Find(const std::string& id, const v1::Instance& row) {
  Found found;
  const Host& host = HostOf(row.host());
  if (host.usage == nullptr) return found;
  const auto it = host.usage->instances.find(id);
  if (it == host.usage->instances.end()) return found;
  const Usage* usage = found.usage = &it->second;
  InstanceUse& use = found.use;
  const Bounds& bounds = BoundsOfVersion(row.launch_template());
  if (const auto& rates = usage->cpu.rates()) {
    const double cores = (*rates)[0] / 1e6;
    const double most = host.cpu_millis > 0
                            ? static_cast<double>(host.cpu_millis) / 1000 * kCpuTolerance
                            : kMostCores;
    const double of = bounds.cpu > 0 ? static_cast<double>(bounds.cpu) / 1000 : 1;
    if (cores <= most) use.cpu_percent = 100 * cores / of;
  }
  const int64_t of = bounds.memory > 0 ? bounds.memory : host.memory_bytes;
  if (usage->said.memory_bytes() > 0 && of > 0) {
    const double percent =
        100 * static_cast<double>(usage->said.memory_bytes()) / static_cast<double>(of);
    if (percent <= kMostMemoryPercent) use.memory_percent = percent;
  }
  return found;
}

MeasuredSide FoldInstances(const Draft& draft, const std::string& id,
                           const v1::AutoScalingGroup& group, UseReader& reader, Observations& seen,
                           Time now, MetricPoint& point) {
  const auto deployment = Dividing(draft, id);
  SideSum stable, fresh;
  const Instances of_group = draft.InstancesOfGroup(id);
  for (const auto& [instance, row] : of_group) {
    if (row->state() == v1::INSTANCE_STATE_TERMINATED) continue;
    const UseReader::Found found = reader.Find(instance, *row);
    if (found.usage != nullptr) point.restarts += TakeRestarts(instance, *row, *found.usage, seen);
    if (!IsUp(row->state()) || row->in_warm_pool()) continue;
    if (row->state() == v1::INSTANCE_STATE_STANDBY) continue;
    const bool is_in_service = row->state() == v1::INSTANCE_STATE_IN_SERVICE;
    if (is_in_service) ++point.in_service;
    if (IsWithheld(*row)) continue;
    const bool is_warm = IsWarm(group, *row, now);
    if (!is_warm) ++point.warming;
    if (!is_in_service) continue;
    const bool is_fresh = deployment != nullptr && IsSame(VersionOf(*row), deployment->to());
    SideSum& side = is_fresh ? fresh : stable;
    side.AddServing();
    if (is_warm) side.Add(found.use);
  }
  MeasuredSide side = ShowSides(deployment.get(), stable, fresh, point);
  if (deployment != nullptr) side.new_subset = SubsetOf(id, deployment->to());
  return side;
}

}  // namespace remuda::core
