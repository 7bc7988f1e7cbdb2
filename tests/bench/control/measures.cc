#include "tests/bench/control/measures.h"

#include <algorithm>
#include <cmath>

#include "controller/core/model/observations.h"
#include "tests/bench/control/turns.h"

namespace remuda::bench {
namespace {

double SecondsSince(Clock::time_point begun, Clock::time_point end = Clock::now()) {
  return std::chrono::duration<double>(end - begun).count();
}

double Percentile(std::vector<double> values, double part) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<size_t>(std::ceil(part * static_cast<double>(values.size())));
  return values[std::max<size_t>(rank, 1) - 1];
}

// What the controller used between two moments.
class Meter {
 public:
  explicit Meter(Cluster& cluster)
      : cluster_(cluster),
        turns_(Turns::Of(cluster.plant.Metrics())),
        bytes_(cluster.tally.bytes_down() + cluster.tally.bytes_up()),
        cpu_(cluster.plant.CpuSeconds()),
        begun_(Clock::now()) {}

  double Cpu() const { return cluster_.plant.CpuSeconds() - cpu_; }
  // Without what it uses anyway.
  double CpuAbove(double idle_cpu) const {
    return std::max(0.0, Cpu() - idle_cpu * SecondsSince(begun_));
  }
  int64_t Bytes() const { return cluster_.tally.bytes_down() + cluster_.tally.bytes_up() - bytes_; }
  double LongestTurn() const { return LongestBetween(turns_, Turns::Of(cluster_.plant.Metrics())); }
  double Loop() const {
    return Turns::Of(cluster_.plant.Metrics()).sum_seconds - turns_.sum_seconds;
  }

 private:
  Cluster& cluster_;
  const Turns turns_;
  const int64_t bytes_;
  const double cpu_;
  const Clock::time_point begun_;
};

bool IsLarge(const Row& row) { return row.size.agents >= 10'000; }

std::optional<Goal> Below(bool has_goal, double limit) {
  if (!has_goal) return std::nullopt;
  return Goal{Goal::Kind::kBelow, limit};
}

// Until the awaited change is acknowledged by `proxies`: when it was.
Clock::time_point WaitForAcks(Cluster& cluster, size_t proxies, Clock::time_point deadline) {
  const auto all = static_cast<int64_t>(proxies);
  if (!cluster.tally.WaitFor([&](const Counts& counts) { return counts.awaited_acks >= all; },
                             deadline))
    throw Overdue("the acknowledgements of all proxies");
  return cluster.tally.counts().last_awaited_ack;
}

// The figures of one kind of change.
void AddChanges(const std::string& kind, const std::vector<double>& seconds, const Meter& meter,
                Row& row) {
  const auto count = static_cast<double>(seconds.size());
  const double idle = row.Find("idle_cpu_percent").value_or(0) / 100;
  const bool has_goal = row.size.proxies <= 100 || IsLarge(row);
  row.Add({kind + "_changes", count});
  row.Add({kind + "_ack_p50_ms", 1e3 * Percentile(seconds, 0.5)});
  row.Add({kind + "_ack_p99_ms", 1e3 * Percentile(seconds, 0.99),
           Below(has_goal, IsLarge(row) ? 250 : 10)});
  row.Add({kind + "_cpu_ms", 1e3 * meter.CpuAbove(idle) / count});
  row.Add({kind + "_loop_ms", 1e3 * meter.Loop() / count});
  row.Add({kind + "_longest_turn_ms", 1e3 * meter.LongestTurn(), Below(IsLarge(row), 50)});
  row.Add({kind + "_bytes", static_cast<double>(meter.Bytes()) / count});
}

}  // namespace

void MeasureJoining(Cluster& cluster, const Effort& effort, Row& row) {
  const Meter meter(cluster);
  const auto begun = Clock::now();
  cluster.Connect(effort.deadline);
  row.Add({"joined_s", SecondsSince(begun)});
  cluster.Settle(effort.deadline);
  row.Add({"joining_cpu_s", meter.Cpu()});
}

void MeasurePlacement(Cluster& cluster, const Effort& effort, Row& row) {
  const Meter meter(cluster);
  const auto begun = Clock::now();
  cluster.ApplyGroups();
  cluster.WaitForRunning(effort.deadline);
  const double assigned = SecondsSince(begun);
  const double rate = static_cast<double>(row.size.instances) / assigned;
  row.Add({"assigned_s", assigned});
  row.Add({"placed_per_s", rate,
           row.size.instances >= 10'000 ? std::optional(Goal{Goal::Kind::kAtLeast, 5000})
                                        : std::nullopt});
  cluster.WaitForInService(effort.deadline);
  row.Add({"in_service_s", SecondsSince(begun)});
  cluster.Settle(effort.deadline);
  row.Add({"placement_cpu_s", meter.Cpu()});
  row.Add({"placement_longest_turn_ms", 1e3 * meter.LongestTurn()});
}

void MeasureRest(Cluster& cluster, const Effort& effort, Row& row) {
  const bool has_goal = row.size.agents == 1000;
  row.Add({"memory_mib", static_cast<double>(cluster.plant.ResidentBytes()) / (1 << 20),
           Below(has_goal && row.size.proxies <= 100, 250)});
  const Meter meter(cluster);
  const auto begun = Clock::now();
  std::this_thread::sleep_for(effort.idle);
  const double cpu = meter.Cpu();
  row.Add({"idle_cpu_percent", 100 * cpu / SecondsSince(begun), Below(has_goal, 5)});
}

void MeasureRegister(Cluster& cluster, const Effort& effort, Row& row) {
  std::vector<double> seconds;
  const Meter meter(cluster);
  const auto end = Clock::now() + effort.seconds;
  const bool is_common = cluster.size.shards > 1;
  for (int i = 0; i < effort.changes && Clock::now() < end; ++i) {
    const std::string group =
        is_common ? Cluster::kCommon
                  : cluster.TargetGroupOf(static_cast<size_t>(i) % cluster.size.groups);
    const std::string address =
        "10.200." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1);
    cluster.tally.Await(
        {.target_group = group, .target = address + ":" + std::to_string(Cluster::kPort)});
    const auto begun = Clock::now();
    cluster.Register(group, address);
    const auto acked = WaitForAcks(cluster, cluster.size.proxies, effort.deadline);
    seconds.push_back(SecondsSince(begun, acked));
  }
  cluster.Settle(effort.deadline);
  AddChanges("register", seconds, meter, row);
}

