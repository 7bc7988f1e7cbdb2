// remuda listener, rule: listeners and rules one by one, from a file each.
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <memory>
#include <ostream>

#include "cli/commands.h"
#include "cli/manifest.h"
#include "cli/parts.h"
#include "cli/printing.h"
#include "common/status.h"

namespace remuda::cli {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

struct PartOptions {
  std::string name;                     // of the part, or of what holds it
  std::string id;                       // create
  std::string file;                     // create, update
  bool dry_run = false;                 // create, update
  std::vector<std::string> priorities;  // set-priorities
};

// A part as a file says it.
template <class Part>
struct FilePart {
  Part value;
  std::vector<std::string> fields;  // that the file sets, but for what says which part it is
  std::string file_name;
  SourceMap places;  // by the request's paths: `rule.priority`
};

const FieldDescriptor* FieldNamed(const google::protobuf::Descriptor& type,
                                  const std::string& key) {
  const FieldDescriptor* field = type.FindFieldByName(key);
  return field != nullptr ? field : type.FindFieldByCamelcaseName(key);
}

template <class Part>
absl::StatusOr<FilePart<Part>> ReadPart(const std::string& path, const std::string& request_field) {
  const auto files = ReadManifestFiles({path});
  if (!files.ok()) return files.status();
  if (files->size() != 1)
    return absl::InvalidArgumentError(absl::StrCat(path, ": a file is wanted, not a directory"));
  FilePart<Part> out;
  out.file_name = files->front().name;
  const YamlFile yaml = ReadYaml(files->front().text);
  if (!yaml.mistakes.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(FormatPosition(out.file_name, yaml.mistakes.front().position), ": ",
                     yaml.mistakes.front().why));
  }
  if (yaml.documents.size() != 1 || yaml.documents.front().root->kind != YamlNode::Kind::kMap) {
    return absl::InvalidArgumentError(absl::StrCat(out.file_name, ": one YAML document with the ",
                                                   request_field, "'s fields is wanted"));
  }
  const YamlNode& root = *yaml.documents.front().root;
  const absl::Status status = MessageFromYaml(
      root, {.file_name = out.file_name, .path_prefix = request_field, .ignored_keys = {"kind"}},
      &out.value, &out.places);
  if (!status.ok()) return status;
  for (const auto& [key, value] : root.entries) {
    const FieldDescriptor* field = FieldNamed(*Part::descriptor(), key->scalar);
    if (field != nullptr && field->name() != "name" && field->name() != "etag")
      out.fields.push_back(field->name());
  }
  return out;
}

// What the controller objects to, by the file's lines where it names fields.
template <class Part>
ExitCode FailPart(Context& context, const FilePart<Part>& part, const absl::Status& status) {
  const auto violations = ViolationsOf(status);
  if (violations.empty()) return Fail(context, status);
  for (const FieldViolation& violation : violations) {
    const SourceMap::Place place = part.places.Find(violation.field);
    context.err << FormatPosition(part.file_name, place.position) << ": " << place.path
                << (place.path.empty() ? "" : ": ") << violation.description << "\n";
  }
  context.err.flush();
  return ExitCode::kFailed;
}

// What differs between the two kinds.
struct OfListener {
  using Part = v1::Listener;
  using Create = v1::CreateListenerRequest;
  using Update = v1::UpdateListenerRequest;
  static constexpr KindId kKind = KindId::kListener;
  static constexpr char kField[] = "listener";
  static constexpr auto kCreate = &v1::ListenerService::Stub::CreateListener;
  static constexpr auto kUpdate = &v1::ListenerService::Stub::UpdateListener;
  static void SetId(Create& request, const std::string& id) { request.set_listener_id(id); }
  static Part& PartOf(Create& request) { return *request.mutable_listener(); }
  static Part& PartOf(Update& request) { return *request.mutable_listener(); }
};
struct OfRule {
  using Part = v1::Rule;
  using Create = v1::CreateRuleRequest;
  using Update = v1::UpdateRuleRequest;
  static constexpr KindId kKind = KindId::kRule;
  static constexpr char kField[] = "rule";
  static constexpr auto kCreate = &v1::ListenerService::Stub::CreateRule;
  static constexpr auto kUpdate = &v1::ListenerService::Stub::UpdateRule;
  static void SetId(Create& request, const std::string& id) { request.set_rule_id(id); }
  static Part& PartOf(Create& request) { return *request.mutable_rule(); }
  static Part& PartOf(Update& request) { return *request.mutable_rule(); }
};

