#include "controller/api/controller.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "common/status.h"
#include "controller/identity/roles.h"

namespace remuda {

namespace {

// Where there are no identities.
const Callers& LocalCallers() {
  static const Callers callers(false);
  return callers;
}

// The engine, with the period that all that measure have.
Engine& MeasuringEach(Engine& engine, absl::Duration period) {
  engine.observe().metrics.period = period;
  return engine;
}

}  // namespace

Controller::Controller(Options options, const Clock& clock, Committer& committer, Loop& owner,
                       Metrics& counts)
    : identity(std::move(options.identity)),
      version(std::move(options.version)),
      name(std::move(options.name)),
      callers(options.callers == nullptr ? LocalCallers() : *options.callers),
      audit(options.audit),
      loop(owner),
      metrics(counts),
      engine(std::move(options.engine), clock, committer, counts),
      deny_list(engine.state()),
      proxy_views(identity.epoch, identity.secret, [this] { return ++sequence_; }),
      agent_views(identity.epoch, [this] { return ++sequence_; }),
      agents(identity, engine, agent_views, owner, counts),
      proxies(identity, engine, proxy_views, owner, counts),
      watchers(engine, owner, counts),
      prober(engine, options.asker),
      target_sources(engine, options.endpoints),
      meter(MeasuringEach(engine, options.metric_period), options.asker, group_page),
      leads_(std::move(options.leads)) {
  metrics.epoch = identity.epoch;
  engine.set_on_commit([this](const core::Changes& changes) {
    if (deny_list.OnCommit(engine.state(), changes) && on_shut_out_) on_shut_out_();
    watchers.OnCommit(changes);
    prober.OnCommit(changes);
    target_sources.OnCommit(changes);
    if (on_commit_) on_commit_(changes);
  });
  agents.set_on_confirmed([this] {
    if (!admission.empty()) engine.touched().admission = true;
  });
  // The views of what was loaded belong to the start: no turn is as long.
  Publish();
}

absl::Status Controller::MayCall(const core::Draft& draft, const Caller* caller,
                                 std::string_view method,
                                 const google::protobuf::Message& request) const {
  if (caller == nullptr)
    return absl::UnauthenticatedError("nobody is known behind this connection");
  if (caller->is_local()) return absl::OkStatus();
  if (absl::Status status = deny_list.Check(caller->peer); !status.ok()) return status;
  return Authorize(draft, *caller, method, request);
}

absl::Status Controller::MayCall(const Caller* caller, std::string_view method,
                                 const google::protobuf::Message& request) const {
  return MayCall(core::Draft(engine.state()), caller, method, request);
}

absl::Status Controller::CheckLeads() const {
  if (leads_ == nullptr || leads_()) return absl::OkStatus();
  return Unavailable(
      "NO_LEADER",
      "the store has not answered for so long that another controller may lead: ask again");
}

void Controller::Publish() {
  Touched touched = engine.TakeTouched();
  touched.admission = touched.admission || admission.due() <= engine.Now();
  Failpoints* const failpoints = touched.commit ? failpoints_ : nullptr;
  if (failpoints != nullptr) failpoints->BeforePublish();
  if (touched.views()) {
    RefreshIngress(touched);
    proxy_views.Refresh(engine.state(), engine.seen(), ingress, admission, touched.proxy_views);
    // Before agents' views raise it.
    proxies.Removed(proxy_views.TakeRemoved());
    // A target's weight hangs on the others of its group, its zone on the host.
    touched.targets.merge(proxy_views.TakeChanged());
    agent_views.Refresh(engine.state(), engine.seen(), ingress, touched.hosts);
    metrics.revision = sequence_;
  }
  proxies.RestartReplaced();
  // A commit is confirmed by all whose views it leaves as they are.
  static const std::set<std::string> kNobody;
  proxies.Flush(touched.commit || !touched.proxy_views.empty() ? nullptr : &kNobody);
  agents.Flush(&touched.hosts);
  watchers.Look(touched);
  if (failpoints != nullptr) failpoints->AfterPublish();
}

void Controller::RefreshIngress(Touched& touched) {
  const core::State& state = engine.state();
  core::Ingress::Told told = ingress.Refresh(
      state, {.groups = touched.security_groups || touched.proxy_views.load_balancers,
              .proxies = !touched.proxy_views.proxies.empty(),
              .instances = &touched.instances,
              .hosts = &touched.hosts});
  touched.proxy_views.security_groups.merge(told.security_groups);
  admission.Look(state, ingress, touched.proxy_views.proxies, engine.Now());
  touched.proxy_views.proxies.merge(admission.Admit(engine.seen(), engine.Now()));
  for (const std::string& group : told.auto_scaling_groups) {
    if (const size_t left_out = ingress.LeftOutOf(group); left_out > 0) {
      spdlog::warn(
          "autoScalingGroups/{}: {} blocks of addresses found no place in the filter of its "
          "instances, which has at most {} (kIngressBlocks): they are not let in",
          group, left_out, core::kIngressBlocks);
    }
    for (const std::string& id : state.InstancesOfGroup(group)) {
      touched.hosts.insert((*state.Find<v1::Instance>(id))->host());
    }
  }
}

absl::Time Controller::Turn() {
  // What a deposed leader sees and decides is nobody's business any more. Who waits for it is told:
  // the end of the program waits for their calls.
  if (const absl::Status leads = CheckLeads(); !leads.ok()) {
    engine.Refuse(leads);
    return engine.Now() + kLeadershipPause;
  }
  const absl::Time keys_due = proxies.RenewTicketKeys();
  const absl::Time begun = engine.Now();
  Publish();
  const absl::Time meter_due = meter.Turn();
  const absl::Time sources_due = target_sources.Turn();
  engine.Turn();
  const absl::Time probes_due = prober.Turn();
  engine.NoteTurn(engine.Now() - begun);
  // What has been confirmed or come due since is published by the next turn.
  if (engine.touched().views() || engine.touched().watchers() || target_sources.has_room())
    return absl::InfinitePast();
  return std::min({engine.due(), keys_due, probes_due, meter_due, sources_due, admission.due()});
}

void Controller::SetControllers(const std::vector<std::string>& addresses) {
  agents.SetControllers(addresses);
  proxies.SetControllers(addresses);
}

void Controller::CloseStreams() {
  agents.CloseAll();
  proxies.CloseAll();
  watchers.CloseAll();
}

}  // namespace remuda
