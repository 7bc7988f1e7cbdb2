#include "proxy/core/smooth_turns.h"

#include <algorithm>

#include "proxy/core/mix.h"

namespace remuda::proxy {

void SmoothTurns::Add(uint32_t entry, uint64_t weight, uint64_t random) {
  heap_.push_back({Scale(random, StrideOf(weight)), entry});
}

void SmoothTurns::Build() { std::make_heap(heap_.begin(), heap_.end(), IsLater); }

SmoothTurns::Due SmoothTurns::PopFirst() {
  std::pop_heap(heap_.begin(), heap_.end(), IsLater);
  const Due first = heap_.back();
  heap_.pop_back();
  return first;
}

void SmoothTurns::Push(const Due& due) {
  heap_.push_back(due);  // within the capacity that Add made
  std::push_heap(heap_.begin(), heap_.end(), IsLater);
}

}  // namespace remuda::proxy
