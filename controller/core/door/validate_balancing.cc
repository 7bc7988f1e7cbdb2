// What a target group may say about how its targets are chosen and spared.
#include <absl/strings/str_cat.h>

#include "common/tls/dns_name.h"
#include "controller/core/door/validate_resources.h"
#include "controller/core/model/limits.h"

namespace remuda::core {
namespace {

constexpr std::string_view kOwnCookies = "REMUDA";

void CheckConsistentHash(Violations& out, const FieldPath& at, const v1::TargetGroup& value) {
  const bool hashes = value.algorithm() == v1::BALANCING_ALGORITHM_CONSISTENT_HASH;
  if (value.has_consistent_hash() && !hashes) {
    out.Add(at, "is for the algorithm CONSISTENT_HASH only");
    return;
  }
  const v1::ConsistentHash& hash = value.consistent_hash();
  const bool by_header = hash.key_case() == v1::ConsistentHash::kHeader;
  const bool by_cookie = hash.key_case() == v1::ConsistentHash::kCookie;
  if (by_header && (!IsToken(hash.header()) || hash.header().size() > limits::kHeaderNameBytes)) {
    out.Add(at / "header",
            absl::StrCat(Quoted(hash.header()), " is not a header's name of at most ",
                         limits::kHeaderNameBytes, " bytes"));
  }
  if (by_cookie && (!IsToken(hash.cookie()) || hash.cookie().size() > limits::kCookieNameBytes)) {
    out.Add(at / "cookie",
            absl::StrCat(Quoted(hash.cookie()), " is not a cookie's name of at most ",
                         limits::kCookieNameBytes, " bytes"));
  }
  if (hash.key_case() == v1::ConsistentHash::kSourceIp && !hash.source_ip()) {
    out.Add(at / "source_ip", "false means nothing; leave it out");
  }
}

void CheckStickiness(Violations& out, const FieldPath& at, const v1::Stickiness& value) {
  CheckKnown(out, at / "type", value.type());
  CheckDuration(out, at / "duration", value.duration(), limits::kMinStickiness,
                limits::kMaxStickiness);
  const std::string& name = value.cookie_name();
  const bool is_app = value.type() == v1::Stickiness::TYPE_APP_COOKIE;
  if (!is_app) {
    if (!name.empty()) out.Add(at / "cookie_name", "is for TYPE_APP_COOKIE only");
    return;
  }
  if (!IsToken(name) || name.size() > limits::kCookieNameBytes ||
      name.compare(0, kOwnCookies.size(), kOwnCookies) == 0) {
    out.Add(at / "cookie_name",
            absl::StrCat(Quoted(name), " must be a cookie's name of at most ",
                         limits::kCookieNameBytes, " bytes that does not begin with REMUDA"));
  }
}

void CheckEjection(Violations& out, const FieldPath& at, const v1::PassiveEjection& value) {
  CheckRange(out, at / "consecutive_failures", value.consecutive_failures(), 0,
             limits::kConsecutiveFailures);
  const bool ok = CheckDuration(out, at / "base_time", value.base_time(), limits::kMinEjection,
                                limits::kMaxEjectionBase);
  if (ok) {
    CheckDuration(out, at / "max_time", value.max_time(), FromProto(value.base_time()),
                  limits::kMaxEjection);
  }
  CheckRange(out, at / "max_percent", value.max_percent(), 0, 100);
}

void CheckTargetTls(Violations& out, const FieldPath& at, const References& references,
                    const v1::TargetGroup& group) {
  const v1::TargetTls& value = group.target_tls();
  if (group.protocol() != v1::PROTOCOL_HTTPS && group.protocol() != v1::PROTOCOL_TLS) {
    out.Add(at, "is for HTTPS and TLS groups only");
    return;
  }
  CheckKnown(out, at / "verify", value.verify());
  CheckAuthorities(out, at / "ca_pem", references, value.ca_pem());
  std::string normal;
  if (!value.server_name().empty() &&
      !tls::NormalizeDnsName(value.server_name(), /*allow_wildcard=*/false, normal)) {
    out.Add(at / "server_name", absl::StrCat(Quoted(value.server_name()), " is not a DNS name"));
  }
  if (value.verify() != v1::TargetTls::VERIFY_FULL && !value.ca_pem().empty()) {
    out.Add(at / "ca_pem", "is for VERIFY_FULL only");
  }
}

// What only requests have makes no sense for a group of byte streams.
void CheckForBytes(Violations& out, const FieldPath& at, const v1::TargetGroup& value) {
  if (value.stickiness().type() != v1::Stickiness::TYPE_UNSPECIFIED)
    out.Add(at / "stickiness", "is by cookies; for HTTP and HTTPS groups only");
  const auto key = value.consistent_hash().key_case();
  if (key == v1::ConsistentHash::kHeader || key == v1::ConsistentHash::kCookie)
    out.Add(at / "consistent_hash", "by header or cookie is for HTTP and HTTPS groups only");
}

}  // namespace

void CheckBalancing(Violations& out, const FieldPath& at, const References& references,
                    const v1::TargetGroup& value) {
  CheckKnown(out, at / "algorithm", value.algorithm());
  if (value.has_slow_start()) {
    CheckDuration(out, at / "slow_start", value.slow_start(), limits::kMinSlowStart,
                  limits::kMaxSlowStart);
  }
  CheckConsistentHash(out, at / "consistent_hash", value);
  if (value.anomaly_mitigation() && value.algorithm() != v1::BALANCING_ALGORITHM_WEIGHTED_RANDOM)
    out.Add(at / "anomaly_mitigation", "is for the algorithm WEIGHTED_RANDOM only");
  if (value.has_stickiness()) CheckStickiness(out, at / "stickiness", value.stickiness());
  if (value.has_passive_ejection())
    CheckEjection(out, at / "passive_ejection", value.passive_ejection());
  if (value.has_concurrency_limit()) {
    const FieldPath here = at / "concurrency_limit";
    const v1::ConcurrencyLimit& limit = value.concurrency_limit();
    CheckRange(out, here / "max_requests", limit.max_requests(), 0, limits::kConcurrentRequests);
    CheckRange(out, here / "max_queue", limit.max_queue(), 0, limits::kQueuedRequests);
    CheckDuration(out, here / "queue_timeout", limit.queue_timeout(), limits::kMinQueueTimeout,
                  limits::kMaxQueueTimeout);
  }
  if (value.has_target_group_health()) {
    const FieldPath here = at / "target_group_health";
    CheckRange(out, here / "minimum_healthy_count",
               value.target_group_health().minimum_healthy_count(), 1, limits::kHealthyCount);
    CheckRange(out, here / "minimum_healthy_percent",
               value.target_group_health().minimum_healthy_percent(), 0, 100);
  }
  CheckKnown(out, at / "cross_zone", value.cross_zone());
  if (value.has_target_tls()) CheckTargetTls(out, at / "target_tls", references, value);
  CheckKnown(out, at / "proxy_protocol", value.proxy_protocol());
  if (value.protocol() == v1::PROTOCOL_TCP || value.protocol() == v1::PROTOCOL_TLS)
    CheckForBytes(out, at, value);
}

}  // namespace remuda::core