// The name of one part, or of what holds it; an error if it names less.
absl::StatusOr<std::string> ParseOne(KindId kind, const std::string& word, bool is_parent) {
  auto id = ParsePartId(kind, is_parent ? absl::StrCat(PartId(word), "/x") : word);
  if (!id.ok() || IsOnePart(kind, *id)) {
    if (id.ok() && is_parent) return ParentId(*id);
    if (id.ok()) return id;
  }
  const bool is_rule = kind == KindId::kRule;
  return absl::InvalidArgumentError(
      absl::StrCat("\"", word, "\" is not the name of a ",
                   is_parent ? (is_rule ? "Listener: write LOAD-BALANCER/LISTENER"
                                        : "LoadBalancer: write LOAD-BALANCER")
                             : (is_rule ? "Rule: write LOAD-BALANCER/LISTENER/RULE"
                                        : "Listener: write LOAD-BALANCER/LISTENER")));
}

template <class Of>
ExitCode RunCreate(Context& context, const PartOptions& options) {
  const auto parent = ParseOne(Of::kKind, options.name, /*is_parent=*/true);
  if (!parent.ok()) return FailUsage(context, std::string(parent.status().message()));
  const auto part = ReadPart<typename Of::Part>(options.file, Of::kField);
  if (!part.ok()) return Fail(context, part.status());
  typename Of::Create request;
  request.set_parent(PartFullName(*parent));
  Of::SetId(request, options.id);
  Of::PartOf(request) = part->value;
  request.set_validate_only(options.dry_run);
  request.set_request_id(NewRequestId());
  const ControllerClient client(context.settings);
  const auto made = client.Call<typename Of::Part>(*client.listeners, Of::kCreate, request);
  if (!made.ok()) return FailPart(context, *part, made.status());
  PrintResource(context, Of::kKind, *made);
  return ExitCode::kOk;
}

template <class Of>
ExitCode RunUpdate(Context& context, const PartOptions& options) {
  const auto id = ParseOne(Of::kKind, options.name, /*is_parent=*/false);
  if (!id.ok()) return FailUsage(context, std::string(id.status().message()));
  auto part = ReadPart<typename Of::Part>(options.file, Of::kField);
  if (!part.ok()) return Fail(context, part.status());
  if (std::erase(part->fields, "rules") > 0) {
    context.err << "warning: " << part->file_name
                << ": rules are changed by `remuda rule`; they stay as they are" << std::endl;
  }
  typename Of::Update request;
  Of::PartOf(request) = part->value;
  Of::PartOf(request).set_name(PartFullName(*id));
  for (const std::string& field : part->fields) request.mutable_update_mask()->add_paths(field);
  if (part->fields.empty())
    return FailUsage(context, absl::StrCat(part->file_name, ": it sets no field"));
  request.set_validate_only(options.dry_run);
  request.set_request_id(NewRequestId());
  const ControllerClient client(context.settings);
  const auto changed = client.Call<typename Of::Part>(*client.listeners, Of::kUpdate, request);
  if (!changed.ok()) return FailPart(context, *part, changed.status());
  PrintResource(context, Of::kKind, *changed);
  return ExitCode::kOk;
}

template <class Of>
ExitCode RunList(Context& context, const PartOptions& options) {
  ListFilter filter;
  if (!options.name.empty()) {
    const auto parent = ParsePartId(Of::kKind, options.name);
    if (!parent.ok()) return FailUsage(context, std::string(parent.status().message()));
    if (IsOnePart(Of::kKind, *parent))
      return FailUsage(context, absl::StrCat(*parent, " is one ", Of::kField, "; `remuda get ",
                                             Of::kField, "` shows it"));
    filter.of = PartParent(Of::kKind, *parent);
  }
  return ShowList(context, Of::kKind, filter);
}

