#include "cli/deploy_progress.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <tuple>

#include "cli/cell_text.h"
#include "cli/deploy_words.h"
#include "cli/kinds.h"
#include "cli/progress_layout.h"
#include "cli/table_layout.h"
#include "common/message_yaml.h"
#include "common/words.h"

namespace remuda::cli {
namespace {

using google::protobuf::Timestamp;
using google::protobuf::util::MessageDifferencer;

// Evaluations that are shown of those that were before.
constexpr int kShownEvaluations = 3;
// Between two lines that tell only what was measured.
constexpr int64_t kMeasuredEverySeconds = 30;

std::string StateText(const v1::Deployment& deployment) {
  const std::string step = HasEnded(deployment) ? "" : StepText(deployment);
  return absl::StrCat(ShortEnumName(v1::DeploymentState_descriptor(), deployment.state()),
                      step.empty() ? "" : " ", step, deployment.paused() ? " (paused)" : "");
}

const v1::DeploymentStep* CurrentStep(const v1::Deployment& deployment) {
  const int position = deployment.current_step();
  if (position < 1 || position > deployment.steps_size()) return nullptr;
  return &deployment.steps(position - 1);
}

bool RollsBackByItself(const v1::Deployment& deployment) {
  return !deployment.has_automatic_rollback() || deployment.automatic_rollback();
}

std::string Counts(const v1::DeploymentSide& side) {
  std::string out = absl::StrCat(side.in_service(), " in service");
  if (side.pending() > 0) absl::StrAppend(&out, ", ", side.pending(), " pending");
  if (side.terminating() > 0) absl::StrAppend(&out, ", ", side.terminating(), " ending");
  return out;
}

// "4.9%": of a part, of which one is never shown as none.
std::string PartText(int64_t part, int64_t whole) {
  if (whole <= 0) return "-";
  const double percent = 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  char text[32];
  std::snprintf(text, sizeof text, percent > 0 && percent < 0.1 ? "%.2g%%" : "%.1f%%", percent);
  return text;
}

// "12ms", "1.25s": three digits say enough of what is known to about 6 %.
std::string LatencyText(const google::protobuf::Duration& duration) {
  const double ms =
      static_cast<double>(duration.seconds()) * 1e3 + static_cast<double>(duration.nanos()) / 1e6;
  char text[32];
  if (ms >= 1000) {
    std::snprintf(text, sizeof text, "%.3gs", ms / 1e3);
  } else {
    std::snprintf(text, sizeof text, "%.3gms", ms);
  }
  return text;
}

std::string LatenciesText(const v1::DeploymentSide& side) {
  std::string text;
  if (side.has_latency_p50()) absl::StrAppend(&text, ", p50 ", LatencyText(side.latency_p50()));
  if (side.has_latency_p99()) absl::StrAppend(&text, ", p99 ", LatencyText(side.latency_p99()));
  return text;
}

// "measured 4.9%, 247 requests, errors 0.4%, p50 12ms, p99 40ms".
std::string MeasuredText(const v1::DeploymentSide& side, int64_t all_requests) {
  return absl::StrCat("measured ", PartText(side.requests(), all_requests), ", ",
                      Counted(side.requests(), "request"), ", errors ",
                      PartText(side.errors(), side.requests()), LatenciesText(side));
}

int64_t RequestsOf(const v1::Deployment& deployment) {
  return deployment.old_side().requests() + deployment.new_side().requests();
}

// What comes when the time is over.
const char* WhatThen(const v1::Deployment& deployment) {
  if (deployment.state() == v1::DEPLOYMENT_STATE_ROLLING_BACK) return "gives up or goes on";
  const v1::DeploymentStep* step = CurrentStep(deployment);
  if (step == nullptr) return "gives up or goes on";
  if (IsTimedWait(*step)) return "goes on";
  if (step->has_analysis()) return "is judged";
  if (step->has_launch() || step->has_traffic())
    return RollsBackByItself(deployment) ? "rolls back" : "waits for a person";
  return "gives up or goes on";
}

std::string Command(const v1::Deployment& deployment, const char* verb) {
  return absl::StrCat("`remuda deployment ", verb, " ", ShortId(deployment.name()), "`");
}

// Those behind the one that was the newest before; of what was not seen from its beginning, a few.
int FirstNewEvaluation(const v1::Deployment& deployment, const v1::Deployment& before) {
  const auto& all = deployment.evaluations();
  if (before.evaluations().empty()) return std::max(0, all.size() - kShownEvaluations);
  const v1::AnalysisEvaluation& newest = *before.evaluations().rbegin();
  for (int i = all.size() - 1; i >= 0; --i) {
    if (MessageDifferencer::Equals(all[i], newest)) return i + 1;
  }
  return 0;
}

// --- The panel ---

class Panel {
 public:
  Panel(const v1::Deployment& deployment, const Timestamp& now, const PanelStyle& style)
      : deployment_(deployment), now_(now), layout_(style.width) {}

