#include "cli/printing.h"

#include <ostream>

#include "cli/table.h"
#include "common/message_yaml.h"

namespace remuda::cli {
namespace {

using google::protobuf::Message;

ExtraFields KindField(KindId kind) { return {{"kind", KindOf(kind).name}}; }

std::string Indented(const std::string& text) {
  std::string out = "  ";
  for (const char c : text.substr(0, text.size() - 1)) {
    out += c;
    if (c == '\n') out += "  ";
  }
  return out;
}

}  // namespace

void PrintResources(Context& context, KindId kind, const ResourceList& resources) {
  switch (context.output) {
    case OutputFormat::kTable:
      context.out << RenderTable(TableOf(kind, resources, SystemNow()));
      break;
    case OutputFormat::kYaml:
      for (size_t i = 0; i < resources.size(); ++i) {
        context.out << (i == 0 ? "" : "---\n") << MessageToYaml(*resources[i], KindField(kind));
      }
      break;
    case OutputFormat::kJson:
      context.out << "[";
      for (size_t i = 0; i < resources.size(); ++i) {
        context.out << (i == 0 ? "\n" : ",\n")
                    << Indented(MessageToJson(*resources[i], KindField(kind)));
      }
      context.out << (resources.empty() ? "]\n" : "\n]\n");
      break;
  }
  context.out.flush();
}

void PrintResource(Context& context, KindId kind, const Message& resource) {
  if (context.output == OutputFormat::kTable) {
    std::shared_ptr<Message> copy(resource.New());
    copy->CopyFrom(resource);
    PrintResources(context, kind, {copy});
    return;
  }
  context.out << (context.output == OutputFormat::kJson ? MessageToJson(resource, KindField(kind))
                                                        : MessageToYaml(resource, KindField(kind)))
              << std::flush;
}

void PrintMessage(Context& context, const Message& message) {
  context.out << (context.output == OutputFormat::kJson ? MessageToJson(message)
                                                        : MessageToYaml(message))
              << std::flush;
}

}  // namespace remuda::cli
