#include "cli/deploy_words.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <string_view>

#include "cli/cell_text.h"
#include "cli/kinds.h"
#include "cli/parts.h"
#include "common/duration_text.h"

namespace remuda::cli {
namespace {

// What deployment_step.proto says of fields that are left out.
constexpr int64_t kDefaultAnalysisSeconds = 60;
constexpr int64_t kDefaultAnalysisIntervalSeconds = 10;
constexpr int64_t kDefaultDeadlineSeconds = 600;
constexpr int kDefaultMinHealthyPercent = 90;
constexpr int kDefaultMaxPercent = 110;
constexpr double kDefaultErrorPercent = 1;
constexpr double kDefaultPercentile = 99;

const char* RoleText(v1::DeploymentRole role) {
  return role == v1::DEPLOYMENT_ROLE_OLD ? "old" : "new";
}

v1::DeploymentRole OtherRole(v1::DeploymentRole role) {
  return role == v1::DEPLOYMENT_ROLE_OLD ? v1::DEPLOYMENT_ROLE_NEW : v1::DEPLOYMENT_ROLE_OLD;
}

// "600s" is a number; "10m" is a time.
std::string DurationWords(const google::protobuf::Duration& duration) {
  return duration.nanos() == 0 ? TimeText(duration.seconds()) : FormatDuration(duration);
}

template <typename Step>
int PercentOf(const Step& step) {
  return step.has_percent() ? step.percent() : 100;
}

std::string ShareText(int percent) { return percent >= 100 ? "all" : absl::StrCat(percent, "%"); }

std::string AnalysisTime(const v1::Analysis& analysis) {
  return analysis.has_duration() ? DurationWords(analysis.duration())
                                 : TimeText(kDefaultAnalysisSeconds);
}

std::string ErrorRateWords(const v1::ErrorRateCheck& check) {
  std::vector<std::string> rules;
  if (check.has_max_percent() || !check.has_max_increase_percent()) {
    rules.push_back(absl::StrCat(
        "at most ", check.has_max_percent() ? check.max_percent() : kDefaultErrorPercent, "%"));
  }
  if (check.has_max_increase_percent()) {
    rules.push_back(
        absl::StrCat("at most ", check.max_increase_percent(), " points above the old side's"));
  }
  return absl::StrCat("error-rate ", absl::StrJoin(rules, " and "));
}

std::string LatencyWords(const v1::LatencyCheck& check) {
  std::vector<std::string> rules;
  if (check.has_max()) rules.push_back(absl::StrCat("at most ", FormatDuration(check.max())));
  if (check.has_max_ratio())
    rules.push_back(absl::StrCat("at most ", check.max_ratio(), " times the old side's"));
  return absl::StrCat("p", check.percentile() > 0 ? check.percentile() : kDefaultPercentile, " ",
                      absl::StrJoin(rules, " and "));
}

std::string PrometheusWords(const v1::PrometheusCheck& check) {
  std::string words = absl::StrCat("prometheus ", check.query());
  if (check.has_min()) absl::StrAppend(&words, " at least ", check.min());
  if (check.has_max()) absl::StrAppend(&words, " at most ", check.max());
  return words;
}

std::string KindWords(const v1::AnalysisCheck& check) {
  switch (check.kind_case()) {
    case v1::AnalysisCheck::kErrorRate:
      return ErrorRateWords(check.error_rate());
    case v1::AnalysisCheck::kLatency:
      return LatencyWords(check.latency());
    case v1::AnalysisCheck::kWebhook:
      return absl::StrCat("webhook ", check.webhook().url());
    case v1::AnalysisCheck::kPrometheus:
      return PrometheusWords(check.prometheus());
    case v1::AnalysisCheck::kCommand:
      return absl::StrCat("command ", absl::StrJoin(check.command().argv(), " "));
    case v1::AnalysisCheck::KIND_NOT_SET:
      break;
  }
  return "?";
}

std::string ChecksWords(const v1::Analysis& analysis) {
  return absl::StrJoin(analysis.checks(), "; ",
                       [](std::string* out, const v1::AnalysisCheck& check) {
                         absl::StrAppend(out, CheckWords(check));
                       });
}

std::string HowOften(const v1::Analysis& analysis) {
  std::string words =
      absl::StrCat("every ", analysis.has_interval() ? DurationWords(analysis.interval())
                                                     : TimeText(kDefaultAnalysisIntervalSeconds));
  if (analysis.failure_limit() > 0)
    absl::StrAppend(&words, ", ", analysis.failure_limit(), " in a row may fail");
  return words;
}

// --- The plan ---

std::string LaunchPlan(const v1::Deployment& d, const v1::LaunchStep& step) {
  const std::string side = SideName(d, step.role());
  if (d.has_shift()) {
    return absl::StrCat(
        d.shift().scale_groups() ? "scale up the group behind " : "wait for the targets of ", side,
        ": next when every live proxy finds them healthy");
  }
  const int percent = PercentOf(step);
  return absl::StrCat("launch ", percent >= 100 ? "" : absl::StrCat(percent, "% of "), "the ",
                      RoleText(step.role()), " instances (", side,
                      "): next when they are in service and every live proxy finds them healthy");
}

std::string DrainPlan(const v1::Deployment& d, const v1::DrainStep& step) {
  const std::string side = SideName(d, step.role());
  if (!d.has_shift()) {
    return absl::StrCat("drain and end the ", RoleText(step.role()), " instances (", side,
                        "): done when they are gone");
  }
  return d.shift().scale_groups()
             ? absl::StrCat("scale down the group behind ", side, ": done when they are gone")
             : absl::StrCat("let what ", side, " still answers come to its end");
}

std::string HealthyWords(const auto& step) {
  return absl::StrCat(
      "at least ",
      step.has_min_healthy_percent() ? step.min_healthy_percent() : kDefaultMinHealthyPercent,
      "% healthy");
}

std::string BatchBake(const auto& step) {
  const bool bakes = step.bake().seconds() > 0 || step.bake().nanos() > 0;
  return bakes
             ? absl::StrCat(", each batch serves ", DurationWords(step.bake()), " before the next")
             : "";
}

std::string ReplacePlan(const v1::Deployment& d, const v1::ReplaceStep& step) {
  return absl::StrCat("replace ", SideName(d, OtherRole(step.role())), " by ",
                      SideName(d, step.role()), " batch by batch, until ",
                      ShareText(PercentOf(step)), " of the instances are: ", HealthyWords(step),
                      ", at most ",
                      step.has_max_percent() ? step.max_percent() : kDefaultMaxPercent, "% at once",
                      BatchBake(step));
}

std::string UpdatePlan(const v1::Deployment& d, const v1::UpdateStep& step) {
  return absl::StrCat("change instances to ", SideName(d, step.role()),
                      " in place, batch by batch, until ", ShareText(PercentOf(step)),
                      " of them are: ", HealthyWords(step), BatchBake(step));
}

std::string AnalysisPlan(const v1::Deployment& d, const v1::Analysis& analysis) {
  return absl::StrCat("look at ", SideName(d, v1::DEPLOYMENT_ROLE_NEW), " for ",
                      AnalysisTime(analysis), ", ", HowOften(analysis), ": ", ChecksWords(analysis),
                      "; next when the newest evaluation passes then");
}

std::string StepPlan(const v1::Deployment& d, const v1::DeploymentStep& step) {
  const std::string old_name = SideName(d, v1::DEPLOYMENT_ROLE_OLD);
  const std::string new_name = SideName(d, v1::DEPLOYMENT_ROLE_NEW);
  switch (step.kind_case()) {
    case v1::DeploymentStep::kLaunch:
      return LaunchPlan(d, step.launch());
    case v1::DeploymentStep::kDrain:
      return DrainPlan(d, step.drain());
    case v1::DeploymentStep::kTraffic:
      return absl::StrCat("shift ", ShareText(step.traffic()), " of the traffic to ", new_name,
                          ": next when every live proxy has confirmed it");
    case v1::DeploymentStep::kBake:
      return absl::StrCat("bake for ", DurationWords(step.bake()), ": ", old_name,
                          " stays warm; over with the time, or when a person promotes");
    case v1::DeploymentStep::kPause:
      return absl::StrCat("pause for ", DurationWords(step.pause()),
                          ": over with the time, or when a person promotes");
    case v1::DeploymentStep::kApproval:
      return absl::StrCat("wait until a person approves",
                          step.approval().name().empty() ? "" : ": " + step.approval().name());
    case v1::DeploymentStep::kAnalysis:
      return AnalysisPlan(d, step.analysis());
    case v1::DeploymentStep::kReplace:
      return ReplacePlan(d, step.replace());
    case v1::DeploymentStep::kUpdate:
      return UpdatePlan(d, step.update());
    case v1::DeploymentStep::KIND_NOT_SET:
      break;
  }
  return "?";
}

std::string PreviewWords(const v1::PreviewRoute& preview) {
  switch (preview.kind_case()) {
    case v1::PreviewRoute::kHttpHeader:
      return absl::StrCat("requests with the header ", preview.http_header().http_header_name(),
                          ": ", absl::StrJoin(preview.http_header().values(), " or "));
    case v1::PreviewRoute::kCookie:
      return absl::StrCat("requests with the cookie ", preview.cookie().name(), "=",
                          preview.cookie().value());
    case v1::PreviewRoute::kListenerPort:
      return absl::StrCat("requests to port ", preview.listener_port());
    case v1::PreviewRoute::KIND_NOT_SET:
      break;
  }
  return "?";
}

std::string DeadlineWords(const v1::Deployment& d) {
  const bool is_automatic = !d.has_automatic_rollback() || d.automatic_rollback();
  return absl::StrCat(
      is_automatic ? "rolls back by itself when it fails" : "waits for a person when it fails",
      ", and when a step that waits for no time is not over within ",
      d.has_health_deadline() ? DurationWords(d.health_deadline())
                              : TimeText(kDefaultDeadlineSeconds));
}

}  // namespace

std::string SubjectText(const v1::Deployment& deployment) {
  if (!deployment.has_shift())
    return absl::StrCat("asg/", ShortId(deployment.auto_scaling_group()));
  const v1::TrafficShift& shift = deployment.shift();
  return absl::StrCat("lb/", PartId(shift.has_rule() ? shift.rule() : shift.listener()));
}

std::string SideName(const v1::Deployment& deployment, v1::DeploymentRole role) {
  const bool is_old = role == v1::DEPLOYMENT_ROLE_OLD;
  if (deployment.has_shift()) {
    return ShortId(is_old ? deployment.shift().from_target_group()
                          : deployment.shift().to_target_group());
  }
  return TemplateText(is_old ? deployment.from() : deployment.to());
}

std::string TimeText(int64_t seconds) {
  if (seconds < 120) return absl::StrCat(seconds, "s");
  const int64_t hours = seconds / 3600;
  const int64_t minutes = seconds / 60 % 60;
  std::string text = hours > 0 ? absl::StrCat(hours, "h") : "";
  if (minutes > 0) absl::StrAppend(&text, minutes, "m");
  if (seconds % 60 > 0) absl::StrAppend(&text, seconds % 60, "s");
  return text;
}

std::string StepWords(const v1::DeploymentStep& step) {
  switch (step.kind_case()) {
    case v1::DeploymentStep::kLaunch:
      return absl::StrCat(
          "launch ", RoleText(step.launch().role()),
          PercentOf(step.launch()) >= 100 ? "" : absl::StrCat(" ", PercentOf(step.launch()), "%"));
    case v1::DeploymentStep::kTraffic:
      return absl::StrCat("shift to ", step.traffic(), "%");
    case v1::DeploymentStep::kBake:
      return absl::StrCat("bake ", DurationWords(step.bake()));
    case v1::DeploymentStep::kPause:
      return absl::StrCat("pause ", DurationWords(step.pause()));
    case v1::DeploymentStep::kApproval:
      return absl::StrCat("approval",
                          step.approval().name().empty() ? "" : " " + step.approval().name());
    case v1::DeploymentStep::kAnalysis:
      return absl::StrCat("analysis ", AnalysisTime(step.analysis()));
    case v1::DeploymentStep::kReplace:
      return absl::StrCat("replace ", ShareText(PercentOf(step.replace())), " by ",
                          RoleText(step.replace().role()));
    case v1::DeploymentStep::kUpdate:
      return absl::StrCat("update ", ShareText(PercentOf(step.update())), " to ",
                          RoleText(step.update().role()));
    case v1::DeploymentStep::kDrain:
      return absl::StrCat("drain ", RoleText(step.drain().role()));
    case v1::DeploymentStep::KIND_NOT_SET:
      break;
  }
  return "?";
}

bool IsTimedWait(const v1::DeploymentStep& step) { return step.has_bake() || step.has_pause(); }

std::string CheckWords(const v1::AnalysisCheck& check) {
  const std::string words = KindWords(check);
  const std::string& name = check.name();
  if (name.empty() || std::string_view(words).starts_with(name)) return words;
  return absl::StrCat(name, ": ", words);
}

std::vector<std::string> PlanLines(const v1::Deployment& deployment) {
  std::vector<std::string> lines;
  lines.push_back(absl::StrCat("plan of ", SubjectText(deployment), ": ",
                               SideName(deployment, v1::DEPLOYMENT_ROLE_OLD), " -> ",
                               SideName(deployment, v1::DEPLOYMENT_ROLE_NEW), ", ",
                               StrategyText(deployment.strategy())));
  for (int i = 0; i < deployment.steps_size(); ++i) {
    const std::string number = absl::StrCat(i + 1, ". ");
    lines.push_back(absl::StrCat(number.size() < 4 ? "  " : " ", number,
                                 StepPlan(deployment, deployment.steps(i))));
  }
  if (deployment.analysis().checks_size() > 0) {
    lines.push_back(absl::StrCat("while it has a share, ", HowOften(deployment.analysis()), ": ",
                                 ChecksWords(deployment.analysis())));
  }
  const std::string new_name = SideName(deployment, v1::DEPLOYMENT_ROLE_NEW);
  for (const auto& preview : deployment.previews()) {
    lines.push_back(absl::StrCat("preview: ", PreviewWords(preview), " reach ", new_name,
                                 " as soon as it is ready"));
  }
  if (deployment.mirror().percent() > 0) {
    lines.push_back(absl::StrCat("mirror: ", deployment.mirror().percent(),
                                 "% of the requests are copied to ", new_name,
                                 ", and its answers thrown away"));
  }
  lines.push_back(DeadlineWords(deployment));
  for (const std::string& warning : deployment.warnings())
    lines.push_back(absl::StrCat("warning: ", warning));
  return lines;
}

}  // namespace remuda::cli
