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

// What reconciliation has to look at. Each group's last look has said what else it waits for
// (core::Agenda): what is named here as changed is for those that wait for it.
struct Looks {
  bool all = false;         // everything there is
  bool all_groups = false;  // what proxies find and confirm bears on each of them
  std::set<std::string> groups = {};
  std::set<std::string> present = {};  // hosts that came, went, or whose rows changed
  bool proxies = false;                // some came, went, or their rows changed
  bool room = false;                   // something began or ended on a host
  bool drained_targets = false;        // of those registered by hand
  bool orphans = false;                // deployments whose groups are gone
  bool confirmed = false;              // a proxy has confirmed more

  bool empty() const {
    return !all && !all_groups && groups.empty() && present.empty() && !proxies && !room &&
           !drained_targets && !orphans && !confirmed;
  }
  void Merge(Looks&& other);
};

struct Touched : Looks {
  // Views to bring up to date.
  TouchedProxyViews proxy_views;
  bool security_groups = false;  // any of them, or who names them
  bool admission = false;        // a proxy that waits for hosts may wait no longer
  std::set<std::string> hosts;
  bool commit = false;  // a commit was applied: newest revisions cover it
  // What watchers see.
  std::set<std::string> instances;   // ids
  bool all_instances = false;        // a group came or went
  std::set<core::TargetId> targets;  // as proxies find them and as their rows are
  bool all_targets = false;
  bool deployments = false;
  bool metrics = false;  // groups have new values

  bool any_targets() const { return all_targets || !targets.empty(); }

  bool reconcile() const { return !Looks::empty(); }
  bool views() const {
    return commit || !hosts.empty() || !proxy_views.empty() || security_groups || admission;
  }
  bool watchers() const {
    return all_instances || !instances.empty() || any_targets() || deployments || metrics;
  }
};

// Adds what `changes` touch as `state` has it. Call it before and after the changes are applied:
// each sees one side of them.
void TouchEdits(const core::State& state, const core::Changes& changes, Touched& touched);

// Adds what hangs on one instance: its group, its group's target groups, its host.
void TouchInstance(const core::State& state, std::string_view instance, Touched& touched);

// Adds what looks at a deployment: that moves it, and that shows it.
void TouchDeployment(const core::State& state, std::string_view deployment, Touched& touched);

// Adds everything that hangs on a host's presence.
void TouchHost(const core::State& state, std::string_view host, Touched& touched);

// Adds all there is: after a start.
void TouchAll(const core::State& state, Touched& touched);

}  // namespace remuda
