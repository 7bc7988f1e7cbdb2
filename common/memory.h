// Memory that is free again goes back to the system. Thread: any.
#pragma once

#include <cstddef>

namespace remuda {

// Gives back what the allocator holds and nobody uses, if that is more than `kept_bytes`. What a
// burst took would stay with the process else: the C library gives back only what lies at the end
// of a heap. Threads that allocate from a heap wait while it is looked through: a tenth of a second
// for 150 MB in small pieces, so this is for rare moments.
void TrimMemory(size_t kept_bytes);

}  // namespace remuda
