// remuda activities: what was done and why, as a log is read; and what follows.
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <map>
#include <memory>
#include <ostream>
#include <thread>

#include "cli/commands.h"
#include "cli/printing.h"
#include "cli/watching.h"

namespace remuda::cli {
namespace {

// What a watch remembers, so as to tell what it has shown already; and how many of those that
// happened while it had no controller it asks for.
constexpr size_t kRemembered = 1000;

struct ActivitiesOptions {
  std::string kind;
  std::string name;
  bool watch = false;
  size_t limit = kListedActivities;
};

class ActivityWatch {
 public:
  ActivityWatch(Context& context, const ControllerClient& client, ListFilter filter)
      : context_(context), client_(client), filter_(std::move(filter)) {
    filter_.limit = kRemembered;
  }

  // Oldest first.
  void Remember(const ResourceList& shown) {
    for (const auto& resource : shown) Take(static_cast<const v1::Activity&>(*resource));
  }

  // Until the user ends it, or the controller says what waiting does not mend.
  ExitCode Run() {
    while (true) {
      const absl::Status status = Stream();
      if (!IsAway(status)) return Fail(context_, status);
      SayAway(context_, was_there_);
      std::this_thread::sleep_for(kWatchInterval);
    }
  }

 private:
  // One stream to its end. What came between is listed once it is open.
  absl::Status Stream() {
    grpc::ClientContext call;
    call.set_deadline(std::chrono::system_clock::now() + kWatchDeadline);
    v1::WatchActivitiesRequest request;
    request.set_resource(filter_.of);
    const auto stream = client_.activities->WatchActivities(&call, request);
    const auto missed = ListResources(client_, KindId::kActivity, filter_);
    if (missed.ok()) {
      was_there_ = true;
      for (auto it = missed->rbegin(); it != missed->rend(); ++it)
        Show(static_cast<const v1::Activity&>(**it));
    }
    v1::WatchActivitiesResponse response;
    while (missed.ok() && stream->Read(&response)) {
      for (const auto& activity : response.activities()) Show(activity);
    }
    if (!missed.ok()) call.TryCancel();
    const absl::Status status = FromGrpcStatus(stream->Finish());
    return missed.ok() ? status : missed.status();
  }

  // False: it was shown as it is.
  bool Take(const v1::Activity& activity) {
    auto& known = known_[activity.name()];
    if (google::protobuf::util::MessageDifferencer::Equals(known, activity)) return false;
    known = activity;
    // Names sort by time. One that was forgotten is older than what a list begins with.
    while (known_.size() > kRemembered) known_.erase(known_.begin());
    return known_.contains(activity.name());
  }

  void Show(const v1::Activity& activity) {
    if (!Take(activity)) return;
    PrintChanged(context_, KindId::kActivity, {std::make_shared<v1::Activity>(activity)}, false);
  }

  Context& context_;
  const ControllerClient& client_;
  ListFilter filter_;
  std::map<std::string, v1::Activity> known_;
  bool was_there_ = true;
};

// Parts are told of with the whole: listeners and rules of their load balancer, versions of their
// template.
std::string FiledUnder(const ResourceRef& ref) {
  switch (ref.kind->id) {
    case KindId::kListener:
    case KindId::kRule:
      return FullName(KindId::kLoadBalancer, ref.id.substr(0, ref.id.find('/')));
    case KindId::kLaunchTemplateVersion:
      return FullName(KindId::kLaunchTemplate, ref.id.substr(0, ref.id.find(':')));
    default:
      return FullName(ref.kind->id, ref.id);
  }
}

ExitCode RunActivities(Context& context, const ActivitiesOptions& options) {
  ListFilter filter;
  filter.limit = options.limit;
  if (!options.kind.empty()) {
    // A name alone is a group's: they are what most is done to.
    const bool is_group = options.name.empty() && options.kind.find('/') == std::string::npos;
    const auto ref =
        is_group ? ParseRef("asg", options.kind) : ParseRef(options.kind, options.name);
    if (!ref.ok()) return FailUsage(context, std::string(ref.status().message()));
    filter.of = FiledUnder(*ref);
  }
  const ControllerClient client(context.settings);
  auto activities = ListResources(client, KindId::kActivity, filter);
  if (!activities.ok()) return Fail(context, activities.status());
  std::reverse(activities->begin(), activities->end());  // As a log is read: the newest last.
  PrintResources(context, KindId::kActivity, *activities);
  if (!options.watch) return ExitCode::kOk;
  ActivityWatch watch(context, client, filter);
  watch.Remember(*activities);
  return watch.Run();
}

}  // namespace

void AddActivitiesCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("activities", "Show what was done, and why");
  auto options = std::make_shared<ActivitiesOptions>();
  command->add_option("resource", options->kind,
                      "Only about this one: KIND/NAME, KIND NAME, or a group's NAME");
  command->add_option("name", options->name, "Its name, if the kind stands alone");
  command->add_flag("-w,--watch", options->watch, "Go on and print each as it comes");
  AddLimit(command, options->limit, "At most so many of the newest");
  AddOutputFlag(command, context);
  SetExample(command, "remuda activities asg/blue --watch\n  remuda activities blue --limit 20");
  SetRun(command, context, [&context, options] { return RunActivities(context, *options); });
}

}  // namespace remuda::cli
