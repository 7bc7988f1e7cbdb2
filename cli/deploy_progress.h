// A deployment for a person's eye: as one line, or as a panel that is drawn again. Pure.
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

// "in 9m12s" until its deadline; empty without one, or when it has ended.
std::string TimeLeft(const v1::Deployment& deployment, const google::protobuf::Timestamp& now);

// `IN_PROGRESS 1/4 launch new  shop:1: 2 in service, 100%  shop:2: 1 pending, 0%  waiting: …`; once
// it has ended only the state, since the sides are told by the outcome. Without times, so that two
// that look the same say the same.
std::string ProgressLine(const v1::Deployment& deployment);

// State and step, both sides, the traffic split as a bar, what it waits for, the time left. Each
// line at most `width` columns.
std::vector<std::string> ProgressPanel(const v1::Deployment& deployment,
                                       const google::protobuf::Timestamp& now, size_t width);

// One sentence on how it came out: "blue runs shop:2", "rolled back to shop:1: REASON".
std::string OutcomeText(const v1::Deployment& deployment);

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
