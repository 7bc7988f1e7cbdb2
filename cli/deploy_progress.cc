#include "cli/deploy_progress.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <string_view>
#include <tuple>

#include "cli/kinds.h"
#include "common/duration_text.h"
#include "common/message_yaml.h"

namespace remuda::cli {
namespace {

constexpr size_t kBarCells = 20;
constexpr size_t kMinWidth = 40;

std::string StateText(const v1::Deployment& deployment) {
  const std::string step = HasEnded(deployment) ? "" : StepText(deployment);
  return absl::StrCat(ShortEnumName(v1::DeploymentState_descriptor(), deployment.state()),
                      step.empty() ? "" : " ", step, deployment.paused() ? " (paused)" : "");
}

std::string TemplateName(const v1::LaunchTemplateRef& ref) {
  return absl::StrCat(ShortId(ref.launch_template()), ":", ref.resolved_version());
}

const char* RoleText(v1::DeploymentRole role) {
  return role == v1::DEPLOYMENT_ROLE_OLD ? "old" : "new";
}

// "launch new", "shift to 100%", "bake 30s", "drain old".
std::string WordsOf(const v1::DeploymentStep& step) {
  switch (step.kind_case()) {
    case v1::DeploymentStep::kLaunch:
      return absl::StrCat("launch ", RoleText(step.launch().role()));
    case v1::DeploymentStep::kTraffic:
      return absl::StrCat("shift to ", step.traffic(), "%");
    case v1::DeploymentStep::kBake:
      return absl::StrCat("bake ", FormatDuration(step.bake()));
    case v1::DeploymentStep::kDrain:
      return absl::StrCat("drain ", RoleText(step.drain().role()));
    case v1::DeploymentStep::KIND_NOT_SET:
      break;
  }
  return "?";
}

std::string Counts(const v1::DeploymentSide& side) {
  std::string out = absl::StrCat(side.in_service(), " in service");
  if (side.pending() > 0) absl::StrAppend(&out, ", ", side.pending(), " pending");
  if (side.terminating() > 0) absl::StrAppend(&out, ", ", side.terminating(), " ending");
  return out;
}

std::string Bar(int percent) {
  const auto filled = static_cast<size_t>(std::clamp(percent, 0, 100)) * kBarCells / 100;
  return "[" + std::string(filled, '#') + std::string(kBarCells - filled, '.') + "]";
}

std::string SideLine(const char* what, const v1::LaunchTemplateRef& ref,
                     const v1::DeploymentSide& side) {
  std::string name = absl::StrCat(what, TemplateName(ref));
  name.resize(std::max<size_t>(name.size(), 16), ' ');
  std::string percent = absl::StrCat(side.traffic_percent(), "%");
  percent.insert(0, 5 - std::min<size_t>(5, percent.size()), ' ');
  return absl::StrCat("  ", name, " ", Bar(side.traffic_percent()), percent, " of the traffic   ",
                      Counts(side));
}

// Cut at a code point, with control characters out: the text comes from elsewhere and goes to a
// terminal.
std::string Fit(std::string line, size_t width) {
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  size_t columns = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    if ((line[i] & 0xC0) == 0x80) continue;
    if (columns++ == width) return line.substr(0, i);
  }
  return line;
}

}  // namespace

bool HasEnded(const v1::Deployment& deployment) {
  return deployment.state() == v1::DEPLOYMENT_STATE_SUCCEEDED ||
         deployment.state() == v1::DEPLOYMENT_STATE_ROLLED_BACK ||
         deployment.state() == v1::DEPLOYMENT_STATE_FAILED;
}

std::string StepText(const v1::Deployment& deployment) {
  const int position = deployment.current_step();
  if (position < 1 || position > deployment.steps_size()) return "";
  return absl::StrCat(position, "/", deployment.steps_size(), " ",
                      WordsOf(deployment.steps(position - 1)));
}

std::string TimeLeft(const v1::Deployment& deployment, const google::protobuf::Timestamp& now) {
  if (!deployment.has_deadline_time() || HasEnded(deployment)) return "";
  const int64_t seconds =
      std::max<int64_t>(0, deployment.deadline_time().seconds() - now.seconds());
  return seconds < 60 ? absl::StrCat("in ", seconds, "s")
                      : absl::StrCat("in ", seconds / 60, "m", seconds % 60, "s");
}

