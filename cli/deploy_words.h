// What a deployment consists of, in words: its subject, sides, steps and checks, and the plan as a
// whole. Pure.
#pragma once

#include <string>
#include <vector>

#include "remuda/v1/deployment.pb.h"

namespace remuda::cli {

// `asg/blue`; of a shift its action, `lb/shop/8080` or `lb/shop/8080/10`.
std::string SubjectText(const v1::Deployment& deployment);
// What a side is called: `shop:2`; of a shift its target group.
std::string SideName(const v1::Deployment& deployment, v1::DeploymentRole role);

// `90s`, `10m`, `1h30m`: whole seconds, so that equal times look equal.
std::string TimeText(int64_t seconds);

// A step in a few words: "launch new", "shift to 5%", "bake 30s", "approval security".
std::string StepWords(const v1::DeploymentStep& step);
// Whether a person may end the step's wait: a bake or a pause.
bool IsTimedWait(const v1::DeploymentStep& step);
// "error-rate at most 1%", "p99 at most 500ms"; with its name, if that says more.
std::string CheckWords(const v1::AnalysisCheck& check);

// What a deployment would do, a line each: the subject, its steps by number with what each waits
// for, what holds all the time; then the warnings.
std::vector<std::string> PlanLines(const v1::Deployment& deployment);

}  // namespace remuda::cli