  // All but the steps, which stand behind the first two lines; of these, as many as there is room
  // for.
  std::vector<PanelLine> Lines(size_t height) {
    Head();
    const size_t before_steps = layout_.lines().size();
    if (!HasEnded(deployment_)) Sides();
    Evaluations();
    if (!HasEnded(deployment_)) WhatIsAwaited();
    std::vector<PanelLine> lines = layout_.lines();
    size_t room = static_cast<size_t>(deployment_.steps_size());
    if (height > 0) room = std::min(room, height > lines.size() ? height - lines.size() : 0);
    const std::vector<PanelLine> steps = Steps(room);
    lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(before_steps), steps.begin(),
                 steps.end());
    // The end says what to do: where even that has no room, it is the rest that goes.
    if (height > 0 && lines.size() > height)
      lines.erase(lines.begin() + 1,
                  lines.begin() + 1 + static_cast<std::ptrdiff_t>(lines.size() - height));
    return lines;
  }

 private:
  void Head() {
    layout_.Cut(absl::StrCat(ShortId(deployment_.name()), "  ", StateText(deployment_)),
                ToneOfState());
    layout_.Cut(absl::StrCat("  ", SubjectText(deployment_), ": ",
                             SideName(deployment_, v1::DEPLOYMENT_ROLE_OLD), " -> ",
                             SideName(deployment_, v1::DEPLOYMENT_ROLE_NEW), ", ",
                             StrategyText(deployment_.strategy()), Age()));
  }

  std::string Age() const {
    if (!deployment_.has_create_time()) return "";
    const int64_t end =
        deployment_.has_end_time() ? deployment_.end_time().seconds() : now_.seconds();
    return absl::StrCat(", ", deployment_.has_end_time() ? "took " : "for ",
                        TimeText(std::max<int64_t>(0, end - deployment_.create_time().seconds())));
  }

  Tone ToneOfState() const {
    if (deployment_.state() == v1::DEPLOYMENT_STATE_SUCCEEDED) return Tone::kGood;
    return HasEnded(deployment_) || deployment_.state() == v1::DEPLOYMENT_STATE_ROLLING_BACK
               ? Tone::kBad
               : Tone::kStrong;
  }

  std::vector<PanelLine> Steps(size_t room) const {
    const bool is_done = deployment_.state() == v1::DEPLOYMENT_STATE_SUCCEEDED;
    std::vector<PanelLine> lines;
    for (int i = 1; i <= deployment_.steps_size(); ++i) {
      const bool is_current = i == deployment_.current_step() && !HasEnded(deployment_);
      const bool is_past = is_done || i < deployment_.current_step() ||
                           (i == deployment_.current_step() && !is_current);
      const char* mark = is_current ? "[>]" : is_past ? "[x]" : "[ ]";
      lines.push_back({absl::StrCat("  ", mark, " ", i, " ", StepWords(deployment_.steps(i - 1))),
                       is_current ? Tone::kWaiting
                       : is_past  ? Tone::kGood
                                  : Tone::kPlain});
    }
    return layout_.Around(std::move(lines),
                          static_cast<size_t>(std::max(0, deployment_.current_step() - 1)), room);
  }

  void Sides() {
    Side("old ", v1::DEPLOYMENT_ROLE_OLD, deployment_.old_side());
    Side("new ", v1::DEPLOYMENT_ROLE_NEW, deployment_.new_side());
  }

  void Side(const char* what, v1::DeploymentRole role, const v1::DeploymentSide& side) {
    layout_.Bar(absl::StrCat(what, SideName(deployment_, role)), side.traffic_percent(),
                Counts(side));
    if (RequestsOf(deployment_) > 0)
      layout_.Wrapped("    ", MeasuredText(side, RequestsOf(deployment_)));
  }

  void Evaluations() {
    const auto& all = deployment_.evaluations();
    for (int i = std::max(0, all.size() - kShownEvaluations); i < all.size(); ++i) {
      const bool is_bad = all[i].verdict() == v1::AnalysisEvaluation::VERDICT_FAILED;
      const bool is_good = all[i].verdict() == v1::AnalysisEvaluation::VERDICT_PASSED;
      layout_.Cut(absl::StrCat("  ", FormatClock(all[i].time()), " ", EvaluationLine(all[i])),
                  is_bad    ? Tone::kBad
                  : is_good ? Tone::kGood
                            : Tone::kWaiting);
    }
  }

