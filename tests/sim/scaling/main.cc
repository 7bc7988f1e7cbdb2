// scaling_comparison: prints the table of docs/scaling_comparison.md, and with --plots=DIR writes
// its plots.
#include <absl/strings/str_replace.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>

#include "tests/sim/scaling/comparison.h"

namespace remuda::scaling_sim {
namespace {

constexpr uint64_t kPlottedSeed = 3;

int Main(int argc, char** argv) {
  int seeds = 30;
  double stretch = 1;
  std::string plots;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag.starts_with("--seeds=")) {
      seeds = std::atoi(flag.c_str() + std::strlen("--seeds="));
    } else if (flag.starts_with("--stretch=")) {
      stretch = std::atof(flag.c_str() + std::strlen("--stretch="));
    } else if (flag.starts_with("--plots=")) {
      plots = flag.substr(std::strlen("--plots="));
    } else {
      std::cerr << "scaling_comparison [--seeds=N] [--stretch=SHARE] [--plots=DIR]\n";
      return 2;
    }
  }
  std::cout << Table(Compare(seeds, stretch));
  if (plots.empty()) return 0;
  for (const Workload& workload : Workloads()) {
    const std::string path =
        plots + "/" + absl::StrReplaceAll(workload.name, {{" ", "_"}}) + ".svg";
    std::ofstream file(path);
    file << ChartOf(workload, kPlottedSeed);
    if (!file.flush()) {
      std::cerr << path << ": cannot be written\n";
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace remuda::scaling_sim

int main(int argc, char** argv) { return remuda::scaling_sim::Main(argc, argv); }
