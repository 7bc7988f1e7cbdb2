// Measures the controller: one process plays agents and proxies over real streams against the real
// program.
//
//   bench_control_plane [--rows ROW,...] [--output FILE] [--changes N] [--seconds N]
//                       [--idle SECONDS] [--row-limit SECONDS] [--streams N] [--plot FILE]
//                       [--shifts DEPLOYMENTS]
//
// ROW is AGENTSxPROXIESxINSTANCES, with xGROUPS (default 10) and xBALANCERS (default 1; proxies and
// groups are shared out among them). With `frames:` before it the controller is in this process,
// and its receivers are attached without connections (frame_plant.h). --shifts measures only how
// long shifts of traffic take, in so many deployments. Exit 1 if a row is not whole.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/control/frame_plant.h"
#include "tests/bench/control/measures.h"
#include "tests/bench/control/plot.h"
#include "tests/bench/control/process_plant.h"

namespace remuda::bench {
namespace {

struct Options {
  std::vector<std::string> rows = {"100x100x100",    "100x100x1000",
                                   "100x100x10000",  "1000x100x1000",
                                   "1000x1000x1000", "frames:10000x1000x10000x1000x100"};
  std::string output;
  std::string plot;
  Effort effort;
  std::chrono::seconds row_limit{300};
  size_t streams = 1;
  int shifts = 0;  // deployments; 0: everything else is measured
};

std::vector<std::string> Split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, at);) parts.push_back(part);
  return parts;
}

constexpr std::string_view kFrames = "frames:";

bool IsOfFrames(const std::string& name) { return name.rfind(kFrames, 0) == 0; }

// The numbers of a row's name; throws std::invalid_argument.
Size SizeOf(const std::string& name) {
  const std::string numbers = IsOfFrames(name) ? name.substr(kFrames.size()) : name;
  const std::vector<std::string> parts = Split(numbers, 'x');
  if (parts.size() < 3 || parts.size() > 5) throw std::invalid_argument("not a row: " + name);
  Size size{.agents = std::stoul(parts[0]),
            .proxies = std::stoul(parts[1]),
            .instances = std::stoul(parts[2])};
  if (parts.size() > 3) size.groups = std::stoul(parts[3]);
  if (parts.size() > 4) size.shards = std::stoul(parts[4]);
  if (std::min({size.agents, size.proxies, size.instances, size.groups, size.shards}) == 0)
    throw std::invalid_argument("nothing to measure: " + name);
  return size;
}

[[noreturn]] void Usage(int code) {
  std::fprintf(
      code == 0 ? stdout : stderr,
      "usage: bench_control_plane [--rows AGENTSxPROXIESxINSTANCES[xGROUPS[xBALANCERS]],...]\n"
      "  [--output FILE] [--changes N] [--seconds N] [--idle SECONDS]\n"
      "  [--row-limit SECONDS] [--streams N] [--plot FILE] [--shifts DEPLOYMENTS]\n");
  std::exit(code);
}

Options Parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--help" || i + 1 == argc) Usage(name == "--help" ? 0 : 2);
    const std::string value = argv[i + 1];
    if (name == "--rows") {
      options.rows = Split(value, ',');
    } else if (name == "--output") {
      options.output = value;
    } else if (name == "--plot") {
      options.plot = value;
    } else if (name == "--changes") {
      options.effort.changes = std::stoi(value);
    } else if (name == "--seconds") {
      options.effort.seconds = std::chrono::seconds(std::stoi(value));
    } else if (name == "--idle") {
      options.effort.idle = std::chrono::seconds(std::stoi(value));
    } else if (name == "--row-limit") {
      options.row_limit = std::chrono::seconds(std::stoi(value));
    } else if (name == "--shifts") {
      options.shifts = std::stoi(value);
    } else if (name == "--streams") {
      options.streams = std::stoul(value);
    } else {
      Usage(2);
    }
  }
  return options;
}

// Each connection is a descriptor.
void RaiseDescriptors() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

Row MeasureRow(const std::string& name, const Options& options) {
  Row row{.name = name, .size = SizeOf(name), .values = {}, .stopped = ""};
  Effort effort = options.effort;
  effort.deadline = Clock::now() + options.row_limit;
  std::unique_ptr<Plant> plant;
  if (IsOfFrames(name)) {
    plant = std::make_unique<FramePlant>();
  } else {
    plant = std::make_unique<ProcessPlant>(options.streams, std::vector<std::string>());
  }
  plant->Start();
  Cluster cluster(*plant, row.size);
  try {
    cluster.Prepare();
    MeasureJoining(cluster, effort, row);
    MeasurePlacement(cluster, effort, row);
    if (options.shifts > 0) {
      MeasureShifts(cluster, effort, options.shifts, row);
      return row;
    }
    MeasureRest(cluster, effort, row);
    MeasureRegister(cluster, effort, row);
    MeasureDeath(cluster, effort, row);
    MeasureRestart(cluster, effort, row);
    MeasureLoss(cluster, effort, row);
  } catch (const Overdue& overdue) {
    row.stopped = overdue.what();
    std::fprintf(stderr, "  stopped: %s\n", overdue.what());
  }
  return row;
}

int Run(const Options& options) {
  RaiseDescriptors();
  std::vector<Row> rows;
  bool is_whole = true;
  for (const std::string& name : options.rows) {
    std::fprintf(stderr, "%s\n", name.c_str());
    rows.push_back(MeasureRow(name, options));
    is_whole = is_whole && rows.back().stopped.empty();
    if (!options.output.empty()) std::ofstream(options.output) << Json(rows);
    if (!options.plot.empty()) {
      std::ofstream(options.plot) << Plot(rows, {"register_cpu_ms", "death_cpu_ms"},
                                          "CPU of the controller for one change, ms");
    }
  }
  std::fputs(Table(rows).c_str(), stdout);
  return is_whole ? 0 : 1;
}

}  // namespace
}  // namespace remuda::bench

int main(int argc, char** argv) {
  try {
    return remuda::bench::Run(remuda::bench::Parse(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_control_plane: %s\n", error.what());
    return 1;
  }
}
