// What of each kind of resource a table shows: columns of a header and a cell's text. Pure.
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include "cli/resources.h"
#include "cli/table_layout.h"

namespace remuda::cli {

// One row a resource. Ages are counted to `now`. `is_wide`: also what does not fit a narrow
// terminal.
Table TableOf(KindId kind, const ResourceList& resources, const google::protobuf::Timestamp& now,
              bool is_wide = false);

}  // namespace remuda::cli