std::string ProgressLine(const v1::Deployment& deployment) {
  // The sides of one that has ended are not counted any more.
  if (HasEnded(deployment)) return StateText(deployment);
  std::string line =
      absl::StrCat(StateText(deployment), "  ", TemplateName(deployment.from()), ": ",
                   Counts(deployment.old_side()), ", ", deployment.old_side().traffic_percent(),
                   "%  ", TemplateName(deployment.to()), ": ", Counts(deployment.new_side()), ", ",
                   deployment.new_side().traffic_percent(), "%");
  if (!deployment.rollback_reason().empty()) {
    absl::StrAppend(&line, "  rolling back: ", deployment.rollback_reason());
  }
  if (!deployment.waiting().empty()) absl::StrAppend(&line, "  waiting: ", deployment.waiting());
  return Fit(line, line.size());
}

std::vector<std::string> ProgressPanel(const v1::Deployment& deployment,
                                       const google::protobuf::Timestamp& now, size_t width) {
  std::vector<std::string> lines;
  const std::string left = TimeLeft(deployment, now);
  lines.push_back(
      absl::StrCat(ShortId(deployment.name()), "  ", StateText(deployment),
                   left.empty() ? "" : absl::StrCat("  (gives up or goes on ", left, ")")));
  if (HasEnded(deployment)) return lines;
  lines.push_back(SideLine("old ", deployment.from(), deployment.old_side()));
  lines.push_back(SideLine("new ", deployment.to(), deployment.new_side()));
  if (!deployment.rollback_reason().empty())
    lines.push_back("  rolling back: " + deployment.rollback_reason());
  if (!deployment.waiting().empty()) lines.push_back("  waiting: " + deployment.waiting());
  for (std::string& line : lines) line = Fit(std::move(line), std::max(width, kMinWidth));
  return lines;
}

std::string OutcomeText(const v1::Deployment& deployment) {
  if (deployment.state() == v1::DEPLOYMENT_STATE_ROLLED_BACK) {
    return absl::StrCat(
        ShortId(deployment.name()), ": rolled back, ", ShortId(deployment.auto_scaling_group()),
        " runs ", TemplateName(deployment.from()),
        deployment.rollback_reason().empty() ? ""
                                             : absl::StrCat(": ", deployment.rollback_reason()));
  }
  if (deployment.state() == v1::DEPLOYMENT_STATE_FAILED) {
    return absl::StrCat(ShortId(deployment.name()), ": failed, ",
                        ShortId(deployment.auto_scaling_group()), " still runs ",
                        TemplateName(deployment.to()), ": ", deployment.rollback_reason());
  }
  return absl::StrCat(ShortId(deployment.name()), ": done, ",
                      ShortId(deployment.auto_scaling_group()), " runs ",
                      TemplateName(deployment.to()));
}

const v1::Instance* Culprit(const std::vector<const v1::Instance*>& instances) {
  // One that failed tells more than one that only did not come up in time.
  const auto rank = [](const v1::Instance& instance) {
    return std::tuple(instance.unhealthy(), instance.state_time().seconds(),
                      instance.state_time().nanos(), std::string_view(instance.name()));
  };
  const v1::Instance* best = nullptr;
  for (const v1::Instance* instance : instances) {
    // One that has not started has no log.
    const bool is_late = instance->has_start_time() && !instance->has_in_service_time();
    if (!instance->unhealthy() && !is_late) continue;
    if (best == nullptr || rank(*best) < rank(*instance)) best = instance;
  }
  return best;
}

bool IsSuspect(const v1::Deployment& deployment, const v1::Instance& instance) {
  return deployment.state() != v1::DEPLOYMENT_STATE_SUCCEEDED &&
         ShortId(instance.deployment()) == ShortId(deployment.name());
}

bool IsSuspect(const v1::AutoScalingGroup& group, const v1::Instance& instance) {
  const bool is_of_version =
      instance.launch_template().launch_template() == group.launch_template().launch_template() &&
      instance.launch_template().resolved_version() == group.launch_template().resolved_version();
  const bool has_ended = instance.state() == v1::INSTANCE_STATE_TERMINATED;
  return is_of_version && (!has_ended || group.status().launch_failures() > 0);
}

std::vector<std::string> TroubleLines(const v1::Instance& culprit, const std::string& log_tail) {
  constexpr size_t kUncut = 10'000;
  const std::string id = ShortId(culprit.name());
  std::vector<std::string> lines;
  for (const auto line : absl::StrSplit(log_tail, '\n', absl::SkipWhitespace())) {
    if (lines.empty()) lines.push_back(id + " printed last:");
    lines.push_back(
        Fit(absl::StrCat("  ", absl::StrReplaceAll(line, {{"\t", "    "}, {"\r", ""}})), kUncut));
  }
  lines.push_back(absl::StrCat(lines.empty() ? "what " + id + " printed" : "all that it printed",
                               ": `remuda logs ", id, "`"));
  return lines;
}

}  // namespace remuda::cli
