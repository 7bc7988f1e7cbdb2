// remuda get: resources of any kind, once or as they change.
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>

#include <algorithm>
#include <map>
#include <memory>
#include <ostream>
#include <thread>

#include "cli/commands.h"
#include "cli/kind_columns.h"
#include "cli/parts.h"
#include "cli/printing.h"
#include "cli/watching.h"
#include "common/message_yaml.h"
#include "common/words.h"

namespace remuda::cli {
namespace {

using google::protobuf::Message;

struct GetOptions {
  std::string kind;
  std::string name;
  std::string group;
  std::string filter;
  std::vector<std::string> labels;
  bool watch = false;
  bool all = false;
  size_t limit = kListedActivities;
};

// What a word and a name behind it mean, and what a list of them is narrowed to.
struct Wanted {
  ResourceRef ref;
  ListFilter filter;
  bool is_list = false;
};

// The filter that --filter and -l make together. A label is written KEY=VALUE, KEY!=VALUE, or KEY
// for those that have it.
absl::StatusOr<std::string> FilterOf(const GetOptions& options) {
  std::vector<std::string> clauses;
  if (!options.filter.empty()) clauses.push_back(options.filter);
  for (const std::string& label : options.labels) {
    const size_t equal = label.find('=');
    const bool is_not = equal != std::string::npos && equal > 0 && label[equal - 1] == '!';
    const std::string key = label.substr(0, is_not ? equal - 1 : equal);
    if (key.empty() || key.find_first_of(" \"!") != std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("--selector: \"", label, "\" is not KEY=VALUE, KEY!=VALUE or KEY"));
    }
    if (equal == std::string::npos) {
      clauses.push_back(absl::StrCat("labels:", key));
      continue;
    }
    const std::string value =
        absl::StrReplaceAll(label.substr(equal + 1), {{"\\", "\\\\"}, {"\"", "\\\""}});
    clauses.push_back(absl::StrCat("labels.", key, is_not ? " != \"" : " = \"", value, "\""));
  }
  return absl::StrJoin(clauses, " AND ");
}

absl::StatusOr<Wanted> WantedOf(const GetOptions& options) {
  Wanted wanted;
  const auto kind = ParseRef(options.kind);
  if (!kind.ok()) return kind.status();
  if (kind->kind->id == KindId::kTarget) {
    // Targets are named by their group.
    const auto group = options.name.empty() ? absl::StatusOr<std::string>(kind->id)
                                            : ParseIdOf(KindId::kTargetGroup, options.name);
    if (!group.ok()) return group.status();
    wanted.ref = {kind->kind, *group};
    if (!group->empty()) wanted.filter.of = FullName(KindId::kTargetGroup, *group);
  } else {
    const auto ref = ParseRef(options.kind, options.name);
    if (!ref.ok()) return ref.status();
    wanted.ref = *ref;
  }
  // Of the kind that the word's name is of: a full name may be a part's.
  const KindId id = wanted.ref.kind->id;
  wanted.is_list = wanted.ref.id.empty() || id == KindId::kTarget;
  if (IsPart(id) && !wanted.is_list && !IsOnePart(id, wanted.ref.id)) {
    wanted.filter.of = PartParent(id, wanted.ref.id);
    wanted.is_list = true;
  }
  if (id == KindId::kLaunchTemplateVersion && !wanted.is_list &&
      wanted.ref.id.find(':') == std::string::npos) {
    // A template's name: its versions.
    wanted.filter.of = FullName(KindId::kLaunchTemplate, wanted.ref.id);
    wanted.is_list = true;
  }
  const auto filter = FilterOf(options);
  if (!filter.ok()) return filter.status();
  wanted.filter.filter = *filter;
  if (!filter->empty() && !wanted.is_list)
    return absl::InvalidArgumentError("--filter and --selector are for lists");
  wanted.filter.show_terminated = options.all;
  if (id == KindId::kActivity) wanted.filter.limit = options.limit;
  if (options.group.empty()) return wanted;
  if ((id != KindId::kInstance && id != KindId::kDeployment) || !wanted.is_list) {
    return absl::InvalidArgumentError("--group is for the list of instances or of deployments");
  }
  const auto group = ParseIdOf(KindId::kAutoScalingGroup, options.group);
  if (!group.ok()) return group.status();
  wanted.filter.of = FullName(KindId::kAutoScalingGroup, *group);
  return wanted;
}

absl::StatusOr<ResourceList> Read(const ControllerClient& client, const Wanted& wanted) {
  const KindId kind = wanted.ref.kind->id;
  if (wanted.is_list) {
    auto list = ListResources(client, kind, wanted.filter);
    // As a log is read, and as `remuda activities` says them: the newest last.
    if (list.ok() && kind == KindId::kActivity) std::reverse(list->begin(), list->end());
    return list;
  }
  auto one = GetResource(client, kind, wanted.ref.id);
  if (!one.ok()) return one.status();
  return ResourceList{*std::move(one)};
}

// What a watch shows: the difference of two reads, in what is shown of them.
class ChangeView {
 public:
  ChangeView(Context& context, KindId kind) : context_(context), kind_(kind) {}

