// What a process has in memory.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>

namespace remuda::bench {

// `process`: its id, or "self". 0: there is none.
inline int64_t ResidentBytesOf(const std::string& process) {
  std::ifstream status("/proc/" + process + "/status");
  for (std::string word; status >> word;) {
    if (word != "VmRSS:") continue;
    int64_t kibibytes = 0;
    status >> kibibytes;
    return kibibytes * 1024;
  }
  return 0;
}

}  // namespace remuda::bench