  void WhatIsAwaited() {
    if (!deployment_.rollback_reason().empty())
      layout_.Wrapped("  ", "rolling back: " + deployment_.rollback_reason(), Tone::kBad);
    if (!deployment_.waiting().empty())
      layout_.Wrapped("  ", "waiting: " + deployment_.waiting(), Tone::kWaiting);
    const std::string left = TimeLeft(deployment_, now_);
    if (!left.empty()) layout_.Cut(absl::StrCat("  ", WhatThen(deployment_), " ", left));
    if (deployment_.paused() && deployment_.has_pause_time()) {
      const int64_t for_seconds = now_.seconds() - deployment_.pause_time().seconds();
      layout_.Cut(absl::StrCat("  paused for ", TimeText(std::max<int64_t>(0, for_seconds)),
                               ", and no deadline runs"));
    }
    for (const std::string& warning : deployment_.warnings())
      layout_.Wrapped("  ", "warning: " + warning, Tone::kWaiting);
    const std::string next = NextText(deployment_, now_);
    if (!next.empty()) layout_.Wrapped("  ", "next: " + next, Tone::kStrong);
  }

  const v1::Deployment& deployment_;
  const Timestamp& now_;
  PanelLayout layout_;
};

}  // namespace

bool HasEnded(const v1::Deployment& deployment) {
  return deployment.state() == v1::DEPLOYMENT_STATE_SUCCEEDED ||
         deployment.state() == v1::DEPLOYMENT_STATE_ROLLED_BACK ||
         deployment.state() == v1::DEPLOYMENT_STATE_FAILED;
}

std::string StepText(const v1::Deployment& deployment) {
  const v1::DeploymentStep* step = CurrentStep(deployment);
  if (step == nullptr) return "";
  return absl::StrCat(deployment.current_step(), "/", deployment.steps_size(), " ",
                      StepWords(*step));
}

std::string TimeLeft(const v1::Deployment& deployment, const Timestamp& now) {
  if (!deployment.has_deadline_time() || deployment.paused() || HasEnded(deployment)) return "";
  return absl::StrCat(
      "in ", TimeText(std::max<int64_t>(0, deployment.deadline_time().seconds() - now.seconds())));
}

std::string ProgressLine(const v1::Deployment& deployment) {
  // The sides of one that has ended are not counted any more.
  if (HasEnded(deployment)) return StateText(deployment);
  std::string line = absl::StrCat(
      StateText(deployment), "  ", SideName(deployment, v1::DEPLOYMENT_ROLE_OLD), ": ",
      Counts(deployment.old_side()), ", ", deployment.old_side().traffic_percent(), "%  ",
      SideName(deployment, v1::DEPLOYMENT_ROLE_NEW), ": ", Counts(deployment.new_side()), ", ",
      deployment.new_side().traffic_percent(), "%");
  if (!deployment.rollback_reason().empty()) {
    absl::StrAppend(&line, "  rolling back: ", deployment.rollback_reason());
  }
  if (!deployment.waiting().empty()) absl::StrAppend(&line, "  waiting: ", deployment.waiting());
  return Printable(std::move(line));
}

std::string MeasuredLine(const v1::Deployment& deployment) {
  const int64_t requests = RequestsOf(deployment);
  if (requests == 0) return "";
  const auto of = [&](v1::DeploymentRole role, const v1::DeploymentSide& side) {
    return absl::StrCat(SideName(deployment, role), " ", side.traffic_percent(), "% wanted, ",
                        MeasuredText(side, requests));
  };
  return Printable(absl::StrCat(of(v1::DEPLOYMENT_ROLE_OLD, deployment.old_side()), "; ",
                                of(v1::DEPLOYMENT_ROLE_NEW, deployment.new_side())));
}

std::string EvaluationLine(const v1::AnalysisEvaluation& evaluation) {
  const std::string& description = evaluation.description();
  return Printable(absl::StrCat(EnumText(evaluation.verdict()), " ", evaluation.check(),
                                description.empty() ? "" : ": ", description));
}

