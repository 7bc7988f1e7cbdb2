// Touched: what a commit or a report may have changed, so that only that is looked at again. Naming
// too much costs time, too little is a bug. Thread: the loop thread.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "controller/core/model/observations.h"
#include "controller/core/model/state.h"
#include "controller/views/touched_proxy_views.h"

namespace remuda {

struct Touched {
  // Groups to reconcile.
  bool all_groups = false;
  std::set<std::string> groups;
  // Views to bring up to date.
  TouchedProxyViews proxy_views;
  std::set<std::string> hosts;
  bool commit = false;  // a commit was applied: newest revisions cover it
  // What watchers see.
  bool instances = false;
  bool targets = false;
  bool deployments = false;

  bool reconcile() const { return all_groups || !groups.empty(); }
  bool views() const { return commit || !hosts.empty() || !proxy_views.empty(); }
};

// Adds what `changes` touch as `state` has it. Call it before and after the changes are applied:
// each sees one side of them.
void TouchEdits(const core::State& state, const core::Changes& changes, Touched& touched);

// Adds what hangs on one instance: its group, its group's target groups, its host.
void TouchInstance(const core::State& state, std::string_view instance, Touched& touched);

// Adds everything that hangs on a host's presence.
void TouchHost(const core::State& state, std::string_view host, Touched& touched);

// Adds all there is: after a start.
void TouchAll(const core::State& state, Touched& touched);

}  // namespace remuda
