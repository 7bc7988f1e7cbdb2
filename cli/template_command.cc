// remuda template: the versions of a launch template, what each changed, and who runs them.
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <map>
#include <memory>
#include <ostream>

#include "cli/commands.h"
#include "cli/printing.h"

namespace remuda::cli {
namespace {

using google::protobuf::Message;

// Names of the fields of which two versions differ, as a manifest writes them.
std::string ChangesText(const v1::LaunchTemplateVersion& before,
                        const v1::LaunchTemplateVersion& after) {
  // What every version has of its own.
  static const std::vector<std::string> kOwn = {"name", "version", "create_time", "etag",
                                                "description"};
  std::vector<std::string> changed;
  const auto* type = v1::LaunchTemplateVersion::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const auto* field = type->field(i);
    if (std::find(kOwn.begin(), kOwn.end(), field->name()) != kOwn.end()) continue;
    google::protobuf::util::MessageDifferencer differencer;
    if (!differencer.CompareWithFields(before, after, {field}, {field}))
      changed.push_back(field->json_name());
  }
  return changed.empty() ? "-" : absl::StrJoin(changed, ", ");
}

// Version → who refers to it and how many instances run it.
absl::StatusOr<std::map<int, std::string>> UsersOf(const ControllerClient& client,
                                                   const std::string& id) {
  const auto groups = ListResources(client, KindId::kAutoScalingGroup, {});
  if (!groups.ok()) return groups.status();
  const auto instances = ListResources(client, KindId::kInstance, {});
  if (!instances.ok()) return instances.status();
  std::map<int, std::map<std::string, int>> counts;  // version → group → instances
  for (const auto& resource : *groups) {
    const auto& group = static_cast<const v1::AutoScalingGroup&>(*resource);
    if (ShortId(group.launch_template().launch_template()) == id)
      counts[group.launch_template().resolved_version()][ShortId(group.name())] += 0;
  }
  for (const auto& resource : *instances) {
    const auto& instance = static_cast<const v1::Instance&>(*resource);
    if (ShortId(instance.launch_template().launch_template()) == id)
      ++counts[instance.launch_template().resolved_version()]
              [ShortId(instance.auto_scaling_group())];
  }
  std::map<int, std::string> out;
  for (const auto& [version, of_group] : counts) {
    out[version] = absl::StrJoin(of_group, ", ", [](std::string* text, const auto& entry) {
      absl::StrAppend(text, entry.first, " (", entry.second, ")");
    });
  }
  return out;
}

// The oldest first: it is read downwards, as a history.
ExitCode RunHistory(Context& context, const std::string& name) {
  const auto ref = ParseTemplateRef(name);
  if (!ref.ok()) return FailUsage(context, std::string(ref.status().message()));
  ListFilter filter;
  filter.of = FullName(KindId::kLaunchTemplate, ref->id);
  const ControllerClient client(context.settings);
  auto versions = ListResources(client, KindId::kLaunchTemplateVersion, filter);
  if (!versions.ok()) return Fail(context, versions.status());
  if (versions->empty())
    return Fail(context, absl::NotFoundError(filter.of + ": no such resource"));
  const auto version_of = [](const std::shared_ptr<Message>& resource) {
    return static_cast<const v1::LaunchTemplateVersion&>(*resource).version();
  };
  std::sort(versions->begin(), versions->end(),
            [&](const auto& a, const auto& b) { return version_of(a) < version_of(b); });
  if (!IsTable(context.output)) {
    PrintResources(context, KindId::kLaunchTemplateVersion, *versions);
    return ExitCode::kOk;
  }
  const auto users = UsersOf(client, ref->id);
  if (!users.ok()) return Fail(context, users.status());
  Table table{{"VERSION", "MADE", "IMAGE", "CHANGED", "RUN-BY", "DESCRIPTION"}, {}};
  const v1::LaunchTemplateVersion* before = nullptr;
  for (const auto& resource : *versions) {
    const auto& version = static_cast<const v1::LaunchTemplateVersion&>(*resource);
    const auto user = users->find(version.version());
    table.rows.push_back({absl::StrCat(version.version()), FormatDate(version.create_time()),
                          ShortId(version.image()),
                          before == nullptr ? "-" : ChangesText(*before, version),
                          user == users->end() ? "-" : user->second,
                          version.description().empty() ? "-" : version.description()});
    before = &version;
  }
  context.out << RenderTable(table, StyleOf(context)) << std::flush;
  return ExitCode::kOk;
}

ExitCode RunSetDefault(Context& context, const std::string& name) {
  const auto ref = ParseTemplateRef(name);
  if (!ref.ok()) return FailUsage(context, std::string(ref.status().message()));
  if (ref->version.empty() || ref->version == "$Default")
    return FailUsage(context, "set-default: which version? Give TEMPLATE:VERSION");
  const ControllerClient client(context.settings);
  // `shop:latest` is the number that it means now.
  const auto version =
      GetResource(client, KindId::kLaunchTemplateVersion, absl::StrCat(ref->id, ":", ref->version));
  if (!version.ok()) return Fail(context, version.status());
  v1::UpdateLaunchTemplateRequest request;
  auto& wish = *request.mutable_launch_template();
  wish.set_name(FullName(KindId::kLaunchTemplate, ref->id));
  wish.set_default_version(static_cast<const v1::LaunchTemplateVersion&>(**version).version());
  request.mutable_update_mask()->add_paths("default_version");
  request.set_request_id(NewRequestId());
  const auto changed = client.Call<v1::LaunchTemplate>(
      *client.launch_templates, &v1::LaunchTemplateService::Stub::UpdateLaunchTemplate, request);
  if (!changed.ok()) return Fail(context, changed.status());
  PrintResource(context, KindId::kLaunchTemplate, *changed);
  return ExitCode::kOk;
}

}  // namespace

void AddTemplateCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("template", "Show launch templates and their versions");
  command->require_subcommand(1);
  auto name = std::make_shared<std::string>();
  auto* history = command->add_subcommand(
      "history", "Show a template's versions: what each changed, and the instances that run it");
  history->add_option("name", *name, "The launch template")->required();
  AddOutputFlag(history, context);
  SetExample(history, "remuda template history shop");
  SetRun(history, context, [&context, name] { return RunHistory(context, *name); });
  auto* set_default = command->add_subcommand(
      "set-default", "Say which version of a template $Default means from now on");
  set_default->add_option("version", *name, "TEMPLATE:VERSION")->required();
  AddOutputFlag(set_default, context);
  SetExample(set_default, "remuda template set-default shop:2");
  SetRun(set_default, context, [&context, name] { return RunSetDefault(context, *name); });
  auto* list = command->add_subcommand("list", "Show all launch templates");
  AddOutputFlag(list, context);
  SetExample(list, "remuda template list");
  SetRun(list, context, [&context] { return ShowList(context, KindId::kLaunchTemplate, {}); });
  SetExample(command, "remuda template history shop");
}

}  // namespace remuda::cli
