// Controller: what lives on the loop thread, wired together: engine, views, sessions, watchers, and
// the order of a turn.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/api/watchers.h"
#include "controller/engine/engine.h"
#include "controller/engine/failpoints.h"
#include "controller/engine/loop.h"
#include "controller/identity/audit_log.h"
#include "controller/identity/callers.h"
#include "controller/identity/deny_list.h"
#include "controller/kubernetes/target_sources.h"
#include "controller/metering/group_page.h"
#include "controller/metering/meter.h"
#include "controller/probes/prober.h"
#include "controller/sessions/agent_sessions.h"
#include "controller/sessions/proxy_sessions.h"
#include "controller/views/agent_views.h"
#include "controller/views/proxy_views.h"

namespace remuda {

class Controller {
 public:
  // Turns are put off so long each time that another controller may lead.
  static constexpr absl::Duration kLeadershipPause = absl::Milliseconds(50);

  struct Options {
    Identity identity;
    Engine::Options engine;
    std::string version;
    std::string name = "controller";       // by which it is known among controllers
    Asker* asker = nullptr;                // null: what is to be asked outside is not
    EndpointWatcher* endpoints = nullptr;  // null: target groups follow nothing
    absl::Duration metric_period = absl::Seconds(5);
    const Callers* callers = nullptr;  // null: all callers are local ones
    AuditLog* audit = nullptr;         // null: nothing is recorded
    // Whether nobody else can lead just now, as far as the store has said; null: nobody ever. Asked
    // on the loop thread.
    std::function<bool()> leads = nullptr;
  };
  // The others outlive it; so do options.callers and options.audit.
  Controller(Options options, const Clock& clock, Committer& committer, Loop& loop,
             Metrics& metrics);
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  // The loop's turn: what reports changed is published at once, then decided, and what is decided
  // goes to the store. Answers when it must be called again.
  absl::Time Turn();

  // Whether the caller (null: nobody that is known) may call the method with the request, as the
  // draft has it: UNAUTHENTICATED or PERMISSION_DENIED. Every method of the API asks this, on the
  // loop thread.
  absl::Status MayCall(const core::Draft& draft, const Caller* caller, std::string_view method,
                       const google::protobuf::Message& request) const;
  // The same, of what is committed.
  absl::Status MayCall(const Caller* caller, std::string_view method,
                       const google::protobuf::Message& request) const;

  // UNAVAILABLE: another controller may lead, so that what is known here may be old. Asked before
  // anything is read or published.
  absl::Status CheckLeads() const;
  // Where the cluster's controllers are: `HOST:PORT`, the leader's (this one's) first, at most 64.
  // All agents and proxies are told. Empty: nothing is said. On the loop thread.
  void SetControllers(const std::vector<std::string>& addresses);

  // Ends all sessions and watches.
  void CloseStreams();

  // For tests: what is met at publications. Outlives it.
  void set_failpoints(Failpoints* failpoints) { failpoints_ = failpoints; }

  // Called after each commit that was applied.
  void set_on_commit(std::function<void(const core::Changes&)> fn) { on_commit_ = std::move(fn); }

  // Called when somebody may be shut out who was not before, after deny_list says so. To be set on
  // the loop thread.
  void set_on_shut_out(std::function<void()> fn) { on_shut_out_ = std::move(fn); }

  const Identity identity;
  const std::string version;
  const std::string name;
  const Callers& callers;  // any thread
  AuditLog* const audit;   // any thread; may be null
  Loop& loop;
  Metrics& metrics;
  // Thread: the loop thread.
  Engine engine;
  core::Ingress ingress;
  ProxyAdmission admission;
  DenyList deny_list;  // but for Check and RoleOf: any thread
  ProxyViews proxy_views;
  AgentViews agent_views;
  AgentSessions agents;
  ProxySessions proxies;
  Watchers watchers;
  Prober prober;
  TargetSources target_sources;
  GroupPage group_page;  // printed by any thread
  Meter meter;
  // What ClusterService.ListControllers answers. To be set before the loop starts; null: this one
  // alone.
  std::function<v1::ListControllersResponse()> list_controllers;

 private:
  void Publish();
  // Brings up to date what security groups come down to, and notes whose views that changes.
  void RefreshIngress(Touched& touched);

  const std::function<bool()> leads_;
  std::function<void(const core::Changes&)> on_commit_;
  std::function<void()> on_shut_out_;
  Failpoints* failpoints_ = nullptr;
  int64_t sequence_ = 0;
};

}  // namespace remuda
