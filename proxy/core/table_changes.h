// What a routing table changes of the one before it, so that adopting it costs only that. Used by
// the compiler alone.
#pragma once

#include "proxy/core/routing_table.h"

namespace remuda::proxy {

// Fills `table`'s changed_groups, removed_groups, leaving and admin_changes.
void NoteChanges(const RoutingTable& previous, RoutingTable& table);

}  // namespace remuda::proxy
