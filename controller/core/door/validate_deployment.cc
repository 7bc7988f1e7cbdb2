// Rules of deployments: strategies and the steps that a person writes. Analyses, previews and
// mirrors have their own (validate_analysis.h).
#include <algorithm>
#include <set>

#include "controller/core/door/validate_analysis.h"
#include "controller/core/door/validate_resources.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/names.h"
#include "controller/core/model/time.h"

namespace remuda::core {
namespace {

constexpr int kAll = 100;

void CheckId(Violations& out, const FieldPath& at, const std::string& value) {
  if (!IsValidId(value)) out.Add(at, absl::StrCat(Quoted(value), " ", limits::kIdRule));
}

void CheckWait(Violations& out, const FieldPath& at, const google::protobuf::Duration& value) {
  CheckDuration(out, at, value, absl::ZeroDuration(), limits::kMaxBake);
}

void CheckRolling(Violations& out, const FieldPath& at, const v1::RollingStrategy& value) {
  if (value.has_min_healthy_percent()) {
    CheckRange(out, at / "min_healthy_percent", value.min_healthy_percent(), 0, kAll);
  }
  if (value.has_max_percent()) CheckRange(out, at / "max_percent", value.max_percent(), kAll, 200);
  CheckWait(out, at / "bake", value.bake());
  CheckWait(out, at / "checkpoint_delay", value.checkpoint_delay());
  const FieldPath checkpoints = at / "checkpoint_percents";
  CheckCount(out, checkpoints, value.checkpoint_percents_size(), 0, limits::kCheckpoints);
  for (int i = 0; i < value.checkpoint_percents_size(); ++i) {
    const int percent = value.checkpoint_percents(i);
    CheckRange(out, checkpoints[i], percent, 1, kAll - 1);
    if (i > 0 && percent <= value.checkpoint_percents(i - 1)) {
      out.Add(checkpoints[i], absl::StrCat(percent, " must be above the one before it, ",
                                           value.checkpoint_percents(i - 1)));
    }
  }
  if (value.checkpoint_percents().empty() &&
      FromProto(value.checkpoint_delay()) != absl::ZeroDuration()) {
    out.Add(at / "checkpoint_delay", "is of no use without checkpoint_percents");
  }
}

void CheckKind(Violations& out, const FieldPath& at, const v1::DeploymentStrategy& value) {
  switch (value.kind_case()) {
    case v1::DeploymentStrategy::kBlueGreen:
      CheckWait(out, at / "blue_green" / "bake", value.blue_green().bake());
      break;
    case v1::DeploymentStrategy::kRolling:
      CheckRolling(out, at / "rolling", value.rolling());
      break;
    case v1::DeploymentStrategy::kInPlace:
      if (value.in_place().has_min_healthy_percent()) {
        CheckRange(out, at / "in_place" / "min_healthy_percent",
                   value.in_place().min_healthy_percent(), 0, kAll);
      }
      CheckWait(out, at / "in_place" / "bake", value.in_place().bake());
      break;
    case v1::DeploymentStrategy::kCanary:
      CheckRange(out, at / "canary" / "percent", value.canary().percent(), 1, kAll - 1);
      CheckWait(out, at / "canary" / "interval", value.canary().interval());
      CheckWait(out, at / "canary" / "bake", value.canary().bake());
      break;
    case v1::DeploymentStrategy::kLinear:
      CheckRange(out, at / "linear" / "step_percent", value.linear().step_percent(), 1, kAll - 1);
      CheckWait(out, at / "linear" / "interval", value.linear().interval());
      CheckWait(out, at / "linear" / "bake", value.linear().bake());
      break;
    case v1::DeploymentStrategy::KIND_NOT_SET:
      break;  // steps, or defaulted before
  }
}

// Steps that a person wrote, in order.
class WrittenSteps {
 public:
  WrittenSteps(Violations& out, FieldPath at, const AnalysisCommands* commands)
      : out_(out), at_(std::move(at)), commands_(commands) {}

  void Check(const google::protobuf::RepeatedPtrField<v1::DeploymentStep>& steps) {
    CheckCount(out_, at_, steps.size(), 1, limits::kWrittenSteps);
    for (int i = 0; i < steps.size(); ++i) CheckOne(at_[i], steps[i]);
  }

 private:
  using Case = v1::DeploymentStep::KindCase;

  void CheckRole(const FieldPath& at, v1::DeploymentRole role) {
    if (role == v1::DEPLOYMENT_ROLE_UNSPECIFIED || role == v1::DEPLOYMENT_ROLE_NEW) return;
    out_.Add(at / "role", "must be left out: a rollback brings the old side back by itself");
  }

  // A plan moves shares, or replaces instances, or changes them.
  void CheckFamily(const FieldPath& at, Case family, const char* name) {
    if (family_ == Case::KIND_NOT_SET) {
      family_ = family;
      family_name_ = name;
    } else if (family_ != family) {
      out_.Add(at, absl::StrCat(name, " does not go with ", family_name_, " in one list of steps"));
    }
  }

  // The share or number that a step reaches.
  void CheckRise(const FieldPath& at, int percent, int least, int& before) {
    CheckRange(out_, at, percent, least, kAll);
    if (percent < before) {
      out_.Add(at, absl::StrCat(percent, " is below the ", before,
                                " of an earlier step: a rollback is what goes back"));
    }
    before = std::max(before, percent);
  }