std::string NextText(const v1::Deployment& deployment, const Timestamp& now) {
  if (deployment.state() != v1::DEPLOYMENT_STATE_IN_PROGRESS) return "";
  if (deployment.paused()) {
    return absl::StrCat(Command(deployment, "resume"), " goes on, ",
                        Command(deployment, "rollback"), " goes back");
  }
  const v1::DeploymentStep* step = CurrentStep(deployment);
  if (step != nullptr && step->has_approval() && !deployment.approved()) {
    return absl::StrCat(Command(deployment, "approve"), " goes on, ",
                        Command(deployment, "approve --reject"), " goes back");
  }
  if (step != nullptr && IsTimedWait(*step) && !deployment.promoted() &&
      !deployment.promoted_all()) {
    return absl::StrCat("it goes on by itself; ", Command(deployment, "promote"), " goes on now");
  }
  const bool has_failed =
      deployment.failed_evaluations() > 0 ||
      (deployment.has_deadline_time() && deployment.deadline_time().seconds() < now.seconds());
  if (!RollsBackByItself(deployment) && has_failed)
    return absl::StrCat("it does not roll back by itself: ", Command(deployment, "rollback"));
  return "";
}

std::vector<std::string> ProgressLines::Next(const v1::Deployment& deployment,
                                             const Timestamp& now) {
  std::vector<std::string> lines;
  Evaluations(deployment, lines);
  Measured(deployment, now, lines);
  if (const std::string line = ProgressLine(deployment); line != last_line_) {
    const std::string left = TimeLeft(deployment, now);
    lines.push_back(left.empty() ? line
                                 : absl::StrCat(line, "  (", WhatThen(deployment), " ", left, ")"));
    last_line_ = line;
  }
  for (; warnings_told_ < deployment.warnings_size(); ++warnings_told_)
    lines.push_back(Printable("warning: " + deployment.warnings(warnings_told_)));
  const std::string next = NextText(deployment, now);
  if (!next.empty() && next != last_next_) lines.push_back("next: " + next);
  last_next_ = next;
  last_ = deployment;
  return lines;
}

void ProgressLines::Evaluations(const v1::Deployment& deployment, std::vector<std::string>& lines) {
  for (int i = FirstNewEvaluation(deployment, last_); i < deployment.evaluations_size(); ++i)
    lines.push_back(EvaluationLine(deployment.evaluations(i)));
}

void ProgressLines::Measured(const v1::Deployment& deployment, const Timestamp& now,
                             std::vector<std::string>& lines) {
  const bool is_new_share =
      HasEnded(deployment) || deployment.current_step() != last_.current_step() ||
      deployment.shift_confirmed_time().seconds() != last_.shift_confirmed_time().seconds();
  // With the new share the counts begin again: what the one before came to is told now or never.
  const std::string measured = MeasuredLine(is_new_share ? last_ : deployment);
  if (measured.empty() || measured == last_measured_) return;
  if (!is_new_share && now.seconds() - measured_seconds_ < kMeasuredEverySeconds) return;
  lines.push_back(measured);
  last_measured_ = measured;
  measured_seconds_ = now.seconds();
}

std::vector<std::string> ProgressPanel(const v1::Deployment& deployment, const Timestamp& now,
                                       const PanelStyle& style) {
  std::vector<std::string> out;
  for (const PanelLine& line : Panel(deployment, now, style).Lines(style.height))
    out.push_back(style.with_colours ? InTone(line.tone, line.text) : line.text);
  return out;
}

std::string OutcomeText(const v1::Deployment& deployment) {
  const std::string name = ShortId(deployment.name());
  const std::string old_name = SideName(deployment, v1::DEPLOYMENT_ROLE_OLD);
  const std::string new_name = SideName(deployment, v1::DEPLOYMENT_ROLE_NEW);
  const std::string& reason = deployment.rollback_reason();
  const std::string who =
      deployment.has_shift() ? SubjectText(deployment) : ShortId(deployment.auto_scaling_group());
  const char* does = deployment.has_shift() ? "sends to" : "runs";
  const std::string why = reason.empty() ? "" : ": " + reason;
  if (deployment.state() == v1::DEPLOYMENT_STATE_ROLLED_BACK)
    return absl::StrCat(name, ": rolled back, ", who, " ", does, " ", old_name, why);
  if (deployment.state() == v1::DEPLOYMENT_STATE_FAILED)
    return absl::StrCat(name, ": failed, ", who, " still ", does, " ", new_name, why);
  return absl::StrCat(name, ": done, ", who, " ", does, " ", new_name);
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
  const std::string id = ShortId(culprit.name());
  std::vector<std::string> lines;
  for (const auto line : absl::StrSplit(log_tail, '\n', absl::SkipWhitespace())) {
    if (lines.empty()) lines.push_back(id + " printed last:");
    lines.push_back(
        Printable(absl::StrCat("  ", absl::StrReplaceAll(line, {{"\t", "    "}, {"\r", ""}}))));
  }
  lines.push_back(absl::StrCat(lines.empty() ? "what " + id + " printed" : "all that it printed",
                               ": `remuda logs ", id, "`"));
  return lines;
}

}  // namespace remuda::cli
