// Resources on standard output, in the form that -o asked for.
#pragma once

#include "cli/context.h"
#include "cli/resources.h"

namespace remuda::cli {

// A table; a JSON array; or YAML documents that can be applied again.
void PrintResources(Context& context, KindId kind, const ResourceList& resources);
// The same without brackets or dividers, for one.
void PrintResource(Context& context, KindId kind, const google::protobuf::Message& resource);
// One of any other message: JSON or YAML; as a table, YAML.
void PrintMessage(Context& context, const google::protobuf::Message& message);

}  // namespace remuda::cli
