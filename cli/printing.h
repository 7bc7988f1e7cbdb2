// Resources on standard output, in the form that -o asked for.
#pragma once

#include "cli/context.h"
#include "cli/resources.h"
#include "cli/table_layout.h"

namespace remuda::cli {

// A table; full names, a line each; a JSON array; or YAML documents that can be applied again.
// Secrets are `***` unless --show-secrets is given.
void PrintResources(Context& context, KindId kind, const ResourceList& resources);
// The same without brackets or dividers, for one.
void PrintResource(Context& context, KindId kind, const google::protobuf::Message& resource);
// Reads resources of a kind and prints them.
ExitCode ShowList(Context& context, KindId kind, const ListFilter& filter);
// Those of one resource of kind `of`, as the user names it; empty: all.
ExitCode ShowListOf(Context& context, KindId kind, KindId of, const std::string& name,
                    ListFilter filter = {});

// What a write has changed, read again: its `answer` has no observations in it, without which a
// person reads "no instances". The answer, if it cannot be read.
void PrintAsRead(Context& context, const ControllerClient& client, KindId kind,
                 const std::string& id, const google::protobuf::Message& answer);

// What a watch has to say: rows that go on a table which was begun, or each as PrintResource.
void PrintChanged(Context& context, KindId kind, const ResourceList& changed, bool with_headers);
// Resources of several kinds, not as a table.
void PrintMixed(
    Context& context,
    const std::vector<std::pair<KindId, std::shared_ptr<google::protobuf::Message>>>& all);
// As YAML that a person reads: times to the second.
std::string YamlForPeople(const Context& context, KindId kind,
                          const google::protobuf::Message& resource);
// One of any other message: JSON or YAML; as a table, YAML.
void PrintMessage(Context& context, const google::protobuf::Message& message);
// Several of such: a JSON array, or YAML documents.
void PrintMessages(Context& context, const std::vector<const google::protobuf::Message*>& messages);
// What a write came to whose answer has no content: `sentence`; the name; or `name` and `outcome`
// as data.
void PrintOutcome(Context& context, const std::string& name, const std::string& outcome,
                  const std::string& sentence);

bool IsTable(OutputFormat format);
// Whether more is shown than what a usual table has room for.
bool ShowsAll(OutputFormat format);
TableStyle StyleOf(const Context& context, bool with_headers = true);

}  // namespace remuda::cli
