#include "proxy/io/kept_memory.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace remuda::proxy {
namespace {

// Blocks are of some sizes only: steps of 64 bytes up to 1 KiB, then four to each doubling, up to
// 32 KiB, which holds a record of TLS. Larger ones are not kept.
constexpr size_t kStepBytes = 64;
constexpr size_t kSmallBytes = 1024;
constexpr size_t kLargestBytes = 32 * 1024;
constexpr uint32_t kSmallClasses = kSmallBytes / kStepBytes;
constexpr uint32_t kClasses = kSmallClasses + 4 * 5;
constexpr uint32_t kNoClass = kClasses;

// In front of each block.
struct alignas(std::max_align_t) Header {
  size_t bytes;  // that the block holds
  uint32_t size_class;
};

struct Free {
  Free* next;
};

struct Kept {
  bool is_on = false;
  size_t bytes = 0;
  std::array<Free*, kClasses> first{};
};
constinit thread_local Kept kept;

// The class whose blocks hold `bytes`, and how much these hold.
uint32_t ClassOf(size_t& bytes) {
  if (bytes <= kSmallBytes) {
    const size_t steps = std::max<size_t>((bytes + kStepBytes - 1) / kStepBytes, 1);
    bytes = steps * kStepBytes;
    return static_cast<uint32_t>(steps - 1);
  }
  if (bytes > kLargestBytes) return kNoClass;
  const auto doubling = static_cast<uint32_t>(std::bit_width(bytes - 1) - 11);  // 0: up to 2 KiB
  const size_t quarter = kSmallBytes << doubling >> 2;
  const size_t steps = (bytes - (kSmallBytes << doubling) + quarter - 1) / quarter;  // 1 to 4
  bytes = (kSmallBytes << doubling) + steps * quarter;
  return kSmallClasses + doubling * 4 + static_cast<uint32_t>(steps - 1);
}

Header* HeaderOf(void* block) { return static_cast<Header*>(block) - 1; }

#ifndef REMUDA_SANITIZED
void* SslAllocate(size_t bytes, const char* /*file*/, int /*line*/) { return KeptAllocate(bytes); }
void* SslReallocate(void* block, size_t bytes, const char* /*file*/, int /*line*/) {
  return KeptReallocate(block, bytes);
}
void SslFree(void* block, const char* /*file*/, int /*line*/) { KeptFree(block); }
#endif

}  // namespace

void* KeptAllocate(size_t bytes) noexcept {
  const uint32_t size_class = ClassOf(bytes);
  if (size_class != kNoClass && kept.first[size_class] != nullptr) {
    Free* const block = kept.first[size_class];
    kept.first[size_class] = block->next;
    kept.bytes -= bytes;
    return block;
  }
  if (bytes > SIZE_MAX - sizeof(Header)) return nullptr;
  auto* const header = static_cast<Header*>(std::malloc(sizeof(Header) + bytes));
  if (header == nullptr) return nullptr;
  *header = {bytes, size_class};
  return header + 1;
}

void KeptFree(void* block) noexcept {
  if (block == nullptr) return;
  Header* const header = HeaderOf(block);
  if (!kept.is_on || header->size_class == kNoClass ||
      kept.bytes + header->bytes > kMaxKeptThreadBytes) {
    std::free(header);
    return;
  }
  auto* const free_block = static_cast<Free*>(block);
  free_block->next = kept.first[header->size_class];
  kept.first[header->size_class] = free_block;
  kept.bytes += header->bytes;
}

void* KeptReallocate(void* block, size_t bytes) noexcept {
  if (block == nullptr) return KeptAllocate(bytes);
  if (bytes == 0) {
    KeptFree(block);
    return nullptr;
  }
  const size_t held = HeaderOf(block)->bytes;
  if (bytes <= held) return block;
  void* const larger = KeptAllocate(bytes);
  if (larger == nullptr) return nullptr;
  std::memcpy(larger, block, held);
  KeptFree(block);
  return larger;
}

void KeepMemoryOfThisThread() {
#ifndef REMUDA_SANITIZED
  kept.is_on = true;
#endif
}

void KeepMemoryOfOpenSsl() {
#ifndef REMUDA_SANITIZED
  CRYPTO_set_mem_functions(SslAllocate, SslReallocate, SslFree);
#endif
}

}  // namespace remuda::proxy
