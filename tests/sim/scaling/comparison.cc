#include "tests/sim/scaling/comparison.h"

#include <cstdio>
#include <vector>

#include "tests/sim/scaling/chart.h"

namespace remuda::scaling_sim {
namespace {

std::string Row(const std::string& workload, const std::string& contender, const Measures& of) {
  char text[256];
  const double runs = of.runs;
  std::snprintf(text, sizeof text, "| %s | %s | %.3f %% | %.2f | %.2f | %.1f | %.2f |\n",
                workload.c_str(), contender.c_str(), 100 * of.UnservedShare(), of.over_hours / runs,
                of.instance_hours / runs, of.actions / runs, of.oscillations / runs);
  return text;
}

const char* ColorOf(const std::string& contender) {
  if (contender == "Remuda") return "#c0392b";
  return contender == "HPA" ? "#1b6ca8" : "#2e8b57";
}

}  // namespace

Results Compare(int seeds, double stretch) {
  Results out;
  for (const Workload& workload : Workloads()) {
    for (int seed = 1; seed <= seeds; ++seed) {
      const Scenario scenario = Draw(workload, static_cast<uint64_t>(seed), stretch);
      for (const Contender& contender : Contenders()) {
        const std::unique_ptr<System> system = contender.make(scenario);
        out[{workload.name, contender.name}].Add(Simulate(scenario, *system));
      }
    }
  }
  return out;
}

std::string Table(const Results& results) {
  std::string out =
      "| workload | scaler | requests above capacity | over-provisioned instance-hours | "
      "instance-hours | actions | oscillations |\n|---|---|---|---|---|---|---|\n";
  for (const Workload& workload : Workloads()) {
    for (const Contender& contender : Contenders()) {
      const auto it = results.find({workload.name, contender.name});
      if (it != results.end()) out += Row(workload.name, contender.name, it->second);
    }
  }
  return out;
}

std::string ChartOf(const Workload& workload, uint64_t seed) {
  const Scenario scenario = Draw(workload, seed);
  Line load{
      .name = "load / (what an instance serves at the target)", .color = "#e4e4e4", .values = {}};
  std::vector<Line> lines;
  for (const Contender& contender : Contenders()) {
    Line line{.name = contender.name, .color = ColorOf(contender.name), .values = {}};
    const std::unique_ptr<System> system = contender.make(scenario);
    const bool is_first = lines.empty();
    const double at_target = scenario.traits.requests_per_second * scenario.traits.target;
    Simulate(scenario, *system, [&](const App&, int, const Point& point) {
      if (is_first) load.values.push_back(point.load / at_target);
      line.values.push_back(point.running);
    });
    lines.push_back(std::move(line));
  }
  return Chart(workload.name + ": " + workload.sentence + " (instances that run)", load, lines);
}

}  // namespace remuda::scaling_sim
