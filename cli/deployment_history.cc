#include "cli/deployment_history.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <memory>
#include <ostream>

#include "cli/cell_text.h"
#include "cli/commands.h"
#include "cli/deploy_progress.h"
#include "cli/deploy_words.h"
#include "cli/find_deployment.h"
#include "cli/kind_columns.h"
#include "cli/printing.h"

namespace remuda::cli {
namespace {

using google::protobuf::Message;
using google::protobuf::Timestamp;

// Activities of one deployment; the newest.
constexpr size_t kShownActivities = 1000;

struct HistoryOptions {
  std::string name;
};

// "5m", or so far.
std::string TookText(const v1::Deployment& deployment, const Timestamp& now) {
  if (!deployment.has_create_time()) return "-";
  const Timestamp& end = deployment.has_end_time() ? deployment.end_time() : now;
  return TimeText(std::max<int64_t>(0, end.seconds() - deployment.create_time().seconds()));
}

std::string WhyText(const v1::Deployment& deployment) {
  if (!deployment.rollback_reason().empty()) return deployment.rollback_reason();
  if (!deployment.rollback_of().empty())
    return absl::StrCat("undoes ", ShortId(deployment.rollback_of()));
  return OrDash(deployment.waiting());
}

Table HistoryTable(const ResourceList& deployments, const Timestamp& now) {
  Table table{{"NAME", "SUBJECT", "FROM", "TO", "STRATEGY", "STATE", "BEGAN", "TOOK", "WHY"}, {}};
  for (const auto& resource : deployments) {
    const auto& d = static_cast<const v1::Deployment&>(*resource);
    table.rows.push_back({ShortId(d.name()), SubjectText(d), SideName(d, v1::DEPLOYMENT_ROLE_OLD),
                          SideName(d, v1::DEPLOYMENT_ROLE_NEW), StrategyText(d.strategy()),
                          absl::StrCat(EnumText(d.state()), d.paused() ? " (paused)" : ""),
                          FormatDate(d.create_time()), TookText(d, now), WhyText(d)});
  }
  return table;
}

// A value of no requests is none, unless somebody else said it.
std::string ValueText(double value, int64_t requests) {
  return value == 0 && requests == 0 ? "-" : absl::StrCat(value);
}

Table EvaluationTable(const v1::Deployment& deployment) {
  Table table{{"TIME", "STEP", "CHECK", "VERDICT", "NEW", "OLD", "REQUESTS", "WHAT"}, {}};
  for (const auto& e : deployment.evaluations()) {
    table.rows.push_back(
        {FormatDate(e.time()), absl::StrCat(e.step()), e.check(), EnumText(e.verdict()),
         ValueText(e.new_value(), e.new_requests()), ValueText(e.old_value(), e.old_requests()),
         absl::StrCat(e.new_requests(), "/", e.old_requests()), OrDash(e.description())});
  }
  return table;
}

// One of them: its steps, evaluations and activities.
ExitCode ShowOne(Context& context, const ControllerClient& client,
                 const std::shared_ptr<Message>& found) {
  const auto& deployment = static_cast<const v1::Deployment&>(*found);
  ListFilter filter;
  filter.filter = absl::StrCat("deployment = ", ShortId(deployment.name()));
  filter.limit = kShownActivities;
  auto activities = ListResources(client, KindId::kActivity, filter);
  if (!activities.ok()) return Fail(context, activities.status());
  std::reverse(activities->begin(), activities->end());
  if (!IsTable(context.output)) {
    std::vector<std::pair<KindId, std::shared_ptr<Message>>> all = {{KindId::kDeployment, found}};
    for (const auto& activity : *activities) all.emplace_back(KindId::kActivity, activity);
    PrintMixed(context, all);
    return ExitCode::kOk;
  }
  v1::Deployment without_evaluations = deployment;  // a table of all follows
  without_evaluations.clear_evaluations();
  PrintPanel(context, without_evaluations);
  if (!deployment.evaluations().empty()) {
    context.out << "\nEvaluations, the newest last (requests: new/old):\n"
                << RenderTable(EvaluationTable(deployment), StyleOf(context));
  }
  if (!activities->empty()) {
    const bool is_wide = context.output == OutputFormat::kWide;
    context.out << "\nActivities, the newest last:\n"
                << RenderTable(TableOf(KindId::kActivity, *activities, SystemNow(), is_wide),
                               StyleOf(context));
  }
  context.out.flush();
  return ExitCode::kOk;
}

ExitCode ShowAll(Context& context, const ControllerClient& client, const ResourceRef& scope) {
  const auto deployments = ListDeploymentsOf(client, scope, kMaxListed);
  if (!deployments.ok()) return Fail(context, deployments.status());
  if (!IsTable(context.output)) {
    PrintResources(context, KindId::kDeployment, *deployments);
    return ExitCode::kOk;
  }
  context.out << RenderTable(HistoryTable(*deployments, SystemNow()), StyleOf(context))
              << std::flush;
  return ExitCode::kOk;
}

ExitCode ShowHistory(Context& context, const HistoryOptions& options) {
  auto scope = ParseDeploymentScope(options.name);
  if (!scope.ok()) return FailUsage(context, std::string(scope.status().message()));
  const ControllerClient client(context.settings);
  if (scope->kind->id != KindId::kDeployment) return ShowAll(context, client, *scope);
  // A bare word is a group's, unless there is a deployment of that name.
  const bool is_bare = options.name.find('/') == std::string::npos;
  const ResourceRef group{&KindOf(KindId::kAutoScalingGroup), options.name};
  if (is_bare && !MayNameDeployment(options.name)) return ShowAll(context, client, group);
  const auto found = GetResource(client, KindId::kDeployment, scope->id);
  if (is_bare && found.status().code() == absl::StatusCode::kNotFound)
    return ShowAll(context, client, group);
  if (!found.ok()) return Fail(context, found.status());
  return ShowOne(context, client, *found);
}

ExitCode RunDeploymentList(Context& context, const HistoryOptions& options) {
  if (options.name.empty()) return ShowList(context, KindId::kDeployment, {});
  const bool is_bare = options.name.find('/') == std::string::npos;
  const auto scope = is_bare ? ParseRef("asg", options.name) : ParseDeploymentScope(options.name);
  if (!scope.ok()) return FailUsage(context, std::string(scope.status().message()));
  if (scope->kind->id == KindId::kDeployment)
    return FailUsage(context,
                     options.name + " is one deployment; `remuda deployment history` shows it");
  const ControllerClient client(context.settings);
  const auto deployments = ListDeploymentsOf(client, *scope, kMaxListed);
  if (!deployments.ok()) return Fail(context, deployments.status());
  PrintResources(context, KindId::kDeployment, *deployments);
  return ExitCode::kOk;
}

}  // namespace

void PrintPanel(Context& context, const v1::Deployment& deployment) {
  constexpr size_t kUncut = 10'000;
  const PanelStyle style{.width = kUncut, .with_colours = context.out_has_colours};
  for (const std::string& line : ProgressPanel(deployment, SystemNow(), style))
    context.out << line << "\n";
  if (HasEnded(deployment)) context.out << OutcomeText(deployment) << "\n";
}

void AddDeploymentLists(CLI::App& command, Context& context) {
  auto options = std::make_shared<HistoryOptions>();
  auto* list = command.add_subcommand("list", "Show deployments, the newest first");
  list->add_option("of", options->name,
                   "Only of this group, asg/NAME, or load balancer, lb/NAME; none: all");
  AddOutputFlag(list, context);
  SetExample(list, "remuda deployment list asg/blue");
  SetRun(list, context, [&context, options] { return RunDeploymentList(context, *options); });

  auto* history = command.add_subcommand(
      "history", "Show those of a group or load balancer, or what happened in one");
  history
      ->add_option("of", options->name,
                   "A group, NAME or asg/NAME; lb/LOAD-BALANCER[/LISTENER[/RULE]]; or a deployment")
      ->required();
  AddOutputFlag(history, context);
  SetExample(history, "remuda deployment history asg/blue\n  remuda deployment history blue-3");
  SetRun(history, context, [&context, options] { return ShowHistory(context, *options); });
}

}  // namespace remuda::cli
