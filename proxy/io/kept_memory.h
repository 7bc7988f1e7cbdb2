// Memory of OpenSSL and nghttp2, which allocate for each record and stream: a worker keeps what
// they give back for the next one, so that a request over TLS or HTTP/2 costs no malloc in the
// steady state.
//
// Threads: any. Only threads that asked for it keep memory; a block may end on another thread than
// its own.
#pragma once

#include <cstddef>

namespace remuda::proxy {

// All that a thread keeps.
inline constexpr size_t kMaxKeptThreadBytes = 4 * 1024 * 1024;

// As malloc, realloc and free. Aligned for any type.
void* KeptAllocate(size_t bytes) noexcept;
void* KeptReallocate(void* block, size_t bytes) noexcept;
void KeptFree(void* block) noexcept;

// The calling thread keeps memory from now on, until its end, with which it is lost: for threads
// that live as long as the process.
void KeepMemoryOfThisThread();

// Before anything is asked of OpenSSL.
//
// Neither does anything under a sanitizer, which wants to see each block.
void KeepMemoryOfOpenSsl();

}  // namespace remuda::proxy