void MeasureDeath(Cluster& cluster, const Effort& effort, Row& row) {
  std::vector<double> seconds;
  std::vector<double> replaced;
  const Meter meter(cluster);
  const auto end = Clock::now() + effort.seconds;
  size_t agent = 0;
  while (seconds.size() < static_cast<size_t>(effort.changes) && Clock::now() < end) {
    AgentPlayer& player = *cluster.agents[agent++ % cluster.agents.size()];
    const std::optional<AgentPlayer::Running> victim = player.AnyRunning();
    if (!victim.has_value()) continue;
    const auto group = static_cast<size_t>(std::stoul(victim->group.substr(1)));
    const auto proxies = cluster.ProxiesOf(group);
    const int64_t targets = cluster.tally.counts().new_targets + static_cast<int64_t>(proxies);
    cluster.tally.Await({.target_group = cluster.TargetGroupOf(group),
                         .target = victim->instance,
                         .change = Awaited::Change::kOutOfRotation});
    const auto begun = Clock::now();
    player.Kill(victim->instance);
    seconds.push_back(SecondsSince(begun, WaitForAcks(cluster, proxies, effort.deadline)));
    if (!cluster.tally.WaitFor([&](const Counts& counts) { return counts.new_targets >= targets; },
                               effort.deadline))
      throw Overdue("a replacement at all proxies");
    replaced.push_back(SecondsSince(begun));
  }
  cluster.Settle(effort.deadline);
  AddChanges("death", seconds, meter, row);
  row.Add({"death_replaced_p50_ms", 1e3 * Percentile(replaced, 0.5)});
}

void MeasureRestart(Cluster& cluster, const Effort& effort, Row& row) {
  cluster.plant.Kill();
  cluster.DisconnectAll();
  auto begun = Clock::now();
  cluster.plant.Start();
  row.Add({"restart_load_s", SecondsSince(begun)});
  begun = Clock::now();
  const int64_t bytes = cluster.tally.bytes_down();
  const auto epoch =
      static_cast<int64_t>(MetricOf(cluster.plant.Metrics(), "remuda_controller_epoch"));
  cluster.Connect(effort.deadline);
  const auto are_all = [&](const Counts& counts) {
    const auto count = [epoch](const std::map<int64_t, int64_t>& confirmed) {
      const auto it = confirmed.find(epoch);
      return it == confirmed.end() ? 0 : static_cast<size_t>(it->second);
    };
    return count(counts.agents_confirmed) >= cluster.size.agents &&
           count(counts.proxies_confirmed) >= cluster.size.proxies;
  };
  if (!cluster.tally.WaitFor(are_all, effort.deadline)) throw Overdue("every receiver confirmed");
  row.Add({"restart_confirmed_s", SecondsSince(begun)});
  row.Add({"restart_kib_down", static_cast<double>(cluster.tally.bytes_down() - bytes) / 1024});
  row.Add({"restart_whole_views",
           MetricOf(cluster.plant.Metrics(), "remuda_controller_whole_updates_sent_total")});
  cluster.Settle(effort.deadline);
  row.Add({"restart_cpu_s", cluster.plant.CpuSeconds()});
  row.Add({"restart_longest_turn_ms", 1e3 * Turns::Of(cluster.plant.Metrics()).longest_seconds,
           Below(IsLarge(row), 50)});
}

void MeasureLoss(Cluster& cluster, const Effort& effort, Row& row) {
  const Meter meter(cluster);
  const auto begun = Clock::now();
  for (size_t i = 0; i < cluster.agents.size() / 3; ++i) cluster.agents[i]->Vanish();
  const double lost = static_cast<double>(cluster.tally.counts().running);
  cluster.WaitForRunning(effort.deadline);
  const double patience =
      absl::ToDoubleSeconds(core::Patience().host_lost_after + core::Patience().replace_lost_after);
  row.Add({"loss_instances", static_cast<double>(cluster.size.instances) - lost});
  row.Add({"loss_replaced_s", std::max(0.0, SecondsSince(begun) - patience)});
  cluster.WaitForInService(effort.deadline);
  row.Add({"loss_in_service_s", std::max(0.0, SecondsSince(begun) - patience)});
  cluster.Settle(effort.deadline);
  row.Add({"loss_cpu_s", meter.Cpu()});
  row.Add({"loss_longest_turn_ms", 1e3 * meter.LongestTurn(), Below(IsLarge(row), 50)});
}

}  // namespace remuda::bench
