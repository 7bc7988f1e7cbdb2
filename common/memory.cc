#include "common/memory.h"

#include <malloc.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>

namespace remuda {
namespace {

// What the process has in memory; 0 if that cannot be read.
size_t ResidentBytes() {
  std::ifstream in("/proc/self/statm");
  size_t all_pages = 0;
  size_t resident_pages = 0;
  if (!(in >> all_pages >> resident_pages)) return 0;
  return resident_pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

void TrimMemory(size_t kept_bytes) {
  const struct mallinfo2 info = mallinfo2();
  // Free memory that was given back counts as free still, and is not resident any more.
  if (ResidentBytes() > info.uordblks + info.hblkhd + kept_bytes) malloc_trim(0);
}

}  // namespace remuda