  void Show(const ResourceList& now) {
    ResourceList changed;
    std::map<std::string, std::string> seen;
    for (const auto& resource : now) {
      const std::string name = NameOf(*resource);
      std::string shown = Shown(resource);
      const auto it = known_.find(name);
      if (it == known_.end() || it->second != shown) changed.push_back(resource);
      seen.emplace(name, std::move(shown));
    }
    if (is_first_ || !changed.empty()) PrintChanged(context_, kind_, changed, is_first_);
    for (const auto& [name, shown] : known_) {
      if (!seen.contains(name)) context_.err << name << " is gone" << std::endl;
    }
    known_ = std::move(seen);
    is_first_ = false;
  }

  bool is_first() const { return is_first_; }

 private:
  // A row without its ages: that time goes by is no change. (Counted to the beginning of time every
  // age is none.)
  std::string Shown(const std::shared_ptr<Message>& resource) const {
    switch (context_.output) {
      case OutputFormat::kName:
        return "";
      case OutputFormat::kJson:
      case OutputFormat::kYaml:
        return MessageToJson(*resource);
      case OutputFormat::kTable:
      case OutputFormat::kWide:
        break;
    }
    const bool is_wide = context_.output == OutputFormat::kWide;
    const Table table = TableOf(kind_, {resource}, google::protobuf::Timestamp(), is_wide);
    return absl::StrJoin(table.rows.front(), "\n");
  }

  Context& context_;
  const KindId kind_;
  std::map<std::string, std::string> known_;  // name → what was shown
  bool is_first_ = true;
};

// Until the user ends it. A controller that goes away is waited for.
ExitCode Watch(Context& context, const ControllerClient& client, const Wanted& wanted) {
  ChangeView view(context, wanted.ref.kind->id);
  bool was_there = true;
  while (true) {
    const auto now = Read(client, wanted);
    if (now.ok()) {
      view.Show(*now);
      was_there = true;
    } else if (view.is_first() || !IsAway(now.status())) {
      return Fail(context, now.status());
    } else {
      SayAway(context, was_there);
    }
    std::this_thread::sleep_for(kWatchInterval);
  }
}

ExitCode RunGet(Context& context, const GetOptions& options) {
  auto wanted = WantedOf(options);
  if (!wanted.ok()) return FailUsage(context, std::string(wanted.status().message()));
  wanted->filter.is_full = ShowsAll(context.output);
  const ControllerClient client(context.settings);
  if (options.watch) return Watch(context, client, *wanted);
  const auto resources = Read(client, *wanted);
  if (!resources.ok()) return Fail(context, resources.status());
  const Kind& kind = *wanted->ref.kind;
  if (!wanted->is_list && resources->size() == 1) {
    PrintResource(context, kind.id, *resources->front());
  } else {
    PrintResources(context, kind.id, *resources);
  }
  if (resources->empty() && IsTable(context.output))
    context.err << "No " << kind.collection << "." << std::endl;
  return ExitCode::kOk;
}

}  // namespace

void AddRefArguments(CLI::App* command, std::string& kind, std::string& name, bool name_needed) {
  std::vector<std::string> kinds;
  for (const Kind& each : AllKinds()) kinds.push_back(each.short_name);
  command->add_option("kind", kind, absl::StrJoin(kinds, ", ") + "; or KIND/NAME")->required();
  command->add_option("name", name, name_needed ? "Its name" : "Its name; none: all");
}

void AddGetCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("get", "Show resources");
  auto options = std::make_shared<GetOptions>();
  AddRefArguments(command, options->kind, options->name, false);
  command->add_flag("-w,--watch", options->watch, "Go on and print what changes");
  command->add_flag("--all", options->all, "Also instances that are terminated");
  command->add_option("--group", options->group,
                      "Only instances or deployments of this auto scaling group");
  command->add_option("--filter", options->filter,
                      "Only those that match: labels.team=a AND state=LOST, for example");
  command
      ->add_option("-l,--selector", options->labels,
                   "Only those with these labels: KEY=VALUE, KEY!=VALUE or KEY, more after commas")
      ->delimiter(',');
  AddLimit(command, options->limit, "At most so many of the newest activities");
  AddOutputFlag(command, context);
  SetExample(
      command,
      "remuda get asg\n  remuda get instances --group blue --watch\n  remuda get rules "
      "shop/8080\n  remuda get versions shop\n  remuda get lb -l env=prod\n  remuda get tg blue -o "
      "yaml\n  remuda get targets blue -o wide");
  SetRun(command, context, [&context, options] { return RunGet(context, *options); });
}

}  // namespace remuda::cli