  void CheckOne(const FieldPath& at, const v1::DeploymentStep& step) {
    switch (step.kind_case()) {
      case Case::kLaunch:
        CheckFamily(at / "launch", Case::kTraffic, "traffic");
        CheckRole(at / "launch", step.launch().role());
        CheckRise(at / "launch" / "percent",
                  step.launch().has_percent() ? step.launch().percent() : kAll, 1, launched_);
        return;
      case Case::kDrain:
        out_.Add(at / "drain", "must be left out: what was replaced is drained last by itself");
        return;
      case Case::kTraffic:
        CheckFamily(at / "traffic", Case::kTraffic, "traffic");
        CheckRise(at / "traffic", step.traffic(), 0, share_);
        return;
      case Case::kBake:
        CheckWait(out_, at / "bake", step.bake());
        if (share_ < kAll) {
          out_.Add(at / "bake", "comes after traffic: 100; before, it is a pause");
        }
        return;
      case Case::kPause:
        CheckWait(out_, at / "pause", step.pause());
        return;
      case Case::kApproval:
        if (!step.approval().name().empty()) {
          CheckId(out_, at / "approval" / "name", step.approval().name());
        }
        return;
      case Case::kAnalysis:
        CheckAnalysis(out_, at / "analysis", step.analysis(), commands_);
        return;
      case Case::kReplace:
        CheckReplace(at / "replace", step.replace());
        return;
      case Case::kUpdate:
        CheckFamily(at / "update", Case::kUpdate, "update");
        CheckRole(at / "update", step.update().role());
        CheckRise(at / "update" / "percent",
                  step.update().has_percent() ? step.update().percent() : kAll, 1, replaced_);
        if (step.update().has_min_healthy_percent()) {
          CheckRange(out_, at / "update" / "min_healthy_percent",
                     step.update().min_healthy_percent(), 0, kAll);
        }
        CheckWait(out_, at / "update" / "bake", step.update().bake());
        return;
      case Case::KIND_NOT_SET:
        out_.Add(at,
                 "must be one of launch, traffic, bake, pause, approval, analysis, replace, "
                 "update");
    }
  }

  void CheckReplace(const FieldPath& at, const v1::ReplaceStep& step) {
    CheckFamily(at, Case::kReplace, "replace");
    CheckRole(at, step.role());
    CheckRise(at / "percent", step.has_percent() ? step.percent() : kAll, 1, replaced_);
    if (step.has_min_healthy_percent()) {
      CheckRange(out_, at / "min_healthy_percent", step.min_healthy_percent(), 0, kAll);
    }
    if (step.has_max_percent()) CheckRange(out_, at / "max_percent", step.max_percent(), kAll, 200);
    CheckWait(out_, at / "bake", step.bake());
  }

  Violations& out_;
  const FieldPath at_;
  const AnalysisCommands* commands_;
  Case family_ = Case::KIND_NOT_SET;
  const char* family_name_ = "";
  int launched_ = 0;
  int share_ = 0;
  int replaced_ = 0;
};

void CheckStrategy(Violations& out, const FieldPath& at, const v1::DeploymentStrategy& value,
                   const AnalysisCommands* commands) {
  if (value.steps().empty()) return CheckKind(out, at, value);
  if (value.kind_case() != v1::DeploymentStrategy::KIND_NOT_SET) {
    out.Add(at / "steps", "does not go with a strategy's name: the steps are the strategy");
    return;
  }
  WrittenSteps(out, at / "steps", commands).Check(value.steps());
}

template <class T>
void CheckSettings(Violations& out, const FieldPath& at, const T& value, bool is_shift,
                   const AnalysisCommands* commands) {
  CheckStrategy(out, at / "strategy", value.strategy(), commands);
  CheckDuration(out, at / "health_deadline", value.health_deadline(), limits::kMinHealthDeadline,
                limits::kMaxHealthDeadline);
  if (value.has_analysis()) CheckAnalysis(out, at / "analysis", value.analysis(), commands);
  CheckPreviews(out, at / "previews", value.previews(), is_shift);
  if (value.has_mirror()) {
    CheckMirror(out, at / "mirror", value.mirror());
    if (is_shift) out.Add(at / "mirror", "is of deployments of a group, not of a shift");
  }
}

}  // namespace

void CheckDeployment(Violations& out, const FieldPath& at, const v1::Deployment& value,
                     const AnalysisCommands* commands) {
  CheckSettings(out, at, value, value.has_shift(), commands);
  if (!value.has_shift()) return;
  const v1::DeploymentStrategy& strategy = value.strategy();
  const auto is_of_groups = [&](const char* field) {
    out.Add(at / "strategy" / field,
            "is of a group's instances; a shift moves shares of the traffic");
  };
  if (strategy.has_rolling()) is_of_groups("rolling");
  if (strategy.has_in_place()) is_of_groups("in_place");
  for (const v1::DeploymentStep& step : strategy.steps()) {
    if (step.has_replace() || step.has_update()) return is_of_groups("steps");
  }
}

void CheckDeploymentSettings(Violations& out, const FieldPath& at,
                             const v1::DeploymentSettings& value,
                             const AnalysisCommands* commands) {
  CheckSettings(out, at, value, false, commands);
}

}  // namespace remuda::core
