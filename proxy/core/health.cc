#include "proxy/core/health.h"

namespace remuda::proxy {
namespace {

std::string ReasonOf(CheckResult::Kind kind) {
  switch (kind) {
    case CheckResult::Kind::kWrongCode:
      return "Target.ResponseCodeMismatch";
    case CheckResult::Kind::kTimeout:
      return "Target.Timeout";
    default:
      return "Target.FailedHealthChecks";
  }
}

}  // namespace

bool HealthTracker::OnCheck(const CheckResult& result, const HealthCheckSpec& spec,
                            std::chrono::system_clock::time_point now) {
  const Health before = health_;
  const std::string reason_before = reason_;
  const std::string description_before = description_;
  if (result.kind == CheckResult::Kind::kOurShortage) {
    description_ = "not checked, this proxy lacks what it takes: " + result.detail;
    return description_ != description_before;
  }
  if (result.kind == CheckResult::Kind::kPass) {
    failures_ = 0;
    ++passes_;
    if (health_ == Health::kInitial || passes_ >= spec.healthy_threshold)
      health_ = Health::kHealthy;
  } else {
    passes_ = 0;
    ++failures_;
    if (failures_ >= spec.unhealthy_threshold) health_ = Health::kUnhealthy;
  }
  if (health_ == Health::kHealthy) {
    reason_.clear();
    description_.clear();
  } else if (result.kind != CheckResult::Kind::kPass) {
    reason_ = health_ == Health::kInitial ? "Elb.InitialHealthChecking" : ReasonOf(result.kind);
    description_ = result.detail;
  }
  if (health_ != before) since_ = now;
  return health_ != before || reason_ != reason_before || description_ != description_before;
}

std::chrono::milliseconds WithJitter(std::chrono::milliseconds interval, uint64_t random) {
  const auto spread = static_cast<uint64_t>(interval.count() / 10);
  return interval + std::chrono::milliseconds(static_cast<int64_t>(random % (2 * spread + 1))) -
         std::chrono::milliseconds(spread);
}

std::chrono::milliseconds AnyMoment(std::chrono::milliseconds interval, uint64_t random) {
  const auto length = static_cast<uint64_t>(interval.count());
  return std::chrono::milliseconds(static_cast<int64_t>(length == 0 ? 0 : random % length));
}

}  // namespace remuda::proxy