ExitCode RunSetPriorities(Context& context, const PartOptions& options) {
  const auto listener = ParseOne(KindId::kRule, options.name, /*is_parent=*/true);
  if (!listener.ok()) return FailUsage(context, std::string(listener.status().message()));
  v1::SetRulePrioritiesRequest request;
  request.set_listener(PartFullName(*listener));
  for (const std::string& text : options.priorities) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits('=', 1));
    v1::RulePriority& wish = *request.add_priorities();
    int priority = 0;
    if (parts.first.empty() || !absl::SimpleAtoi(parts.second, &priority)) {
      return FailUsage(context,
                       absl::StrCat("\"", text, "\" is not RULE=PRIORITY, for example admin=10"));
    }
    wish.set_rule(parts.first);
    wish.set_priority(priority);
  }
  request.set_request_id(NewRequestId());
  const ControllerClient client(context.settings);
  const auto response = client.Call<v1::SetRulePrioritiesResponse>(
      *client.listeners, &v1::ListenerService::Stub::SetRulePriorities, request);
  if (!response.ok()) return Fail(context, response.status());
  ResourceList rules;
  for (const auto& rule : response->rules()) rules.push_back(std::make_shared<v1::Rule>(rule));
  PrintResources(context, KindId::kRule, rules);
  return ExitCode::kOk;
}

void AddFile(CLI::App* command, PartOptions& options) {
  command->add_option("-f,--file", options.file, "Its fields as YAML; - for standard input")
      ->required();
  command->add_flag("--dry-run", options.dry_run, "Only check, and show what would be");
}

template <class Of>
CLI::App* AddPartCommand(CLI::App& app, Context& context, const char* help, const char* parent,
                         const char* parent_name, const char* name) {
  auto* command = app.add_subcommand(Of::kField, help);
  command->require_subcommand(1);
  auto options = std::make_shared<PartOptions>();
  const std::string one(Of::kField);
  auto* create = command->add_subcommand("create", "Add a " + one + " that a file describes");
  create->add_option("parent", options->name, parent)->required();
  create->add_option("--id", options->id,
                     "Its id (default: what the file says, or one made for it)");
  AddFile(create, *options);
  AddOutputFlag(create, context);
  SetExample(create, absl::StrCat("remuda ", one, " create ", parent_name, " -f ", one, ".yaml"));
  SetRun(create, context, [&context, options] { return RunCreate<Of>(context, *options); });
  auto* update = command->add_subcommand(
      "update", "Change the fields that a file has; with an etag in it, only what was read");
  update->add_option("name", options->name, "The " + one)->required();
  AddFile(update, *options);
  AddOutputFlag(update, context);
  SetExample(update, absl::StrCat("remuda get ", one, " ", name, " -o yaml > ", one,
                                  ".yaml\n  remuda ", one, " update ", name, " -f ", one, ".yaml"));
  SetRun(update, context, [&context, options] { return RunUpdate<Of>(context, *options); });
  auto* list = command->add_subcommand("list", "Show " + one + "s");
  list->add_option("parent", options->name, absl::StrCat(parent, "; none: all"));
  AddOutputFlag(list, context);
  SetExample(list, absl::StrCat("remuda ", one, " list ", parent_name));
  SetRun(list, context, [&context, options] { return RunList<Of>(context, *options); });
  SetExample(command, absl::StrCat("remuda ", one, " list ", parent_name, "\n  remuda ", one,
                                   " update ", name, " -f ", one, ".yaml"));
  return command;
}

}  // namespace

void AddListenerCommand(CLI::App& app, Context& context) {
  AddPartCommand<OfListener>(app, context,
                             "Show, add and change listeners of load balancers one by one",
                             "The load balancer", "shop", "shop/8080");
}

void AddRuleCommand(CLI::App& app, Context& context) {
  auto* command =
      AddPartCommand<OfRule>(app, context, "Show, add and change rules of listeners one by one",
                             "The listener: LOAD-BALANCER/LISTENER", "shop/8080", "shop/8080/10");
  auto options = std::make_shared<PartOptions>();
  auto* order = command->add_subcommand("set-priorities",
                                        "Change the priorities of several rules, all or none");
  order->add_option("listener", options->name, "The listener: LOAD-BALANCER/LISTENER")->required();
  order->add_option("priorities", options->priorities, "RULE=PRIORITY, one or more")->required();
  AddOutputFlag(order, context);
  SetExample(order, "remuda rule set-priorities shop/8080 admin=20 api=10");
  SetRun(order, context, [&context, options] { return RunSetPriorities(context, *options); });
}

}  // namespace remuda::cli
