// remuda get, describe, delete, activities: resources of any kind.
#include <absl/strings/str_cat.h>
#include <google/protobuf/util/message_differencer.h>

#include <map>
#include <memory>
#include <ostream>
#include <thread>

#include "cli/commands.h"
#include "cli/printing.h"
#include "cli/table.h"
#include "common/message_yaml.h"

namespace remuda::cli {
namespace {

using google::protobuf::Message;

constexpr std::chrono::milliseconds kWatchInterval{500};
constexpr char kControllerAway[] = "remuda: the controller is away; trying again";
constexpr size_t kDescribedActivities = 15;
constexpr size_t kListedActivities = 100;

struct GetOptions {
  std::string kind;
  std::string name;
  bool watch = false;
  bool all = false;
  bool force = false;
  size_t limit = kListedActivities;
};

std::string NameOf(const Message& message) {
  const auto* field = message.GetDescriptor()->FindFieldByName("name");
  std::string name = field == nullptr ? "" : message.GetReflection()->GetString(message, field);
  // A launch template's versions share a name.
  if (message.GetDescriptor() == v1::LaunchTemplate::descriptor()) {
    absl::StrAppend(&name, ":", static_cast<const v1::LaunchTemplate&>(message).version());
  }
  return name;
}

ListFilter FilterOf(const ResourceRef& ref, const GetOptions& options) {
  ListFilter filter;
  filter.show_terminated = options.all;
  if (ref.kind->id == KindId::kTarget && !ref.id.empty())
    filter.of = FullName(KindId::kTargetGroup, ref.id);
  if (ref.kind->id == KindId::kActivity) filter.limit = options.limit;
  return filter;
}

absl::StatusOr<ResourceList> Read(const ControllerClient& client, const ResourceRef& ref,
                                  const GetOptions& options) {
  const bool is_list = ref.id.empty() || ref.kind->id == KindId::kTarget;
  if (is_list) return ListResources(client, ref.kind->id, FilterOf(ref, options));
  // All versions of a template, unless one is named.
  if (ref.kind->id == KindId::kLaunchTemplate && ref.id.find(':') == std::string::npos) {
    ListFilter filter;
    filter.of = FullName(KindId::kLaunchTemplate, ref.id);
    auto versions = ListResources(client, ref.kind->id, filter);
    if (!versions.ok() || !versions->empty()) return versions;
    return absl::NotFoundError(filter.of + ": no such resource");
  }
  auto one = GetResource(client, ref.kind->id, ref.id);
  if (!one.ok()) return one.status();
  return ResourceList{*std::move(one)};
}

// What a watch shows: the difference of two reads.
class ChangeView {
 public:
  ChangeView(Context& context, KindId kind) : context_(context), kind_(kind) {}

  void Show(const ResourceList& now) {
    ResourceList changed;
    std::map<std::string, std::shared_ptr<Message>> seen;
    for (const auto& resource : now) {
      const std::string name = NameOf(*resource);
      const auto it = known_.find(name);
      if (it == known_.end() ||
          !google::protobuf::util::MessageDifferencer::Equals(*it->second, *resource)) {
        changed.push_back(resource);
      }
      seen.emplace(name, resource);
    }
    if (context_.output == OutputFormat::kTable) {
      context_.out << RenderTable(TableOf(kind_, changed, SystemNow()), is_first_) << std::flush;
    } else {
      for (const auto& resource : changed) PrintResource(context_, kind_, *resource);
    }
    for (const auto& [name, resource] : known_) {
      if (!seen.contains(name)) context_.err << name << " is gone" << std::endl;
    }
    known_ = std::move(seen);
    is_first_ = false;
  }

  bool is_first() const { return is_first_; }

