#include "controller/sessions/proxy_sessions.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "common/status.h"
#include "controller/core/door/execute.h"
#include "controller/core/model/time.h"
#include "controller/limits.h"
#include "controller/sessions/peer_address.h"
#include "controller/sessions/report_bounds.h"

namespace remuda {
namespace {

bool HasListener(const core::State& state, const proxy::v1::ListenerStatus& told) {
  const auto* row = state.Find<v1::LoadBalancer>(told.load_balancer());
  if (row == nullptr) return false;
  const auto& listeners = (*row)->listeners();
  return std::any_of(listeners.begin(), listeners.end(),
                     [&](const v1::Listener& listener) { return listener.port() == told.port(); });
}

}  // namespace

absl::Status ProxySessions::Handle(Session& session, std::string_view bytes) {
  proxy::v1::ConnectRequest request;
  if (absl::Status status = Read(session, bytes, request); !status.ok()) return status;
  if (absl::Status status = BoundReport(request); !status.ok()) return status;
  if (request.message_case() == proxy::v1::ConnectRequest::kHello)
    return OnHello(session, std::move(*request.mutable_hello()));
  if (session.name.empty()) return InvalidField("hello", "must be the first message");
  Seen(session.name).last_seen = engine_.Now();
  switch (request.message_case()) {
    case proxy::v1::ConnectRequest::kAck:
      OnAckMessage(session, request.ack());
      break;
    case proxy::v1::ConnectRequest::kNack:
      OnNack(session, request.nack().revision(), request.nack().resource(),
             request.nack().reason());
      break;
    case proxy::v1::ConnectRequest::kHealth:
      OnHealth(session.name, request.health());
      break;
    case proxy::v1::ConnectRequest::kDrain:
      SetBusy(session, request.drain().busy());
      break;
    case proxy::v1::ConnectRequest::kListeners:
      SetListeners(session.name, request.listeners().listeners());
      break;
    case proxy::v1::ConnectRequest::kStats:
      OnStats(session, *request.mutable_stats());
      break;
    case proxy::v1::ConnectRequest::kPong:
      if (request.pong().is_leaving() && request.pong().ping_id() == 0) {
        // It answers no Ping: it has drained, and ends its stream now.
        Seen(session.name).has_left = true;
      } else if (request.pong().is_leaving()) {
        GiveNameUp(session, engine_.seen().patience.proxy_lease);
      } else {
        OnPong(session, request.pong().ping_id());
      }
      break;
    case proxy::v1::ConnectRequest::kWake:
      OnWake(request.wake());
      break;
    case proxy::v1::ConnectRequest::kHello:
    case proxy::v1::ConnectRequest::MESSAGE_NOT_SET:
      // A newer proxy's message: ignored, as unknown fields are.
      break;
  }
  return absl::OkStatus();
}

absl::Status ProxySessions::OnHello(Session& session, proxy::v1::Hello hello) {
  const HelloFields fields{.name_field = "proxy",
                           .name = hello.proxy(),
                           .cluster_id = hello.cluster_id(),
                           .address = hello.address(),
                           .zone = hello.zone(),
                           .labels = hello.labels(),
                           .held = hello.has_held() ? &hello.held() : nullptr,
                           .held_digest = hello.held_digest(),
                           .incarnation = hello.incarnation()};
  const absl::StatusOr<Began> began = Begin(session, fields);
  if (!began.ok() || *began == Began::kWaits) return began.status();
  // The revision that it holds may have made targets leave that are still busy there, and the
  // acknowledgement that said so may be lost: its first report of busy targets comes before that
  // revision counts.
  session.may_confirm = false;
  core::ProxyObservation& seen = Seen(session.name);
  seen.connected = true;
  seen.has_left = false;
  seen.reported = false;
  seen.last_seen = engine_.Now();
  seen.confirmed_commit = 0;
  seen.in_flight.clear();  // it tells all of them again
  core::BeginProcess(hello, seen.counted);
  seen.peer_address = PeerAddress(session.stream->peer());
  seen.hello = std::move(hello);
  TouchProxies();
  leaving_.erase(session.name);  // it reports everything anew

  proxy::v1::ConnectResponse response;
  auto& welcome = *response.mutable_welcome();
  welcome.set_epoch(identity_.epoch);
  welcome.set_cluster_id(identity_.cluster_id);
  if (!controllers().addresses().empty()) *welcome.mutable_controllers() = controllers();
  const absl::Duration lease = engine_.seen().patience.proxy_lease;
  *welcome.mutable_lease() = core::ToProto(lease);
  *welcome.mutable_stats_interval() = core::ToProto(StatsInterval());
  Send(session, MakeFrame(response));
  if (ticket_keys_.frame() != nullptr) Send(session, ticket_keys_.frame());
  return absl::OkStatus();
}

// Each report is answered by a renewal of the lease: one or two may be late before it is over.
absl::Duration ProxySessions::StatsInterval() const {
  return std::min(engine_.seen().metrics.period, engine_.seen().patience.proxy_lease / 3);
}

Frame ProxySessions::PingFrame(int64_t ping_id) const {
  proxy::v1::ConnectResponse response;
  response.mutable_ping()->set_ping_id(ping_id);
  return MakeFrame(response);
}

Frame ProxySessions::ControllersFrame() const {
  proxy::v1::ConnectResponse response;
  *response.mutable_controllers() = controllers();
  return MakeFrame(response);
}

absl::Status ProxySessions::RefuseSecond(const Session& second, const Session& first,
                                         const std::string& why) {
  const std::string resource = "proxies/" + first.name;
  NoteRefused(Seen(first.name).refused, resource, "a second proxy", second.stream->peer(),
              absl::StrCat(first.name, " is connected from ", first.stream->peer()));
  return FailedPrecondition(
      "NAME_TAKEN", absl::StrCat(resource, " is connected from ", first.stream->peer(),
                                 ", and this is another proxy: give this one a --name of its own, "
                                 "or end the other one",
                                 why));
}

void ProxySessions::OnAckMessage(Session& session, const proxy::v1::Ack& ack) {
  // Before the acknowledgement counts: the busy targets are those as of this revision.
  SetBusy(session, ack.busy());
  SetListeners(session.name, ack.listeners());
  OnAck(session, ack.revision());
  if (ack.revision().epoch() == identity_.epoch) Prune(session.name, ack.revision().sequence());
}

void ProxySessions::SetListeners(
    const std::string& name,
    const google::protobuf::RepeatedPtrField<proxy::v1::ListenerStatus>& listeners) {
  std::map<core::ListenerId, core::ListenerTrouble> now;
  auto& before = Seen(name).listener_errors;
  for (const proxy::v1::ListenerStatus& listener : listeners) {
    // What is not ours is not kept, whatever a proxy says.
    if (!HasListener(engine_.state(), listener)) continue;
    const core::ListenerId id{listener.load_balancer(), listener.port()};
    const auto known = before.find(id);
    if (!listener.error().empty()) {
      now[id] = {listener.error(), known == before.end() ? engine_.Now() : known->second.since};
      if (known == before.end()) Note({name, id, listener.error()});
    } else if (known != before.end()) {
      Note({name, id, ""});
    }
  }
  before = std::move(now);
}

void ProxySessions::Note(core::NoteListener note) {
  spdlog::warn("proxy {}: listener {}:{}: {}", note.proxy, note.listener.first,
               note.listener.second, note.error.empty() ? "is open again" : note.error);
  // History is not worth keeping commands out.
  if (engine_.queued() >= limits::kMaxQueuedRequests) return;
  engine_.Add({
      .decide = [note = std::move(note)](core::Draft& draft, const core::Context& context)
          -> absl::Status { return core::Execute(draft, note, context).status(); },
      // History alone: what counts is shown with the load balancer, also if this is lost.
      .done = [](const absl::Status&, const core::State&) {},
  });
}

void ProxySessions::Removed(const std::set<core::TargetId>& targets) {
  if (targets.empty()) return;
  for (const auto& [name, proxy] : engine_.seen().proxies) {
    if (!proxy.connected) continue;
    for (const core::TargetId& target : targets) {
      const bool is_told = proxy.health.contains(target) || proxy.in_flight.contains(target);
      if (is_told && !proxy_views_.Knows(name, target)) Leaves(name, target);
    }
  }
}

void ProxySessions::Leaves(const std::string& name, const core::TargetId& target) {
  const ViewLog* view = proxy_views_.ViewOf(name);
  Leaving& leaving = leaving_[name];
  if (!leaving.targets.insert(target).second) return;
  leaving.queue.emplace_back(view == nullptr ? 0 : view->sequence(), target);
}

void ProxySessions::Prune(const std::string& name, int64_t sequence) {
  const auto it = leaving_.find(name);
  if (it == leaving_.end()) return;
  auto& [queue, targets] = it->second;
  core::HealthReports& health = Seen(name).health;
  while (!queue.empty() && queue.front().first <= sequence) {
    const core::TargetId& target = queue.front().second;
    if (!proxy_views_.Knows(name, target)) {
      health.Erase(target);
      Seen(name).in_flight.erase(target);
      engine_.touched().targets.insert(target);
    }
    targets.erase(target);
    queue.pop_front();
  }
  // Others may judge them still.
  CountNew(name);
}

void ProxySessions::CountNew(const std::string& name) {
  std::vector<core::TargetId> turned;
  engine_.seen().votes.CountNew(name, Seen(name).health, &turned);
  for (const core::TargetId& target : turned) TouchTarget(target);
}

void ProxySessions::TouchTarget(const core::TargetId& target) {
  // Targets of instances are named by them; the others wait for nothing but their end.
  const auto* instance = engine_.state().Find<v1::Instance>(target.second);
  if (instance == nullptr) {
    engine_.touched().drained_targets = true;
  } else {
    engine_.touched().groups.insert((*instance)->auto_scaling_group());
  }
}

bool ProxySessions::IsThere(const core::TargetId& target) const {
  const core::State& state = engine_.state();
  return state.Find<v1::TargetGroup>(target.first) != nullptr &&
         (state.Find<v1::Instance>(target.second) != nullptr ||
          state.Find<v1::Target>(core::TargetKey(target.first, target.second)) != nullptr);
}

void ProxySessions::OnHealth(const std::string& name, const proxy::v1::HealthReport& report) {
  core::ProxyObservation& seen = Seen(name);
  Touched& touched = engine_.touched();
  std::set<core::TargetId> told;
  for (const proxy::v1::TargetHealth& health : report.targets()) {
    const core::TargetId target{health.target_group(), health.target()};
    // What is gone, or never was, is not kept: nothing would tell when to drop it.
    if (!IsThere(target)) continue;
    // It may not have heard yet that the target left its view.
    if (!proxy_views_.Knows(name, target)) Leaves(name, target);
    proxy::v1::TargetHealth& kept = seen.health[target];
    kept = health;
    // They are its key.
    kept.clear_target_group();
    kept.clear_target();
    touched.targets.insert(target);
    if (report.full()) told.insert(target);
  }
  if (report.full()) {
    std::vector<core::TargetId> untold;
    seen.health.ForEach([&](const core::TargetId& target, const proxy::v1::TargetHealth&) {
      if (!told.contains(target)) untold.push_back(target);
    });
    for (const core::TargetId& target : untold) seen.health.Erase(target);
    touched.targets.insert(untold.begin(), untold.end());
    // From here on its word counts as what it finds now.
    if (!seen.reported) touched.all_groups = true;
    seen.reported = true;
  }
  CountNew(name);
}

void ProxySessions::SetBusy(Session& session,
                            const google::protobuf::RepeatedPtrField<proxy::v1::BusyTarget>& busy) {
  std::map<core::TargetId, int64_t> now;
  for (const proxy::v1::BusyTarget& target : busy) {
    now[{target.target_group(), target.target()}] = target.requests_in_flight();
  }
  if (!session.may_confirm) FlushLater(session);
  session.may_confirm = true;
  core::ProxyObservation& seen = Seen(session.name);
  if (seen.busy == now) return;
  const std::map<core::TargetId, int64_t> before = std::exchange(seen.busy, std::move(now));
  // What is busy anew, or no more.
  const auto touch = [&](const auto& of, const auto& other) {
    for (const auto& [target, count] : of) {
      const auto it = other.find(target);
      if ((count > 0) != (it != other.end() && it->second > 0)) TouchTarget(target);
    }
  };
  touch(before, seen.busy);
  touch(seen.busy, before);
  for (const auto& [target, count] : before) engine_.touched().targets.insert(target);
  for (const auto& [target, count] : seen.busy) engine_.touched().targets.insert(target);
}

void ProxySessions::OnStats(Session& session, proxy::v1::StatsReport& report) {
  core::ProxyObservation& seen = Seen(session.name);
  seen.active_connections = report.active_connections();
  seen.requests = report.requests();
  core::Observations& all = engine_.observe();
  core::TakeFlows(engine_.state(), report, engine_.Now(), StatsInterval(), seen.counted.flows,
                  all.flows);
  for (const proxy::v1::TargetStats& stats : report.targets()) {
    SetInFlight(session.name, {stats.target_group(), stats.target()}, stats.in_flight());
  }
  if (core::AddReport(engine_.state(), std::move(*report.mutable_subsets()), seen.counted,
                      all.traffic))
    engine_.touched().deployments = true;  // they show what their sides got
  proxy::v1::ConnectResponse response;
  response.mutable_lease()->set_stats_report(++session.reports);
  Send(session, MakeFrame(response));
}

void ProxySessions::SetInFlight(const std::string& name, const core::TargetId& target,
                                int64_t in_flight) {
  auto& kept = Seen(name).in_flight;
  // What is gone, or never was, is not kept: nothing would tell when to drop it.
  if (in_flight > 0 && IsThere(target)) {
    kept[target] = in_flight;
  } else {
    kept.erase(target);
  }
}

void ProxySessions::OnWake(const proxy::v1::Wake& wake) {
  const std::string& id = wake.target_group();
  const core::State& state = engine_.state();
  if (wake.held() <= 0 || state.Find<v1::TargetGroup>(id) == nullptr) return;
  engine_.observe().metrics.wakes[id] = engine_.Now();
  for (const auto& [group, row] : state.All<v1::AutoScalingGroup>()) {
    const auto& ids = row->target_groups();
    if (row->has_from_zero() && std::find(ids.begin(), ids.end(), id) != ids.end()) {
      engine_.touched().groups.insert(group);
    }
  }
}

void ProxySessions::Lost(const std::string& name) {
  core::ProxyObservation& seen = Seen(name);
  seen.connected = false;
  seen.last_seen = engine_.Now();
  leaving_.erase(name);
  TouchProxies();
}

void ProxySessions::TouchProxies() {
  Touched& touched = engine_.touched();
  touched.all_groups = touched.proxies = touched.drained_targets = touched.all_targets = true;
}

void ProxySessions::Confirm(const std::string& name, int64_t, int64_t commit) {
  Seen(name).confirmed_commit = commit;
  engine_.touched().confirmed = true;
  engine_.touched().deployments = true;  // they say whose confirmation they wait for
}

absl::Time ProxySessions::RenewTicketKeys() {
  if (ticket_keys_.Renew(engine_.Now())) SendToAll(ticket_keys_.frame());
  return ticket_keys_.due();
}

void ProxySessions::RestartReplaced() {
  for (const std::string& name : proxy_views_.TakeReplaced()) {
    Session* session = Find(name);
    if (session == nullptr) continue;
    session->follower.Restart();
    FlushLater(*session);
  }
}

}  // namespace remuda
