#include "proxy/core/group_policy.h"

#include "proxy/core/config_check.h"
#include "proxy/http/chars.h"
#include "remuda/v1/target_group.pb.h"

namespace remuda::proxy {
namespace {

using std::chrono::milliseconds;

constexpr size_t kMaxCookieNameBytes = 256;
constexpr milliseconds kOneSecond{1000};
constexpr uint32_t kHeldRequests = 100;

Fault CheckToken(std::string_view field, const std::string& name) {
  if (!name.empty() && name.size() <= kMaxCookieNameBytes && http::AllOf(name, http::kTokenChar)) {
    return std::nullopt;
  }
  return std::string(field) + ": '" + name.substr(0, 128) + "' is not a token of 1-" +
         std::to_string(kMaxCookieNameBytes) + " bytes";
}

Fault TakeAlgorithm(const remuda::v1::TargetGroup& config, GroupPolicy& out) {
  switch (config.algorithm()) {
    case remuda::v1::BALANCING_ALGORITHM_UNSPECIFIED:
    case remuda::v1::BALANCING_ALGORITHM_ROUND_ROBIN:
      break;
    case remuda::v1::BALANCING_ALGORITHM_LEAST_OUTSTANDING_REQUESTS:
      out.algorithm = Algorithm::kLeastOutstanding;
      break;
    case remuda::v1::BALANCING_ALGORITHM_WEIGHTED_RANDOM:
      out.algorithm = Algorithm::kWeightedRandom;
      break;
    case remuda::v1::BALANCING_ALGORITHM_CONSISTENT_HASH:
      out.algorithm = Algorithm::kConsistentHash;
      break;
    default:
      return "algorithm: " + std::to_string(config.algorithm()) + " is not known";
  }
  out.mitigates_anomalies = config.anomaly_mitigation();
  if (out.mitigates_anomalies && out.algorithm != Algorithm::kWeightedRandom)
    return std::string("anomaly_mitigation: only with the algorithm WEIGHTED_RANDOM");
  if (!config.has_consistent_hash()) return std::nullopt;
  if (out.algorithm != Algorithm::kConsistentHash)
    return std::string("consistent_hash: only with the algorithm CONSISTENT_HASH");
  const auto& hash = config.consistent_hash();
  if (hash.has_header()) {
    out.hash_key = {HashKeySpec::Kind::kHeader, hash.header()};
    return CheckToken("consistent_hash.header", hash.header());
  }
  if (hash.has_cookie()) {
    out.hash_key = {HashKeySpec::Kind::kCookie, hash.cookie()};
    return CheckToken("consistent_hash.cookie", hash.cookie());
  }
  return std::nullopt;
}

Fault TakeStickiness(const remuda::v1::Stickiness& config, StickinessSpec& out) {
  milliseconds duration = out.duration;
  if (Fault f =
          TakeDuration(config.has_duration(), config.duration(),
                       {"stickiness.duration", kOneSecond, milliseconds(604800000)}, duration)) {
    return f;
  }
  out.duration = std::chrono::duration_cast<std::chrono::seconds>(duration);
  switch (config.type()) {
    case remuda::v1::Stickiness::TYPE_UNSPECIFIED:
      break;
    case remuda::v1::Stickiness::TYPE_DURATION_COOKIE:
      out.kind = StickinessSpec::Kind::kDuration;
      break;
    case remuda::v1::Stickiness::TYPE_APP_COOKIE:
      out.kind = StickinessSpec::Kind::kApp;
      if (Fault f = CheckToken("stickiness.cookie_name", config.cookie_name())) return f;
      if (config.cookie_name().rfind("REMUDA", 0) == 0)
        return "stickiness.cookie_name: '" + config.cookie_name() + "' begins with REMUDA";
      out.cookie_name = config.cookie_name();
      return std::nullopt;
    default:
      return "stickiness.type: " + std::to_string(config.type()) + " is not known";
  }
  if (!config.cookie_name().empty())
    return std::string("stickiness.cookie_name: only with TYPE_APP_COOKIE");
  return std::nullopt;
}

Fault TakeEjection(const remuda::v1::PassiveEjection& config, EjectionSpec& out) {
  if (Fault f = CheckRange("passive_ejection.consecutive_failures", config.consecutive_failures(),
                           0, 1000)) {
    return f;
  }
  out.consecutive_failures = static_cast<uint32_t>(config.consecutive_failures());
  if (Fault f = TakeDuration(config.has_base_time(), config.base_time(),
                             {"passive_ejection.base_time", kOneSecond, milliseconds(300000)},
                             out.base_time)) {
    return f;
  }
  if (Fault f = TakeDuration(config.has_max_time(), config.max_time(),
                             {"passive_ejection.max_time", out.base_time, milliseconds(3600000)},
                             out.max_time)) {
    return f;
  }
  if (!config.has_max_percent()) return std::nullopt;
  if (Fault f = CheckRange("passive_ejection.max_percent", config.max_percent(), 0, 100)) return f;
  out.max_percent = static_cast<uint32_t>(config.max_percent());
  return std::nullopt;
}

bool IsHttp(remuda::v1::Protocol protocol) {
  return protocol != remuda::v1::PROTOCOL_TCP && protocol != remuda::v1::PROTOCOL_TLS;
}

Fault TakeLimit(const remuda::v1::ConcurrencyLimit& config, LimitSpec& out) {
  if (Fault f = CheckRange("concurrency_limit.max_requests", config.max_requests(), 0, 1000))
    return f;
  out.max_requests = static_cast<uint32_t>(config.max_requests());
  if (config.has_max_queue()) {
    if (Fault f = CheckRange("concurrency_limit.max_queue", config.max_queue(), 0, 10000)) return f;
    out.max_queue = static_cast<uint32_t>(config.max_queue());
  }
  return TakeDuration(config.has_queue_timeout(), config.queue_timeout(),
                      {"concurrency_limit.queue_timeout", milliseconds(10), milliseconds(60000)},
                      out.queue_timeout);
}

// Fields that are left out have their defaults, as the controller's door says them.
Fault TakeHold(const remuda::v1::RequestHold& config, HoldSpec& out) {
  out.max_requests = kHeldRequests;
  if (config.max_requests() != 0) {
    if (Fault f = CheckRange("request_hold.max_requests", config.max_requests(), 1, 10000))
      return f;
    out.max_requests = static_cast<uint32_t>(config.max_requests());
  }
  if (config.has_max_bytes()) {
    if (Fault f = CheckRange("request_hold.max_bytes", config.max_bytes(), 0, 1073741824)) return f;
    out.max_bytes = static_cast<uint64_t>(config.max_bytes());
  }
  return TakeDuration(config.has_timeout(), config.timeout(),
                      {"request_hold.timeout", kOneSecond, milliseconds(600000)}, out.timeout);
}

Fault TakeGroupHealth(const remuda::v1::TargetGroupHealth& config, GroupPolicy& out) {
  if (config.minimum_healthy_count() != 0) {
    if (Fault f = CheckRange("target_group_health.minimum_healthy_count",
                             config.minimum_healthy_count(), 1, 10000)) {
      return f;
    }
    out.minimum_healthy_count = static_cast<uint32_t>(config.minimum_healthy_count());
  }
  if (Fault f = CheckRange("target_group_health.minimum_healthy_percent",
                           config.minimum_healthy_percent(), 0, 100)) {
    return f;
  }
  out.minimum_healthy_percent = static_cast<uint32_t>(config.minimum_healthy_percent());
  return std::nullopt;
}

}  // namespace

Fault CompileGroupPolicy(const remuda::v1::TargetGroup& config, GroupPolicy& out) {
  if (Fault f = TakeAlgorithm(config, out)) return f;
  const bool has_slow_start =
      config.slow_start().seconds() != 0 || config.slow_start().nanos() != 0;
  if (Fault f = TakeDuration(has_slow_start, config.slow_start(),
                             {"slow_start", kOneSecond, milliseconds(900000)}, out.slow_start)) {
    return f;
  }
  if (Fault f = TakeStickiness(config.stickiness(), out.stickiness)) return f;
  if (Fault f = TakeEjection(config.passive_ejection(), out.ejection)) return f;
  if (Fault f = TakeLimit(config.concurrency_limit(), out.limit)) return f;
  if (config.has_request_hold()) {
    if (Fault f = TakeHold(config.request_hold(), out.hold)) return f;
  }
  if (Fault f = TakeGroupHealth(config.target_group_health(), out)) return f;
  out.tolerance = {.bare_lf = config.response_tolerance().bare_line_feeds(),
                   .padded_chunk_sizes = config.response_tolerance().padded_chunk_sizes()};
  if (!IsHttp(config.protocol())) {
    if (config.has_response_tolerance())
      return std::string("response_tolerance: only for HTTP and HTTPS");
    if (config.has_request_hold()) return std::string("request_hold: only for HTTP and HTTPS");
    if (out.stickiness.kind != StickinessSpec::Kind::kOff)
      return std::string("stickiness: only for HTTP and HTTPS");
    if (out.hash_key.kind != HashKeySpec::Kind::kSourceIp)
      return std::string("consistent_hash: only source_ip for TCP and TLS");
  }
  switch (config.cross_zone()) {
    case remuda::v1::CROSS_ZONE_UNSPECIFIED:
    case remuda::v1::CROSS_ZONE_ON:
      break;
    case remuda::v1::CROSS_ZONE_PREFER_OWN:
      out.prefers_own_zone = true;
      break;
    default:
      return "cross_zone: " + std::to_string(config.cross_zone()) + " is not known";
  }
  return std::nullopt;
}

}  // namespace remuda::proxy
