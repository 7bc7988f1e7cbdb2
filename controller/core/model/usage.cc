#include "controller/core/model/usage.h"

#include <optional>
#include <utility>

namespace remuda::core {
namespace {

// What is above is no count: thirty years of a processor.
constexpr int64_t kMostMicros = int64_t{1} << 50;

bool IsCount(int64_t micros) { return micros >= 0 && micros <= kMostMicros; }

// Whether `now` is of a process that has begun since `before` was said.
bool HasBegunAnew(const agent::v1::InstanceUsage& now, const agent::v1::InstanceUsage& before) {
  return now.has_counted_since() && before.has_counted_since() &&
         FromProto(now.counted_since()) > FromProto(before.counted_since());
}

// Nothing: where it stands is all that is known.
std::optional<int64_t> MicrosSince(const agent::v1::InstanceUsage& before,
                                   const agent::v1::InstanceUsage& now) {
  if (!IsCount(now.cpu_time_micros()) || !IsCount(before.cpu_time_micros())) return std::nullopt;
  if (HasBegunAnew(now, before)) return now.cpu_time_micros();
  const bool is_same = FromProto(now.counted_since()) == FromProto(before.counted_since());
  const int64_t more = now.cpu_time_micros() - before.cpu_time_micros();
  if (!is_same || more < 0) return std::nullopt;
  return more;
}

}  // namespace

void TakeUsage(const agent::v1::UsageReport& report, Time now, Duration period, HostUsage& usage) {
  std::map<std::string, Usage, std::less<>> before = std::exchange(usage.instances, {});
  for (const agent::v1::InstanceUsage& said : report.instances()) {
    Usage& is = usage.instances[said.instance()];
    const auto known = before.find(said.instance());
    if (known == before.end()) {
      is.restarts_folded = said.restarts();
    } else {
      is = std::move(known->second);
      before.erase(known);
      if (const auto more = MicrosSince(is.said, said)) {
        is.cpu_micros += *more;
      } else {
        is.cpu = {};
        is.cpu_micros = 0;
      }
    }
    is.said = said;
    if (IsCount(said.cpu_time_micros())) is.cpu.Add(now, period, {is.cpu_micros});
  }
  usage.time = now;
}

}  // namespace remuda::core
