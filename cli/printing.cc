#include "cli/printing.h"

#include <google/protobuf/empty.pb.h>

#include <memory>
#include <ostream>

#include "cli/kind_columns.h"
#include "common/message_yaml.h"
#include "common/sensitive.h"

namespace remuda::cli {
namespace {

using google::protobuf::Message;

ExtraFields KindField(KindId kind) { return {{"kind", KindOf(kind).name}}; }

// The message as it may be shown.
std::unique_ptr<Message> Shown(const Context& context, const Message& message) {
  std::unique_ptr<Message> copy(message.New());
  copy->CopyFrom(message);
  if (!context.shows_secrets) Redact(*copy);
  return copy;
}

std::string Indented(const std::string& text) {
  std::string out = "  ";
  for (const char c : text.substr(0, text.size() - 1)) {
    out += c;
    if (c == '\n') out += "  ";
  }
  return out;
}

// Fractions of a second say nothing to a person.
void DropFractions(Message& message) {
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  const auto* reflection = message.GetReflection();
  reflection->ListFields(message, &fields);
  for (const auto* field : fields) {
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (field->is_repeated()) {
      for (int i = 0; i < reflection->FieldSize(message, field); ++i)
        DropFractions(*reflection->MutableRepeatedMessage(&message, field, i));
      continue;
    }
    Message* inner = reflection->MutableMessage(&message, field);
    if (inner->GetDescriptor() == google::protobuf::Timestamp::descriptor()) {
      static_cast<google::protobuf::Timestamp*>(inner)->set_nanos(0);
    } else {
      DropFractions(*inner);
    }
  }
}

}  // namespace

bool IsTable(OutputFormat format) {
  return format == OutputFormat::kTable || format == OutputFormat::kWide;
}

bool ShowsAll(OutputFormat format) {
  return format != OutputFormat::kTable && format != OutputFormat::kName;
}

TableStyle StyleOf(const Context& context, bool with_headers) {
  return {.with_headers = with_headers, .with_colours = context.out_has_colours};
}

void PrintMixed(Context& context,
                const std::vector<std::pair<KindId, std::shared_ptr<Message>>>& all) {
  const bool is_json = context.output == OutputFormat::kJson;
  if (is_json) context.out << "[";
  for (size_t i = 0; i < all.size(); ++i) {
    const auto& [kind, resource] = all[i];
    if (is_json) {
      context.out << (i == 0 ? "\n" : ",\n")
                  << Indented(MessageToJson(*Shown(context, *resource), KindField(kind)));
    } else if (context.output == OutputFormat::kName) {
      context.out << NameOf(*resource) << "\n";
    } else {
      context.out << (i == 0 ? "" : "---\n")
                  << MessageToYaml(*Shown(context, *resource), KindField(kind));
    }
  }
  if (is_json) context.out << (all.empty() ? "]\n" : "\n]\n");
  context.out.flush();
}

void PrintResources(Context& context, KindId kind, const ResourceList& resources) {
  if (IsTable(context.output)) return PrintChanged(context, kind, resources, true);
  std::vector<std::pair<KindId, std::shared_ptr<Message>>> all;
  for (const auto& resource : resources) all.emplace_back(kind, resource);
  PrintMixed(context, all);
}

void PrintResource(Context& context, KindId kind, const Message& resource) {
  if (context.output == OutputFormat::kJson || context.output == OutputFormat::kYaml) {
    context.out << (context.output == OutputFormat::kJson
                        ? MessageToJson(*Shown(context, resource), KindField(kind))
                        : MessageToYaml(*Shown(context, resource), KindField(kind)))
                << std::flush;
    return;
  }
  std::shared_ptr<Message> copy(resource.New());
  copy->CopyFrom(resource);
  PrintResources(context, kind, {copy});
}

ExitCode ShowList(Context& context, KindId kind, const ListFilter& filter) {
  const ControllerClient client(context.settings);
  const auto list = ListResources(client, kind, filter);
  if (!list.ok()) return Fail(context, list.status());
  PrintResources(context, kind, *list);
  return ExitCode::kOk;
}

ExitCode ShowListOf(Context& context, KindId kind, KindId of, const std::string& name,
                    ListFilter filter) {
  filter.is_full = ShowsAll(context.output);
  if (!name.empty()) {
    const auto id = ParseIdOf(of, name);
    if (!id.ok()) return FailUsage(context, std::string(id.status().message()));
    filter.of = FullName(of, *id);
  }
  return ShowList(context, kind, filter);
}

void PrintAsRead(Context& context, const ControllerClient& client, KindId kind,
                 const std::string& id, const Message& answer) {
  const auto seen = GetResource(client, kind, id);
  PrintResource(context, kind, seen.ok() ? **seen : answer);
}

void PrintChanged(Context& context, KindId kind, const ResourceList& changed, bool with_headers) {
  if (!IsTable(context.output)) {
    for (const auto& resource : changed) PrintResource(context, kind, *resource);
    return;
  }
  const bool is_wide = context.output == OutputFormat::kWide;
  context.out << RenderTable(TableOf(kind, changed, SystemNow(), is_wide),
                             StyleOf(context, with_headers))
              << std::flush;
}

std::string YamlForPeople(const Context& context, KindId kind, const Message& resource) {
  const std::unique_ptr<Message> copy = Shown(context, resource);
  DropFractions(*copy);
  return MessageToYaml(*copy, KindField(kind));
}

void PrintMessage(Context& context, const Message& message) {
  const std::unique_ptr<Message> shown = Shown(context, message);
  context.out << (context.output == OutputFormat::kJson ? MessageToJson(*shown)
                                                        : MessageToYaml(*shown))
              << std::flush;
}

void PrintMessages(Context& context, const std::vector<const Message*>& messages) {
  const bool is_json = context.output == OutputFormat::kJson;
  if (is_json) context.out << "[";
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::unique_ptr<Message> shown = Shown(context, *messages[i]);
    if (is_json) {
      context.out << (i == 0 ? "\n" : ",\n") << Indented(MessageToJson(*shown));
    } else {
      context.out << (i == 0 ? "" : "---\n") << MessageToYaml(*shown);
    }
  }
  if (is_json) context.out << (messages.empty() ? "]\n" : "\n]\n");
  context.out.flush();
}

void PrintOutcome(Context& context, const std::string& name, const std::string& outcome,
                  const std::string& sentence) {
  const ExtraFields fields = {{"name", name}, {"outcome", outcome}};
  const google::protobuf::Empty nothing;
  switch (context.output) {
    case OutputFormat::kTable:
    case OutputFormat::kWide:
      context.out << sentence << "\n";
      break;
    case OutputFormat::kName:
      context.out << name << "\n";
      break;
    case OutputFormat::kJson:
      context.out << MessageToJson(nothing, fields);
      break;
    case OutputFormat::kYaml:
      context.out << MessageToYaml(nothing, fields);
      break;
  }
  context.out.flush();
}

}  // namespace remuda::cli
