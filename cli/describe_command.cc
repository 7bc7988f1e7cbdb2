// remuda describe: one resource with all that belongs to it.
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <memory>
#include <ostream>

#include "cli/commands.h"
#include "cli/group_size.h"
#include "cli/kind_columns.h"
#include "cli/parts.h"
#include "cli/policy_text.h"
#include "cli/printing.h"

namespace remuda::cli {
namespace {

using google::protobuf::Message;

constexpr size_t kDescribedActivities = 15;
constexpr size_t kDescribedDeployments = 5;
constexpr int kDescribedEvaluations = 5;
// Activities of a group that are looked through for those of one instance; those of a deployment.
constexpr size_t kSearchedActivities = 1000;

struct DescribeOptions {
  std::string kind;
  std::string name;
};

// What belongs to the described one: a title and resources of a kind.
struct Part {
  std::string title;
  KindId kind;
  ResourceList resources;
};

class Description {
 public:
  Description(Context& context, const ControllerClient& client)
      : context_(context), client_(client) {}

  // Left out if there is nothing in it; an error is told.
  void Add(const std::string& title, KindId kind, ListFilter filter,
           const std::function<bool(const Message&)>& belongs = nullptr) {
    filter.is_full = ShowsAll(context_.output);
    auto resources = ListResources(client_, kind, filter);
    if (!resources.ok()) {
      context_.err << title << ": " << resources.status().message() << std::endl;
      return;
    }
    if (belongs != nullptr)
      std::erase_if(*resources, [&](const auto& resource) { return !belongs(*resource); });
    if (resources->empty()) return;
    if (kind == KindId::kActivity) std::reverse(resources->begin(), resources->end());
    parts_.push_back({title, kind, *std::move(resources)});
  }

  // Sentences that only a person reads, before the parts.
  void Say(const std::string& title, const std::vector<std::string>& lines) {
    absl::StrAppend(&said_, "\n", title, ":\n");
    for (const std::string& line : lines) absl::StrAppend(&said_, "  ", Printable(line), "\n");
  }
  void Say(const std::string& title, const Table& table) {
    absl::StrAppend(&said_, "\n", title, ":\n", RenderTable(table, StyleOf(context_)));
  }

  void Print(KindId kind, const std::shared_ptr<Message>& resource) const {
    if (!IsTable(context_.output)) {
      std::vector<std::pair<KindId, std::shared_ptr<Message>>> all = {{kind, resource}};
      for (const Part& part : parts_) {
        for (const auto& each : part.resources) all.emplace_back(part.kind, each);
      }
      return PrintMixed(context_, all);
    }
    context_.out << YamlForPeople(context_, kind, *resource) << said_;
    const bool is_wide = context_.output == OutputFormat::kWide;
    for (const Part& part : parts_) {
      context_.out << "\n"
                   << part.title << ":\n"
                   << RenderTable(TableOf(part.kind, part.resources, SystemNow(), is_wide),
                                  StyleOf(context_));
    }
    context_.out.flush();
  }

