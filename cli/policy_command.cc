// remuda policy, evaluations: a group's scaling policies one by one, and what they decided.
#include <absl/strings/str_cat.h>
#include <google/protobuf/empty.pb.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <thread>

#include "cli/commands.h"
#include "cli/controller_client.h"
#include "cli/kinds.h"
#include "cli/manifest.h"
#include "cli/policy_text.h"
#include "cli/printing.h"
#include "cli/watching.h"
#include "common/message_yaml.h"
#include "common/status.h"

namespace remuda::cli {
namespace {

constexpr int kMaxEvaluations = 1000;  // ListScalingEvaluationsRequest.page_size
constexpr int kShownEvaluations = 100;

struct PolicyOptions {
  std::string group;
  std::string policy;    // delete, forecast
  std::string file;      // put
  bool dry_run = false;  // put, delete
};

struct EvaluationOptions {
  std::string group;
  bool changes_only = false;
  bool watch = false;
  int limit = kShownEvaluations;
};

template <typename M>
std::vector<const google::protobuf::Message*> PointersTo(const M& list) {
  std::vector<const google::protobuf::Message*> out;
  for (const auto& message : list) out.push_back(&message);
  return out;
}

// `run` with the group's full name.
template <typename Options, typename Run>
ExitCode OfGroup(Context& context, const Options& options, Run run) {
  const auto id = ParseIdOf(KindId::kAutoScalingGroup, options.group);
  if (!id.ok()) return FailUsage(context, std::string(id.status().message()));
  return run(FullName(KindId::kAutoScalingGroup, *id));
}

void PrintPolicies(Context& context,
                   const google::protobuf::RepeatedPtrField<v1::ScalingPolicy>& policies) {
  if (IsTable(context.output)) {
    context.out << RenderTable(PoliciesTable(policies), StyleOf(context)) << std::flush;
  } else if (context.output == OutputFormat::kName) {
    for (const v1::ScalingPolicy& policy : policies) context.out << policy.name() << "\n";
    context.out.flush();
  } else {
    PrintMessages(context, PointersTo(policies));
  }
}

ExitCode ListPolicies(Context& context, const std::string& group) {
  v1::ListScalingPoliciesRequest request;
  request.set_parent(group);
  const ControllerClient client(context.settings);
  const auto response = client.Call<v1::ListScalingPoliciesResponse>(
      *client.scaling_policies, &v1::ScalingPolicyService::Stub::ListScalingPolicies, request);
  if (!response.ok()) return Fail(context, response.status());
  PrintPolicies(context, response->policies());
  if (response->policies().empty() && IsTable(context.output))
    context.err << "No policies." << std::endl;
  return ExitCode::kOk;
}

// A policy as a file says it.
struct FilePolicy {
  v1::ScalingPolicy value;
  SourceMap places;  // by the request's paths: `policy.target_tracking.target`
};

// Documents of a policy each, or of a list of them: what `policy list` prints can be put again.
absl::StatusOr<std::vector<FilePolicy>> ReadPolicies(const ManifestFile& file) {
  const YamlFile yaml = ReadYaml(file.text);
  if (!yaml.mistakes.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(FormatPosition(file.name, yaml.mistakes.front().position), ": ",
                     yaml.mistakes.front().why));
  }
  std::vector<const YamlNode*> nodes;
  for (const YamlDocument& document : yaml.documents) {
    if (document.root->kind == YamlNode::Kind::kSequence) {
      nodes.insert(nodes.end(), document.root->items.begin(), document.root->items.end());
    } else {
      nodes.push_back(document.root);
    }
  }
  if (nodes.empty()) return absl::InvalidArgumentError(file.name + ": there is no policy in it");
  std::vector<FilePolicy> out;
  for (const YamlNode* node : nodes) {
    FilePolicy& policy = out.emplace_back();
    const absl::Status status = MessageFromYaml(
        *node, {.file_name = file.name, .path_prefix = "policy", .ignored_keys = {}}, &policy.value,
        &policy.places);
    if (!status.ok()) return status;
  }
  return out;
}

// What the controller objects to, by the file's lines where it names fields.
ExitCode FailPolicy(Context& context, const std::string& file, const FilePolicy& policy,
                    const absl::Status& status) {
  const auto violations = ViolationsOf(status);
  if (violations.empty()) return Fail(context, status);
  for (const FieldViolation& violation : violations) {
    const SourceMap::Place place = policy.places.Find(violation.field);
    context.err << FormatPosition(file, place.position) << ": " << place.path
                << (place.path.empty() ? "" : ": ") << violation.description << "\n";
  }
  context.err.flush();
  return ExitCode::kFailed;
}

absl::StatusOr<v1::ScalingPolicy> PutPolicy(const ControllerClient& client,
                                            const std::string& group,
                                            const v1::ScalingPolicy& policy, bool validate_only) {
  v1::PutScalingPolicyRequest request;
  request.set_auto_scaling_group(group);
  *request.mutable_policy() = policy;
  request.set_validate_only(validate_only);
  request.set_request_id(NewRequestId());
  return client.Call<v1::ScalingPolicy>(*client.scaling_policies,
                                        &v1::ScalingPolicyService::Stub::PutScalingPolicy, request);
}

// All are read and, of several, checked before the first is put.
ExitCode PutPolicies(Context& context, const PolicyOptions& options, const std::string& group) {
  const auto files = ReadManifestFiles({options.file});
  if (!files.ok()) return Fail(context, files.status());
  if (files->size() != 1)
    return FailUsage(context, options.file + ": a file is wanted, not a directory");
  const ManifestFile& file = files->front();
  const auto policies = ReadPolicies(file);
  if (!policies.ok()) return Fail(context, policies.status());
  const ControllerClient client(context.settings);
  if (policies->size() > 1 && !options.dry_run) {
    for (const FilePolicy& policy : *policies) {
      const auto answer = PutPolicy(client, group, policy.value, true);
      if (!answer.ok()) return FailPolicy(context, file.name, policy, answer.status());
    }
  }
  v1::ListScalingPoliciesResponse put;
  for (const FilePolicy& policy : *policies) {
    auto answer = PutPolicy(client, group, policy.value, options.dry_run);
    if (!answer.ok()) {
      if (put.policies_size() > 0) PrintPolicies(context, put.policies());
      return FailPolicy(context, file.name, policy, answer.status());
    }
    *put.add_policies() = *std::move(answer);
  }
  PrintPolicies(context, put.policies());
  return ExitCode::kOk;
}

ExitCode DeletePolicy(Context& context, const PolicyOptions& options, const std::string& group) {
  v1::DeleteScalingPolicyRequest request;
  request.set_auto_scaling_group(group);
  request.set_policy(options.policy);
  request.set_validate_only(options.dry_run);
  request.set_request_id(NewRequestId());
  const ControllerClient client(context.settings);
  const auto answer = client.Call<google::protobuf::Empty>(
      *client.scaling_policies, &v1::ScalingPolicyService::Stub::DeleteScalingPolicy, request);
  if (!answer.ok()) return Fail(context, answer.status());
  PrintOutcome(
      context, options.policy, options.dry_run ? "WOULD_BE_DELETED" : "DELETED",
      absl::StrCat(group, ": policy ", options.policy,
                   options.dry_run ? " would be deleted" : " deleted; the size that it set stays"));
  return ExitCode::kOk;
}

ExitCode ShowForecast(Context& context, const PolicyOptions& options, const std::string& group) {
  v1::GetPredictiveForecastRequest request;
  request.set_auto_scaling_group(group);
  request.set_policy(options.policy);
  const ControllerClient client(context.settings);
  const auto forecast = client.Call<v1::PredictiveForecast>(
      *client.scaling_policies, &v1::ScalingPolicyService::Stub::GetPredictiveForecast, request);
  if (!forecast.ok()) return Fail(context, forecast.status());
  if (!IsTable(context.output)) {
    PrintMessage(context, *forecast);
    return ExitCode::kOk;
  }
  if (const std::string note = ForecastNote(*forecast); !note.empty())
    context.out << Printable(note) << "\n";
  if (forecast->points_size() > 0)
    context.out << RenderTable(ForecastTable(*forecast), StyleOf(context));
  context.out.flush();
  return ExitCode::kOk;
}

// As a log is read: the newest last.
absl::StatusOr<std::vector<v1::ScalingEvaluation>> ReadEvaluations(const ControllerClient& client,
                                                                   const EvaluationOptions& options,
                                                                   const std::string& group) {
  v1::ListScalingEvaluationsRequest request;
  request.set_parent(group);
  request.set_page_size(options.limit);
  request.set_changes_only(options.changes_only);
  const auto response = client.Call<v1::ListScalingEvaluationsResponse>(
      *client.scaling_policies, &v1::ScalingPolicyService::Stub::ListScalingEvaluations, request);
  if (!response.ok()) return response.status();
  return std::vector<v1::ScalingEvaluation>(response->evaluations().rbegin(),
                                            response->evaluations().rend());
}

// What a watch has shown already: it shows what comes after that, and says something else.
class EvaluationsView {
 public:
  explicit EvaluationsView(Context& context) : context_(context) {}

