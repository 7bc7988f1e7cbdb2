#include "common/memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

namespace remuda {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

size_t ResidentBytes() {
  std::ifstream in("/proc/self/statm");
  size_t all_pages = 0;
  size_t resident_pages = 0;
  in >> all_pages >> resident_pages;
  return resident_pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

// What lies before a block that is still used stays with the C library.
TEST(MemoryTest, WhatABurstTookGoesBack) {
#ifdef REMUDA_SANITIZED
  GTEST_SKIP() << "the sanitizer's allocator is another one";
#endif
  constexpr size_t kBlockBytes = 4000;
  const size_t before = ResidentBytes();
  char* last = nullptr;
  std::thread([&] {  // whose heap is its own
    std::vector<char*> blocks(128 * kMiB / kBlockBytes);
    for (char*& block : blocks) {
      block = static_cast<char*>(std::malloc(kBlockBytes));
      std::memset(block, 1, kBlockBytes);
    }
    last = blocks.back();
    blocks.pop_back();
    for (char* block : blocks) std::free(block);
  })
      .join();
  ASSERT_GT(ResidentBytes(), before + 100 * kMiB);
  TrimMemory(256 * kMiB);  // it may be kept
  EXPECT_GT(ResidentBytes(), before + 100 * kMiB);
  TrimMemory(32 * kMiB);
  EXPECT_LT(ResidentBytes(), before + 32 * kMiB);
  std::free(last);
}

}  // namespace
}  // namespace remuda