 private:
  Context& context_;
  const KindId kind_;
  std::map<std::string, std::shared_ptr<Message>> known_;
  bool is_first_ = true;
};

// Until the user ends it. A controller that goes away is waited for.
ExitCode Watch(Context& context, const ControllerClient& client, const ResourceRef& ref,
               const GetOptions& options) {
  ChangeView view(context, ref.kind->id);
  bool was_there = true;
  while (true) {
    const auto now = Read(client, ref, options);
    const bool is_away = now.status().code() == absl::StatusCode::kUnavailable ||
                         now.status().code() == absl::StatusCode::kDeadlineExceeded;
    if (!now.ok() && (view.is_first() || !is_away)) return Fail(context, now.status());
    if (now.ok()) view.Show(*now);
    if (is_away && was_there) context.err << kControllerAway << std::endl;
    was_there = !is_away;
    std::this_thread::sleep_for(kWatchInterval);
  }
}

ExitCode RunGet(Context& context, const GetOptions& options) {
  const auto ref = ParseRef(options.kind, options.name);
  if (!ref.ok()) return FailUsage(context, std::string(ref.status().message()));
  const ControllerClient client(context.settings);
  if (options.watch) return Watch(context, client, *ref, options);
  const auto resources = Read(client, *ref, options);
  if (!resources.ok()) return Fail(context, resources.status());
  const bool is_one =
      !ref->id.empty() && resources->size() == 1 && ref->kind->id != KindId::kTarget;
  if (is_one && context.output != OutputFormat::kTable) {
    PrintResource(context, ref->kind->id, *resources->front());
  } else {
    PrintResources(context, ref->kind->id, *resources);
  }
  if (resources->empty() && context.output == OutputFormat::kTable) {
    context.err << "No " << ref->kind->collection << "." << std::endl;
  }
  return ExitCode::kOk;
}

// A part of `describe`: a title and a table; left out if there is nothing in it, or it cannot be
// read.
void DescribePart(Context& context, const ControllerClient& client, const std::string& title,
                  KindId kind, const ListFilter& filter,
                  bool (*belongs)(const Message&, const std::string&) = nullptr,
                  const std::string& owner = "") {
  auto resources = ListResources(client, kind, filter);
  if (!resources.ok()) {
    context.err << title << ": " << resources.status().message() << std::endl;
    return;
  }
  if (belongs != nullptr) {
    std::erase_if(*resources, [&](const auto& resource) { return !belongs(*resource, owner); });
  }
  if (resources->empty()) return;
  if (kind == KindId::kActivity)
    std::reverse(resources->begin(), resources->end());  // The newest last.
  context.out << "\n" << title << ":\n" << RenderTable(TableOf(kind, *resources, SystemNow()));
}

bool IsOnHost(const Message& message, const std::string& host) {
  return static_cast<const v1::Instance&>(message).host() == host;
}

void DescribeParts(Context& context, const ControllerClient& client, const ResourceRef& ref,
                   const Message& resource) {
  ListFilter of_this;
  of_this.of = FullName(ref.kind->id, ref.id);
  of_this.show_terminated = false;
  switch (ref.kind->id) {
    case KindId::kAutoScalingGroup: {
      DescribePart(context, client, "Instances", KindId::kInstance, of_this);
      for (const auto& group : static_cast<const v1::AutoScalingGroup&>(resource).target_groups()) {
        ListFilter of_group;
        of_group.of = FullName(KindId::kTargetGroup, group);
        DescribePart(context, client, "Targets in " + group, KindId::kTarget, of_group);
      }
      ListFilter deployments = of_this;
      deployments.limit = 5;
      DescribePart(context, client, "Deployments", KindId::kDeployment, deployments);
      break;
    }
    case KindId::kTargetGroup:
      DescribePart(context, client, "Targets", KindId::kTarget, of_this);
      break;
    case KindId::kHost:
      DescribePart(context, client, "Instances", KindId::kInstance, {}, IsOnHost, ref.id);
      break;
    default:
      break;
  }
  ListFilter activities = of_this;
  activities.limit = kDescribedActivities;
  // What happened to an instance or by a deployment is filed under its group.
  if (ref.kind->id == KindId::kInstance) {
    activities.of = FullName(KindId::kAutoScalingGroup,
                             static_cast<const v1::Instance&>(resource).auto_scaling_group());
    activities.limit = kListedActivities * 10;
    return DescribePart(
        context, client, "Activities", KindId::kActivity, activities,
        [](const Message& m, const std::string& id) {
          return static_cast<const v1::Activity&>(m).instance() == id;
        },
        ref.id);
  }
  if (ref.kind->id == KindId::kDeployment) {
    activities.of = FullName(KindId::kAutoScalingGroup,
                             static_cast<const v1::Deployment&>(resource).auto_scaling_group());
    activities.limit = kListedActivities * 10;
    return DescribePart(
        context, client, "Activities", KindId::kActivity, activities,
        [](const Message& m, const std::string& id) {
          return static_cast<const v1::Activity&>(m).deployment() == id;
        },
        ref.id);
  }
  DescribePart(context, client, "Activities, the newest last", KindId::kActivity, activities);
}

ExitCode RunDescribe(Context& context, const GetOptions& options) {
  const auto ref = ParseRef(options.kind, options.name);
  if (!ref.ok()) return FailUsage(context, std::string(ref.status().message()));
  if (ref->id.empty())
    return FailUsage(context, "describe: which " + ref->kind->name + "? Give its name");
  const ControllerClient client(context.settings);
  const auto resource = GetResource(client, ref->kind->id, ref->id);
  if (!resource.ok()) return Fail(context, resource.status());
  context.out << MessageToYaml(**resource, {{"kind", ref->kind->name}});
  DescribeParts(context, client, *ref, **resource);
  context.out.flush();
  return ExitCode::kOk;
}

ExitCode RunDelete(Context& context, const GetOptions& options) {
  const auto ref = ParseRef(options.kind, options.name);
  if (!ref.ok()) return FailUsage(context, std::string(ref.status().message()));
  if (ref->id.empty())
    return FailUsage(context, "delete: which " + ref->kind->name + "? Give its name");
  if (options.force && ref->kind->id != KindId::kAutoScalingGroup) {
    return FailUsage(context, "--force is for auto scaling groups only");
  }
  const ControllerClient client(context.settings);
  const absl::Status status = DeleteResource(client, ref->kind->id, ref->id, options.force);
  if (!status.ok()) return Fail(context, status);
  context.out << FullName(ref->kind->id, ref->id)
              << (options.force ? " is being deleted: its instances are drained and ended first"
                                : " deleted")
              << std::endl;
  return ExitCode::kOk;
}

ExitCode WatchActivities(Context& context, const ControllerClient& client,
                         const std::string& resource) {
  grpc::ClientContext call;
  call.set_deadline(std::chrono::system_clock::now() +
                    std::chrono::hours(24 * 365));  // until the user ends it
  v1::WatchActivitiesRequest request;
  request.set_resource(resource);
  const auto stream = client.activities->WatchActivities(&call, request);
  v1::WatchActivitiesResponse response;
  while (stream->Read(&response)) {
    for (auto& activity : *response.mutable_activities()) {
      const auto copy = std::make_shared<v1::Activity>(activity);
      if (context.output == OutputFormat::kTable) {
        context.out << RenderTable(TableOf(KindId::kActivity, {copy}, SystemNow()), false)
                    << std::flush;
      } else {
        PrintResource(context, KindId::kActivity, activity);
      }
    }
  }
  const absl::Status status = FromGrpcStatus(stream->Finish());
  return status.ok() ? ExitCode::kOk : Fail(context, status);
}

ExitCode RunActivities(Context& context, const GetOptions& options) {
  ListFilter filter;
  filter.limit = options.limit;
  if (!options.name.empty()) {
    const auto ref = ParseRef(options.name);
    if (!ref.ok() || ref->id.empty()) {
      return FailUsage(
          context, "activities: \"" + options.name + "\" is not KIND/NAME, for example asg/blue");
    }
    filter.of = FullName(ref->kind->id, ref->id);
  }
  const ControllerClient client(context.settings);
  auto activities = ListResources(client, KindId::kActivity, filter);
  if (!activities.ok()) return Fail(context, activities.status());
  std::reverse(activities->begin(), activities->end());  // As a log is read: the newest last.
  PrintResources(context, KindId::kActivity, *activities);
  return options.watch ? WatchActivities(context, client, filter.of) : ExitCode::kOk;
}

void AddRefArguments(CLI::App* command, const std::shared_ptr<GetOptions>& options,
                     bool name_needed) {
  command
      ->add_option("kind", options->kind,
                   "asg, tg, lb, lt, instance, image, deployment, host, proxy, target, activity; "
                   "or KIND/NAME")
      ->required();
  command->add_option("name", options->name, name_needed ? "Its name" : "Its name; none: all");
}

}  // namespace

void AddGetCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("get", "Show resources");
  auto options = std::make_shared<GetOptions>();
  AddRefArguments(command, options, false);
  command->add_flag("-w,--watch", options->watch, "Go on and print what changes");
  command->add_flag("--all", options->all, "Also instances that are terminated");
  command->add_option("--limit", options->limit, "At most so many activities")
      ->capture_default_str();
  AddOutputFlag(command, context);
  SetExample(command,
             "remuda get asg\n  remuda get instances --watch\n  remuda get tg blue -o yaml\n  "
             "remuda get targets blue");
  SetRun(command, context, [&context, options] { return RunGet(context, *options); });
}

void AddDescribeCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand(
      "describe", "Show everything about one resource, its recent activities last");
  auto options = std::make_shared<GetOptions>();
  AddRefArguments(command, options, true);
  SetExample(command, "remuda describe asg blue");
  SetRun(command, context, [&context, options] { return RunDescribe(context, *options); });
}

void AddDeleteCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("delete", "Delete a resource that nothing refers to");
  auto options = std::make_shared<GetOptions>();
  AddRefArguments(command, options, true);
  command->add_flag("--force", options->force,
                    "An auto scaling group with its instances: drained and ended first");
  SetExample(command, "remuda delete lb shop\n  remuda delete asg/blue --force");
  SetRun(command, context, [&context, options] { return RunDelete(context, *options); });
}

void AddActivitiesCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("activities", "Show what was done, and why");
  auto options = std::make_shared<GetOptions>();
  command->add_option("resource", options->name, "Only about this one, for example asg/blue");
  command->add_flag("-w,--watch", options->watch, "Go on and print each as it comes");
  command->add_option("--limit", options->limit, "At most so many of the newest")
      ->capture_default_str();
  AddOutputFlag(command, context);
  SetExample(command, "remuda activities asg/blue --watch");
  SetRun(command, context, [&context, options] { return RunActivities(context, *options); });
}

}  // namespace remuda::cli
