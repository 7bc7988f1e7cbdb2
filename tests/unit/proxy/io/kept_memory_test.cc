// Blocks that are kept: as good as malloc's, and used again.
#include "proxy/io/kept_memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

namespace remuda::proxy {
namespace {

TEST(KeptMemory, AnySizeHoldsWhatItShould) {
  for (size_t bytes : {size_t{0}, size_t{1}, size_t{64}, size_t{65}, size_t{1023}, size_t{1024},
                       size_t{1025}, size_t{1280}, size_t{1281}, size_t{2048}, size_t{2049},
                       size_t{17000}, size_t{32768}, size_t{32769}, size_t{1} << 20}) {
    void* const block = KeptAllocate(bytes);
    ASSERT_NE(block, nullptr) << bytes;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % alignof(std::max_align_t), 0U);
    std::memset(block, 0xa5, bytes);
    KeptFree(block);
  }
  EXPECT_EQ(KeptAllocate(SIZE_MAX), nullptr);
  KeptFree(nullptr);
}

// Blocks of all sizes come, grow and go on two threads that pass them on; what is in them stays.
TEST(KeptMemory, KeepsContentWhileBlocksGoRound) {
  struct Block {
    unsigned char* data;
    size_t bytes;
    unsigned char mark;
  };
  std::vector<Block> blocks;
  const auto work = [&](uint64_t seed) {
    KeepMemoryOfThisThread();
    std::mt19937_64 random(seed);
    for (int i = 0; i < 200'000; ++i) {
      const size_t bytes = 1 + random() % (i % 10 == 0 ? 40'000 : 2'000);
      if (blocks.size() < 200 || random() % 2 == 0) {
        const auto mark = static_cast<unsigned char>(random());
        auto* const data = static_cast<unsigned char*>(KeptAllocate(bytes));
        std::memset(data, mark, bytes);
        blocks.push_back({data, bytes, mark});
      }
      const size_t at = random() % blocks.size();
      Block& block = blocks[at];
      ASSERT_EQ(block.data[0], block.mark);
      ASSERT_EQ(block.data[block.bytes - 1], block.mark);
      if (random() % 4 == 0) {
        block.data = static_cast<unsigned char*>(KeptReallocate(block.data, bytes));
        const size_t same = std::min(bytes, block.bytes);
        ASSERT_EQ(block.data[0], block.mark);
        ASSERT_EQ(block.data[same - 1], block.mark);
        std::memset(block.data, block.mark, bytes);
        block.bytes = bytes;
      } else if (blocks.size() > 100) {
        KeptFree(block.data);
        blocks[at] = blocks.back();
        blocks.pop_back();
      }
    }
  };
  std::thread(work, 1).join();
  std::thread(work, 2).join();
  for (const Block& block : blocks) KeptFree(block.data);
}

TEST(KeptMemory, AThreadThatAskedGetsItsBlockAgain) {
#ifdef REMUDA_SANITIZED
  GTEST_SKIP() << "nothing is kept under a sanitizer";
#endif
  std::thread([] {
    KeepMemoryOfThisThread();
    void* const first = KeptAllocate(17'000);
    KeptFree(first);
    EXPECT_EQ(KeptAllocate(16'500), first) << "of the same class";
    KeptFree(first);
    // No more than the bound.
    std::vector<void*> many;
    for (size_t bytes = 0; bytes < 2 * kMaxKeptThreadBytes; bytes += 32'768)
      many.push_back(KeptAllocate(32'768));
    for (void* block : many) KeptFree(block);
  }).join();
}

}  // namespace
}  // namespace remuda::proxy
