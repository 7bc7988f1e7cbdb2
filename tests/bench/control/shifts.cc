// How long a shift of the traffic takes: see MeasureShifts.
#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/bench/control/measures.h"

namespace remuda::bench {
namespace {

constexpr int kSharesADeployment = 48;  // a person may write 50 steps

double Percentile(std::vector<double> values, double part) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<size_t>(std::ceil(part * static_cast<double>(values.size())));
  return values[std::max<size_t>(rank, 1) - 1];
}

}  // namespace

void MeasureShifts(Cluster& cluster, const Effort& effort, int deployments, Row& row) {
  std::vector<double> seconds;
  int64_t messages = 0;
  int64_t bytes = 0;
  for (int i = 0; i < deployments && Clock::now() < effort.deadline; ++i) {
    const int version = cluster.MakeVersion();
    const int64_t messages_before = cluster.tally.messages();
    const int64_t bytes_before = cluster.tally.bytes_down() + cluster.tally.bytes_up();
    const std::vector<double> shifts = cluster.Deploy(0, version, kSharesADeployment);
    messages += cluster.tally.messages() - messages_before;
    bytes += cluster.tally.bytes_down() + cluster.tally.bytes_up() - bytes_before;
    seconds.insert(seconds.end(), shifts.begin(), shifts.end());
    cluster.Settle(effort.deadline);
  }
  const auto count = static_cast<double>(seconds.size());
  row.Add({"shift_count", count});
  row.Add({"shift_confirmed_p50_ms", 1e3 * Percentile(seconds, 0.5)});
  row.Add({"shift_confirmed_p99_ms", 1e3 * Percentile(seconds, 0.99)});
  // Those of the launches and ends between them too.
  row.Add({"shift_messages", static_cast<double>(messages) / std::max(1.0, count)});
  row.Add({"shift_bytes", static_cast<double>(bytes) / std::max(1.0, count)});
}

}  // namespace remuda::bench
