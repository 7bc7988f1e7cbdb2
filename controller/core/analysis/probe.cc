#include "controller/core/analysis/probe.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_replace.h>

#include <optional>

#include "common/utf8.h"
#include "controller/core/analysis/evaluate.h"
#include "controller/core/analysis/side_traffic.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/names.h"

namespace remuda::core {
namespace {

constexpr std::string_view kQueryPath = "/api/v1/query?query=";

// Ids and numbers, as they would be in labels. Of a shift the sides are target groups.
QueryWords WordsOf(const v1::Deployment& row) {
  const bool is_shift = row.has_shift();
  return {.group = row.auto_scaling_group(),
          .old_version = is_shift ? row.shift().from_target_group()
                                  : absl::StrCat(row.from().resolved_version()),
          .new_version =
              is_shift ? row.shift().to_target_group() : absl::StrCat(row.to().resolved_version())};
}

// As a value in a URL's query: all but unreserved characters escaped (RFC 3986 section 2.3).
std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (is_plain) {
      out += c;
    } else {
      absl::StrAppendFormat(&out, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  return out;
}

// Nullopt: none that can be asked.
std::optional<Probe> ProbeOf(const v1::AnalysisCheck& check, const v1::Analysis& analysis,
                             const v1::Deployment& row) {
  Probe probe;
  std::string fault;
  if (check.has_webhook()) {
    probe.kind = Probe::Kind::kWebhook;
    probe.timeout = FromProto(check.webhook().timeout());
    probe.authorization = check.webhook().authorization();
    fault = ParseHttpUrl(check.webhook().url(), probe.url);
  } else if (check.has_prometheus()) {
    auto query =
        PrometheusProbe(check.prometheus().url(), Filled(check.prometheus().query(), WordsOf(row)),
                        FromProto(check.prometheus().timeout()));
    if (!query.has_value()) return std::nullopt;
    probe = *std::move(query);
  } else {
    probe.kind = Probe::Kind::kCommand;
    probe.timeout = FromProto(check.command().timeout());
    probe.argv.assign(check.command().argv().begin(), check.command().argv().end());
  }
  if (!fault.empty()) return std::nullopt;
  probe.interval = FromProto(analysis.interval());
  probe.check = check;
  return probe;
}

void AddProbes(const std::string& id, int step, const v1::Analysis& analysis,
               const v1::Deployment& row, std::map<ProbeId, Probe>& out) {
  for (const v1::AnalysisCheck& check : analysis.checks()) {
    if (!IsProbe(check)) continue;
    std::optional<Probe> probe = ProbeOf(check, analysis, row);
    if (probe.has_value()) out[{id, step, check.name()}] = *std::move(probe);
  }
}

// `text` within quotes, as JSON has it (RFC 8259 section 7).
std::string Json(std::string_view text) {
  std::string out = "\"";
  for (const char c : ValidUtf8(text)) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&out, "\\u%04x", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

// The object's next member; `value` is JSON.
void AddMember(std::string& object, std::string_view name, std::string_view value) {
  absl::StrAppend(&object, object == "{" ? "" : ",", Json(name), ":", std::string(value));
}

std::string SideJson(const v1::SideCounts& counts) {
  v1::DeploymentSide side;
  ShowTraffic(counts, side);
  std::string out = "{";
  AddMember(out, "requests", absl::StrCat(side.requests()));
  AddMember(out, "errors", absl::StrCat(side.errors()));
  const auto add_seconds = [&](std::string_view name, const google::protobuf::Duration& value) {
    AddMember(out, name, absl::StrFormat("%.6f", absl::ToDoubleSeconds(FromProto(value))));
  };
  if (side.has_latency_p50()) add_seconds("latencyP50Seconds", side.latency_p50());
  if (side.has_latency_p99()) add_seconds("latencyP99Seconds", side.latency_p99());
  return out + "}";
}

std::string MetadataJson(const google::protobuf::Map<std::string, std::string>& metadata) {
  const std::map<std::string, std::string> sorted(metadata.begin(), metadata.end());
  std::string out = "{";
  for (const auto& [key, value] : sorted) AddMember(out, key, Json(value));
  return out + "}";
}

}  // namespace

std::string Filled(const std::string& query, const QueryWords& words) {
  return absl::StrReplaceAll(query, {{"{{group}}", words.group},
                                     {"{{old_version}}", words.old_version},
                                     {"{{new_version}}", words.new_version}});
}

std::optional<Probe> PrometheusProbe(const std::string& url, const std::string& query,
                                     Duration timeout) {
  Probe probe{.kind = Probe::Kind::kPrometheus, .timeout = timeout};
  if (!ParseHttpUrl(url, probe.url).empty()) return std::nullopt;
  while (probe.url.target.ends_with('/')) probe.url.target.pop_back();
  absl::StrAppend(&probe.url.target, std::string(kQueryPath), Escaped(query));
  return probe;
}

std::map<ProbeId, Probe> ProbesOf(const std::string& id, const v1::Deployment& deployment) {
  std::map<ProbeId, Probe> probes;
  if (deployment.state() != v1::DEPLOYMENT_STATE_IN_PROGRESS) return probes;
  const bool has_share = !deployment.has_traffic_percent() || deployment.traffic_percent() > 0;
  if (has_share) AddProbes(id, 0, deployment.analysis(), deployment, probes);
  const int step = deployment.current_step();
  if (step >= 1 && step <= deployment.steps_size() && deployment.steps(step - 1).has_analysis() &&
      !deployment.paused()) {
    AddProbes(id, step, deployment.steps(step - 1).analysis(), deployment, probes);
  }
  return probes;
}

std::map<ProbeId, Probe> ProbesWanted(const State& state) {
  std::map<ProbeId, Probe> probes;
  for (const auto& [id, row] : state.All<v1::Deployment>()) probes.merge(ProbesOf(id, *row));
  return probes;
}

std::string ProbeBody(const State& state, const Observations& seen, const ProbeId& id,
                      const v1::Deployment& deployment, const v1::AnalysisCheck& check) {
  std::string out = "{";
  AddMember(out, "deployment", Json(deployment.name()));
  if (deployment.has_shift()) {
    const v1::TrafficShift& shift = deployment.shift();
    AddMember(out, "fromTargetGroup", Json(FullName(kTargetGroups, shift.from_target_group())));
    AddMember(out, "toTargetGroup", Json(FullName(kTargetGroups, shift.to_target_group())));
  } else {
    AddMember(out, "autoScalingGroup",
              Json(FullName(kAutoScalingGroups, deployment.auto_scaling_group())));
    AddMember(out, "oldVersion", Json(TextOf(deployment.from())));
    AddMember(out, "newVersion", Json(TextOf(deployment.to())));
  }
  AddMember(out, "step", absl::StrCat(id.step == 0 ? deployment.current_step() : id.step));
  AddMember(out, "check", Json(id.check));
  if (deployment.has_traffic_percent())
    AddMember(out, "trafficPercent", absl::StrCat(deployment.traffic_percent()));
  const SideTraffic traffic = TrafficSinceShare(Draft(state), seen, deployment);
  AddMember(out, "old", SideJson(traffic.old_side));
  AddMember(out, "new", SideJson(traffic.new_side));
  if (check.has_webhook()) AddMember(out, "metadata", MetadataJson(check.webhook().metadata()));
  return out + "}";
}

std::map<std::string, ProbeAnswer> AnswersOf(const ProbeAnswers& answers,
                                             const std::string& deployment, int step) {
  std::map<std::string, ProbeAnswer> out;
  for (auto it = answers.lower_bound({deployment, step, ""});
       it != answers.end() && it->first.deployment == deployment && it->first.step == step; ++it) {
    out.emplace(it->first.check, it->second);
  }
  return out;
}

}  // namespace remuda::core