  void Show(std::vector<v1::ScalingEvaluation> evaluations) {
    TakeNews(evaluations);
    if (evaluations.empty() && !is_first_) return;
    if (IsTable(context_.output)) {
      const bool is_wide = context_.output == OutputFormat::kWide;
      context_.out << RenderTable(EvaluationsTable(evaluations, is_wide),
                                  StyleOf(context_, is_first_))
                   << std::flush;
    } else {
      for (const auto& each : evaluations) PrintMessage(context_, each);
    }
    is_first_ = false;
  }

  bool is_first() const { return is_first_; }

 private:
  // Leaves what comes after the last one that the answer before had as well. Not by time: the
  // controller's clock may be set back, or another one's be behind.
  void TakeNews(std::vector<v1::ScalingEvaluation>& evaluations) {
    if (evaluations.empty()) return;
    std::set<std::string> answer;
    auto news = evaluations.begin();
    for (auto it = evaluations.begin(); it != evaluations.end(); ++it) {
      std::string bytes = it->SerializeAsString();
      if (before_.contains(bytes)) news = it + 1;
      answer.insert(std::move(bytes));
    }
    before_ = std::move(answer);
    evaluations.erase(evaluations.begin(), news);
    std::erase_if(evaluations, [this](const auto& each) { return SaysTheSame(each); });
  }

