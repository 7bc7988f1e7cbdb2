// Output-only fields of single rows, from observations. Pure.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "controller/core/door/snapshot.h"
#include "controller/core/reconcile/gates.h"

namespace remuda::core {

// With what the agent says of its process, and its etag.
v1::Instance ShowInstance(const Snapshot& from, std::string_view id, const v1::Instance& row);
v1::Host ShowHost(const Snapshot& from, std::string_view id, const v1::Host& row);
v1::Proxy ShowProxy(const Snapshot& from, std::string_view id, const v1::Proxy& row);

// The targets of a group that are there, by id within the group, with their health at each live
// proxy that serves the group. `gates` are those of the snapshot; `wanted` is asked for each, in
// order: the others cost nothing more.
std::map<std::string, v1::Target> ShowTargets(
    const Snapshot& from, const Gates& gates, std::string_view target_group,
    const std::function<bool(const std::string& id)>& wanted);

}  // namespace remuda::core
