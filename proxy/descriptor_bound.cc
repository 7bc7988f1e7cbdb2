#include "proxy/descriptor_bound.h"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace remuda::proxy {

rlim_t RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
  }
  return limit.rlim_cur;
}

void BoundByDescriptors(Settings& settings, size_t workers) {
  constexpr size_t kReserve = 256;
  const rlim_t limit = RaiseDescriptorLimit();
  if (limit == 0) return;
  const size_t total = static_cast<size_t>(limit);
  const size_t reserve = std::min(total, std::min(kReserve, total / 2));
  const size_t usable = total - reserve;
  const size_t bound = std::max<size_t>(usable / 2 / workers, 1);
  if (bound < settings.max_connections) {
    spdlog::info("{} descriptors: at most {} client connections a worker", total, bound);
    settings.max_connections = bound;
  }
  const size_t left = usable - std::min(usable, 2 * workers * settings.max_connections);
  settings.max_pipes = std::min(settings.max_pipes, (left + reserve / 2) / 2 / workers);
  const size_t share = usable / workers;
  settings.max_descriptors = share - std::min(share / 2, 2 * settings.max_pipes);
}

}  // namespace remuda::proxy
