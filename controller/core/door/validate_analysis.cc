#include "controller/core/door/validate_analysis.h"

#include <absl/strings/str_cat.h>

#include <map>
#include <set>

#include "controller/core/analysis/http_url.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/names.h"

namespace remuda::core {
namespace {

constexpr Duration kDuration = absl::Seconds(60);
constexpr Duration kInterval = absl::Seconds(10);
constexpr Duration kTimeout = absl::Seconds(10);
constexpr double kMaxErrorPercent = 1;
constexpr double kPercentile = 99;
constexpr int64_t kMinRequests = 100;

const char* KindName(const v1::AnalysisCheck& check) {
  switch (check.kind_case()) {
    case v1::AnalysisCheck::kErrorRate:
      return "error-rate";
    case v1::AnalysisCheck::kLatency:
      return "latency";
    case v1::AnalysisCheck::kWebhook:
      return "webhook";
    case v1::AnalysisCheck::kPrometheus:
      return "prometheus";
    case v1::AnalysisCheck::kCommand:
      return "command";
    case v1::AnalysisCheck::KIND_NOT_SET:
      break;
  }
  return "";
}

template <class Kind>
void ApplyTimeout(Kind& kind) {
  if (!kind.has_timeout()) *kind.mutable_timeout() = ToProto(kTimeout);
}

void ApplyDefaults(v1::AnalysisCheck& check) {
  if (check.name().empty()) check.set_name(KindName(check));
  if (check.has_error_rate()) {
    v1::ErrorRateCheck& kind = *check.mutable_error_rate();
    if (!kind.has_max_percent() && !kind.has_max_increase_percent())
      kind.set_max_percent(kMaxErrorPercent);
    if (kind.min_requests() == 0) kind.set_min_requests(kMinRequests);
  } else if (check.has_latency()) {
    v1::LatencyCheck& kind = *check.mutable_latency();
    if (kind.percentile() == 0) kind.set_percentile(kPercentile);
    if (kind.min_requests() == 0) kind.set_min_requests(kMinRequests);
  } else if (check.has_webhook()) {
    ApplyTimeout(*check.mutable_webhook());
  } else if (check.has_prometheus()) {
    ApplyTimeout(*check.mutable_prometheus());
  } else if (check.has_command()) {
    ApplyTimeout(*check.mutable_command());
  }
}

// What is no number is within nothing.
void CheckNumber(Violations& out, const FieldPath& at, double value, double min, double max) {
  if (value >= min && value <= max) return;
  out.Add(at, absl::StrCat(value, " is not within ", min, "-", max));
}

void CheckBound(Violations& out, const FieldPath& at, double value) {
  if (value != value) out.Add(at, "must be a number");
}

void CheckUrl(Violations& out, const FieldPath& at, const std::string& text, HttpUrl& url) {
  const std::string fault = ParseHttpUrl(text, url);
  if (fault.empty()) return;
  // What holds a password is not said again.
  const bool is_secret = text.find('@') != std::string::npos;
  out.Add(at, is_secret ? fault : absl::StrCat(Quoted(text), " ", fault));
}

void CheckTimeout(Violations& out, const FieldPath& at, const google::protobuf::Duration& value) {
  CheckDuration(out, at, value, limits::kMinProbeTimeout, limits::kMaxProbeTimeout);
}

void Check(Violations& out, const FieldPath& at, const v1::ErrorRateCheck& value) {
  if (value.has_max_percent()) CheckNumber(out, at / "max_percent", value.max_percent(), 0, 100);
  if (value.has_max_increase_percent())
    CheckNumber(out, at / "max_increase_percent", value.max_increase_percent(), 0, 100);
  CheckRange(out, at / "min_requests", value.min_requests(), 1, limits::kMinRequests);
}

void Check(Violations& out, const FieldPath& at, const v1::LatencyCheck& value) {
  CheckNumber(out, at / "percentile", value.percentile(), limits::kMinPercentile,
              limits::kMaxPercentile);
  if (!value.has_max() && !value.has_max_ratio())
    out.Add(at, "must have max or max_ratio: without a limit there is nothing to fail");
  if (value.has_max()) {
    CheckDuration(out, at / "max", value.max(), limits::kMinLatencyLimit, limits::kMaxLatencyLimit);
  }
  if (value.has_max_ratio()) {
    CheckNumber(out, at / "max_ratio", value.max_ratio(), limits::kMinRatio, limits::kMaxRatio);
  }
  CheckRange(out, at / "min_requests", value.min_requests(), 1, limits::kMinRequests);
}

void Check(Violations& out, const FieldPath& at, const v1::WebhookCheck& value) {
  HttpUrl url;
  CheckUrl(out, at / "url", value.url(), url);
  CheckTimeout(out, at / "timeout", value.timeout());
  CheckCount(out, at / "metadata", static_cast<int>(value.metadata().size()), 0,
             limits::kMetadataAWebhook);
  const std::map<std::string, std::string> sorted(value.metadata().begin(), value.metadata().end());
  for (const auto& [key, text] : sorted) {
    const FieldPath here = (at / "metadata").Key(key);
    if (key.empty()) out.Add(here, "must have a name");
    CheckText(out, here, key, limits::kLabelValueBytes);
    CheckText(out, here, text, limits::kMetadataValueBytes, /*multiline=*/true);
  }
  // A secret: said without its value.
  if (value.authorization().size() > limits::kAuthorizationBytes) {
    out.Add(at / "authorization", absl::StrCat(value.authorization().size(), " bytes; at most ",
                                               limits::kAuthorizationBytes));
  }
  for (const char c : value.authorization()) {
    if (c >= 0x20 && c < 0x7f) continue;
    out.Add(at / "authorization", "must be printable ASCII: it is a header's value");
    break;
  }
}

void Check(Violations& out, const FieldPath& at, const v1::PrometheusCheck& value) {
  HttpUrl url;
  CheckUrl(out, at / "url", value.url(), url);
  if (url.target.find('?') != std::string::npos)
    out.Add(at / "url", "must not have a query: `/api/v1/query` is added to it");
  if (value.query().empty()) out.Add(at / "query", "must not be empty");
  CheckText(out, at / "query", value.query(), limits::kQueryBytes, /*multiline=*/true);
  if (!value.has_max() && !value.has_min())
    out.Add(at, "must have max or min: without a bound there is nothing to fail");
  CheckBound(out, at / "max", value.max());
  CheckBound(out, at / "min", value.min());
  if (value.has_max() && value.has_min() && value.min() > value.max())
    out.Add(at / "min", absl::StrCat(value.min(), " is above max ", value.max()));
  CheckTimeout(out, at / "timeout", value.timeout());
}

void Check(Violations& out, const FieldPath& at, const v1::CommandCheck& value,
           const AnalysisCommands* commands) {
  const FieldPath argv = at / "argv";
  CheckCount(out, argv, value.argv_size(), 1, limits::kAnalysisCommandArguments);
  size_t bytes = 0;
  for (int i = 0; i < value.argv_size(); ++i) {
    bytes += value.argv(i).size();
    if (value.argv(i).find('\0') != std::string::npos)
      out.Add(argv[i], "must not have a zero byte");
  }
  if (bytes > limits::kAnalysisCommandBytes)
    out.Add(argv, absl::StrCat(bytes, " bytes together; at most ", limits::kAnalysisCommandBytes));
  CheckTimeout(out, at / "timeout", value.timeout());
  if (value.argv().empty()) return;
  const std::string& program = value.argv(0);
  if (!program.starts_with('/')) {
    out.Add(argv[0], absl::StrCat(Quoted(program), " must be an absolute path"));
  } else if (commands == nullptr || !commands->contains(program)) {
    out.Add(argv[0], absl::StrCat(Quoted(program), " may not be run: the controller has no ",
                                  "--analysis-command=", Quoted(program)));
  }
}

void CheckCheck(Violations& out, const FieldPath& at, const v1::AnalysisCheck& value,
                const AnalysisCommands* commands) {
  switch (value.kind_case()) {
    case v1::AnalysisCheck::kErrorRate:
      return Check(out, at / "error_rate", value.error_rate());
    case v1::AnalysisCheck::kLatency:
      return Check(out, at / "latency", value.latency());
    case v1::AnalysisCheck::kWebhook:
      return Check(out, at / "webhook", value.webhook());
    case v1::AnalysisCheck::kPrometheus:
      return Check(out, at / "prometheus", value.prometheus());
    case v1::AnalysisCheck::kCommand:
      return Check(out, at / "command", value.command(), commands);
    case v1::AnalysisCheck::KIND_NOT_SET:
      out.Add(at, "must be one of error_rate, latency, webhook, prometheus, command");
  }
}

}  // namespace

void ApplyDefaults(v1::Analysis& value) {
  if (!value.has_duration()) *value.mutable_duration() = ToProto(kDuration);
  if (!value.has_interval()) *value.mutable_interval() = ToProto(kInterval);
  for (v1::AnalysisCheck& check : *value.mutable_checks()) ApplyDefaults(check);
}

void CheckAnalysis(Violations& out, const FieldPath& at, const v1::Analysis& value,
                   const AnalysisCommands* commands) {
  CheckDuration(out, at / "duration", value.duration(), absl::ZeroDuration(), limits::kMaxAnalysis);
  CheckDuration(out, at / "interval", value.interval(), limits::kMinAnalysisInterval,
                limits::kMaxAnalysisInterval);
  CheckRange(out, at / "failure_limit", value.failure_limit(), 0, limits::kFailureLimit);
  CheckCount(out, at / "checks", value.checks_size(), 1, limits::kChecksAnAnalysis);
  std::set<std::string> names;
  for (int i = 0; i < value.checks_size(); ++i) {
    const v1::AnalysisCheck& check = value.checks(i);
    const FieldPath here = (at / "checks")[i];
    if (check.kind_case() != v1::AnalysisCheck::KIND_NOT_SET && !IsValidId(check.name())) {
      out.Add(here / "name", absl::StrCat(Quoted(check.name()), " ", limits::kIdRule));
    } else if (!check.name().empty() && !names.insert(check.name()).second) {
      out.Add(here / "name", absl::StrCat(Quoted(check.name()), " is the name of another check: ",
                                          "give this one a name of its own"));
    }
    CheckCheck(out, here, check, commands);
  }
}

}  // namespace remuda::core
