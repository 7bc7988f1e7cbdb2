#include "proxy/core/smooth_shares.h"

#include <algorithm>

namespace remuda::proxy {

void SmoothShares::Build() {
  std::sort(parts_.begin(), parts_.end(), [](const Part& a, const Part& b) {
    return a.weight != b.weight ? a.weight < b.weight : a.entry < b.entry;
  });
  if (parts_.size() == 1) only_ = parts_.front().entry;
}

}  // namespace remuda::proxy
