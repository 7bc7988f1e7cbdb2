// Memory that is free again goes back to the system. Thread: any.
#pragma once

namespace remuda {

// Gives back what the allocator holds and nobody uses, if that is more than
// limits::kFreeMemoryKeptBytes. What a burst of large messages took would stay with the process
// else: the C library gives back only what lies at the end of a heap. May take some milliseconds.
void TrimMemory();

}  // namespace remuda
