// A deployment for a person's eye: as lines, or as a panel that is drawn again. Pure.
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <string>
#include <vector>

#include "remuda/v1/auto_scaling.pb.h"
#include "remuda/v1/deployment.pb.h"

namespace remuda::cli {

bool HasEnded(const v1::Deployment& deployment);
// "2/4 shift to 100%": the step that is under way, or was the last; empty if there is none.
std::string StepText(const v1::Deployment& deployment);

// "in 9m12s" until its deadline; empty without one, while it is paused, or when it has ended.
std::string TimeLeft(const v1::Deployment& deployment, const google::protobuf::Timestamp& now);

// `IN_PROGRESS 1/4 launch new  shop:1: 2 in service, 100%  shop:2: 1 pending, 0%  waiting: …`; once
// it has ended only the state, since the sides are told by the outcome. Without times and counts of
// requests, so that two that look the same say the same.
std::string ProgressLine(const v1::Deployment& deployment);

// What the proxies have measured of both sides since the newest share was confirmed; empty if there
// were no requests.
std::string MeasuredLine(const v1::Deployment& deployment);

// What an evaluation came to, with its numbers: "PASSED error-rate: …".
std::string EvaluationLine(const v1::AnalysisEvaluation& evaluation);

// The command that a person may go on with now, or is awaited for; empty: none.
std::string NextText(const v1::Deployment& deployment, const google::protobuf::Timestamp& now);

// One sentence on how it came out: "blue runs shop:2", "rolled back to shop:1: REASON".
std::string OutcomeText(const v1::Deployment& deployment);

// A deployment that is watched, as lines one after the other.
class ProgressLines {
 public:
  // What is new since the deployment before: state, sides and what it waits for where that has
  // changed; what was measured, before a new share and now and then; evaluations; the next command;
  // warnings.
  std::vector<std::string> Next(const v1::Deployment& deployment,
                                const google::protobuf::Timestamp& now);

 private:
  void Evaluations(const v1::Deployment& deployment, std::vector<std::string>& lines);
  void Measured(const v1::Deployment& deployment, const google::protobuf::Timestamp& now,
                std::vector<std::string>& lines);

  v1::Deployment last_;
  std::string last_line_;
  std::string last_measured_;
  std::string last_next_;
  int64_t measured_seconds_ = 0;  // when last_measured_ was told
  int warnings_told_ = 0;
};

struct PanelStyle {
  size_t width = 100;  // of a line at most, in columns
  size_t height = 0;   // lines at most; 0: any number
  bool with_colours = false;
};

// The state; the steps, each with a mark (done, under way, to come); of both sides the share wanted
// and measured, errors, latencies and instances; what it waits for, the time left, the newest
// evaluations, warnings, the next command. Where there is no room the steps around the one under
// way are shown.
std::vector<std::string> ProgressPanel(const v1::Deployment& deployment,
                                       const google::protobuf::Timestamp& now,
                                       const PanelStyle& style);

// The instance that tells best what is wrong: of those that failed, or started and never came into
// service, the newest. Null: there is none.
const v1::Instance* Culprit(const std::vector<const v1::Instance*>& instances);
// Whether the instance can tell why the deployment does not come out: it launched it, and did not
// succeed.
bool IsSuspect(const v1::Deployment& deployment, const v1::Instance& instance);
// Whether the instance can tell why the group does not get what it wants: it is of its version, and
// is there or one of those that failed in a row.
bool IsSuspect(const v1::AutoScalingGroup& group, const v1::Instance& instance);

// What the instance printed last (empty: nothing is known), and the command that shows all of it.
std::vector<std::string> TroubleLines(const v1::Instance& culprit, const std::string& log_tail);

}  // namespace remuda::cli