 private:
  Context& context_;
  const ControllerClient& client_;
  std::string said_;
  std::vector<Part> parts_;
};

ListFilter Of(KindId kind, const std::string& id, size_t limit = kMaxListed) {
  ListFilter filter;
  filter.of = FullName(kind, id);
  filter.limit = limit;
  return filter;
}

// What happened to an instance is filed under its group. One of no group has had another one
// before.
void AddActivitiesOfGroup(Description& description, const std::string& group,
                          const std::function<bool(const v1::Activity&)>& belongs) {
  ListFilter filter;
  if (!group.empty()) filter.of = FullName(KindId::kAutoScalingGroup, group);
  filter.limit = kSearchedActivities;
  description.Add("Activities, the newest last", KindId::kActivity, filter,
                  [&](const Message& m) { return belongs(static_cast<const v1::Activity&>(m)); });
}

// Whether the text names it, and not another whose name goes on.
bool Names(std::string_view text, std::string_view name, std::string_view ends) {
  const size_t at = text.find(name);
  if (at == std::string_view::npos) return false;
  const std::string_view rest = text.substr(at + name.size());
  return rest.empty() || ends.find(rest.front()) != std::string_view::npos;
}

// What happened to a listener or rule is filed under its load balancer. Priorities that are set
// together are told of their listener, each rule by the end of its name.
void AddActivitiesOfBalancer(Description& description, KindId kind, const std::string& id) {
  const std::string name = FullName(kind, id);
  const size_t of_rule = kind == KindId::kRule ? name.rfind("/rules/") : std::string::npos;
  ListFilter filter;
  filter.of = FullName(KindId::kLoadBalancer, id.substr(0, id.find('/')));
  filter.limit = kSearchedActivities;
  description.Add("Activities, the newest last", KindId::kActivity, filter, [=](const Message& m) {
    const std::string& what = static_cast<const v1::Activity&>(m).description();
    if (Names(what, name, ":/")) return true;
    return of_rule != std::string::npos && Names(what, name.substr(0, of_rule), ":") &&
           Names(what, name.substr(of_rule + 1), " ");
  });
}

// Its size, and the policies with what they decided last.
void AddScaling(Description& description, const ControllerClient& client,
                const v1::AutoScalingGroup& group) {
  description.Say("Size", SizeLines(group, SystemNow()));
  if (group.policies().empty()) return;
  description.Say("Policies", PoliciesTable(group.policies()));
  v1::ListScalingEvaluationsRequest request;
  request.set_parent(group.name());
  request.set_page_size(kDescribedEvaluations);
  const auto evaluations = client.Call<v1::ListScalingEvaluationsResponse>(
      *client.scaling_policies, &v1::ScalingPolicyService::Stub::ListScalingEvaluations, request);
  // Kept in memory only: there may be none.
  if (!evaluations.ok() || evaluations->evaluations().empty()) return;
  description.Say(
      "Evaluations, the newest last",
      EvaluationsTable({evaluations->evaluations().rbegin(), evaluations->evaluations().rend()},
                       /*is_wide=*/false));
}

void SayLacks(Description& description, const v1::Host& host) {
  std::vector<std::string> lines;
  for (const auto& [name, why] : host.lacks()) lines.push_back(absl::StrCat(name, ": ", why));
  std::sort(lines.begin(), lines.end());
  if (!lines.empty()) description.Say("Cannot enforce", lines);
}

void AddParts(Description& description, const ResourceRef& ref, const Message& resource) {
  switch (ref.kind->id) {
    case KindId::kAutoScalingGroup:
      description.Add("Instances", KindId::kInstance, Of(ref.kind->id, ref.id));
      for (const auto& name : static_cast<const v1::AutoScalingGroup&>(resource).target_groups()) {
        const std::string group = ShortId(name);
        description.Add("Targets in " + group, KindId::kTarget, Of(KindId::kTargetGroup, group));
      }
      description.Add("Deployments", KindId::kDeployment,
                      Of(ref.kind->id, ref.id, kDescribedDeployments));
      break;
    case KindId::kLoadBalancer:
      description.Add("Deployments", KindId::kDeployment,
                      Of(ref.kind->id, ref.id, kDescribedDeployments));
      break;
    case KindId::kTargetGroup:
      description.Add("Targets", KindId::kTarget, Of(ref.kind->id, ref.id));
      break;
    case KindId::kListener:
      description.Add("Rules", KindId::kRule, Of(ref.kind->id, ref.id));
      return AddActivitiesOfBalancer(description, ref.kind->id, ref.id);
    case KindId::kRule:
      return AddActivitiesOfBalancer(description, ref.kind->id, ref.id);
    case KindId::kHost:
      SayLacks(description, static_cast<const v1::Host&>(resource));
      description.Add("Instances", KindId::kInstance, {}, [&](const Message& m) {
        return ShortId(static_cast<const v1::Instance&>(m).host()) == ref.id;
      });
      break;
    case KindId::kInstance:
      return AddActivitiesOfGroup(
          description, ShortId(static_cast<const v1::Instance&>(resource).auto_scaling_group()),
          [&](const v1::Activity& activity) { return ShortId(activity.instance()) == ref.id; });
    case KindId::kLaunchTemplate:
      description.Add("Versions", KindId::kLaunchTemplateVersion, Of(ref.kind->id, ref.id));
      break;
    case KindId::kController:
      return;  // what controllers do is told of what they do it to
    case KindId::kLaunchTemplateVersion:
      return;  // it never changes: what is told is told of its template
    case KindId::kDeployment: {
      // Of a group or of a load balancer: wherever they are filed.
      ListFilter filter;
      filter.filter = "deployment = " + ref.id;
      filter.limit = kSearchedActivities;
      description.Add("Activities, the newest last", KindId::kActivity, filter);
      return;
    }
    default:
      break;
  }
  description.Add("Activities, the newest last", KindId::kActivity,
                  Of(ref.kind->id, ref.id, kDescribedActivities));
}

ExitCode RunDescribe(Context& context, const DescribeOptions& options) {
  const auto ref = ParseRef(options.kind, options.name);
  if (!ref.ok()) return FailUsage(context, std::string(ref.status().message()));
  if (ref->id.empty() || (IsPart(ref->kind->id) && !IsOnePart(ref->kind->id, ref->id)))
    return FailUsage(context, "describe: which " + ref->kind->name + "? Give its name");
  const ControllerClient client(context.settings);
  const auto resource = GetResource(client, ref->kind->id, ref->id);
  if (!resource.ok()) return Fail(context, resource.status());
  Description description(context, client);
  if (ref->kind->id == KindId::kAutoScalingGroup && IsTable(context.output))
    AddScaling(description, client, static_cast<const v1::AutoScalingGroup&>(**resource));
  AddParts(description, *ref, **resource);
  description.Print(ref->kind->id, *resource);
  return ExitCode::kOk;
}

}  // namespace

void AddDescribeCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand(
      "describe", "Show everything about one resource, its recent activities last");
  auto options = std::make_shared<DescribeOptions>();
  AddRefArguments(command, options->kind, options->name, true);
  AddOutputFlag(command, context);
  SetExample(command, "remuda describe asg blue");
  SetRun(command, context, [&context, options] { return RunDescribe(context, *options); });
}

}  // namespace remuda::cli