  // Evaluations that say the same again and again are kept as the first and the last: the last is
  // no news.
  bool SaysTheSame(const v1::ScalingEvaluation& evaluation) {
    v1::ScalingEvaluation timeless = evaluation;
    timeless.clear_time();
    const bool is_same =
        last_ && google::protobuf::util::MessageDifferencer::Equals(timeless, *last_);
    last_ = std::move(timeless);
    return is_same;
  }

  Context& context_;
  std::set<std::string> before_;               // the last answer that had any, as bytes
  std::optional<v1::ScalingEvaluation> last_;  // without its time
  bool is_first_ = true;
};

// Until the user ends it. A controller that goes away is waited for.
ExitCode WatchEvaluations(Context& context, const EvaluationOptions& options,
                          const std::string& group) {
  const ControllerClient client(context.settings);
  EvaluationsView view(context);
  bool was_there = true;
  while (true) {
    auto evaluations = ReadEvaluations(client, options, group);
    if (evaluations.ok()) {
      view.Show(*std::move(evaluations));
      was_there = true;
    } else if (view.is_first() || !IsAway(evaluations.status())) {
      return Fail(context, evaluations.status());
    } else {
      SayAway(context, was_there);
    }
    std::this_thread::sleep_for(kWatchInterval);
  }
}

ExitCode ShowEvaluations(Context& context, const EvaluationOptions& options,
                         const std::string& group) {
  if (options.watch) return WatchEvaluations(context, options, group);
  const ControllerClient client(context.settings);
  const auto evaluations = ReadEvaluations(client, options, group);
  if (!evaluations.ok()) return Fail(context, evaluations.status());
  if (!IsTable(context.output)) {
    PrintMessages(context, PointersTo(*evaluations));
    return ExitCode::kOk;
  }
  const bool is_wide = context.output == OutputFormat::kWide;
  context.out << RenderTable(EvaluationsTable(*evaluations, is_wide), StyleOf(context))
              << std::flush;
  if (evaluations->empty()) context.err << "No evaluations." << std::endl;
  return ExitCode::kOk;
}

}  // namespace

void AddPolicyCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("policy", "Show and change scaling policies one by one");
  command->require_subcommand(1);
  auto options = std::make_shared<PolicyOptions>();
  const auto add = [&](const char* name, const char* help, const char* rest, auto run) {
    auto* sub = command->add_subcommand(name, help);
    sub->add_option("group", options->group, "The group: asg/NAME")->required();
    AddOutputFlag(sub, context);
    SetExample(sub, absl::StrCat("remuda policy ", name, " asg/blue", rest));
    SetRun(sub, context, [&context, options, run] {
      return OfGroup(context, *options,
                     [&](const std::string& group) { return run(context, *options, group); });
    });
    return sub;
  };
  const char* check_only = "Only check, and show what would be";
  add("list", "Show a group's policies", "",
      [](Context& called, const PolicyOptions&, const std::string& group) {
        return ListPolicies(called, group);
      });
  auto* put = add("put", "Add policies to a group, or change those of the same name",
                  " -f policy.yaml", PutPolicies);
  put->add_option("-f,--file", options->file,
                  "YAML or JSON of ScalingPolicy, a document or an item of a list each; - for "
                  "standard input")
      ->required();
  put->add_flag("--dry-run", options->dry_run, check_only);
  auto* remove =
      add("delete", "Take a policy from a group; the size that it set stays", " rps", DeletePolicy);
  remove->add_option("policy", options->policy, "The policy's name")->required();
  remove->add_flag("--dry-run", options->dry_run, check_only);
  auto* forecast = add("forecast", "Show what a predictive policy foresees, and how it came true",
                       " daily", ShowForecast);
  forecast->add_option("policy", options->policy, "The policy's name")->required();
  SetExample(command, "remuda policy list asg/blue\n  remuda policy put asg/blue -f policy.yaml");
}

void AddEvaluationsCommand(CLI::App& app, Context& context) {
  auto* command =
      app.add_subcommand("evaluations", "Show what a group's policies made of what is measured");
  auto options = std::make_shared<EvaluationOptions>();
  command->add_option("group", options->group, "The group: asg/NAME")->required();
  command->add_flag("--changes", options->changes_only, "Only those that changed the size");
  command->add_flag("-w,--watch", options->watch, "Go on and print each as it comes");
  command->add_option("--limit", options->limit, "At most so many of the newest")
      ->check(CLI::Range(1, kMaxEvaluations))
      ->capture_default_str();
  AddOutputFlag(command, context);
  SetExample(
      command,
      "remuda evaluations asg/blue --changes\n  remuda evaluations asg/blue --watch -o wide");
  SetRun(command, context, [&context, options] {
    return OfGroup(context, *options, [&](const std::string& group) {
      return ShowEvaluations(context, *options, group);
    });
  });
}

}  // namespace remuda::cli
