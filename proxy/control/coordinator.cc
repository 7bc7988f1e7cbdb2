#include "proxy/control/coordinator.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>
#include <tuple>
#include <utility>

#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda::proxy {
namespace {

constexpr std::chrono::milliseconds kTick{100};
constexpr std::chrono::seconds kBusyReportInterval{1};
// The connections of a process that ends are closed by its host. Should that not come, what it has
// not begun to answer is given up then; an answer may have been on its way.
constexpr std::chrono::seconds kGoneGrace{2};

}  // namespace

Coordinator::Coordinator(EventLoop& loop, Options options, Events events, Inheritance inheritance)
    : loop_(loop),
      options_(std::move(options)),
      events_(std::move(events)),
      seed_((static_cast<uint64_t>(std::random_device()()) << 32) | std::random_device()()),
      tls_compiler_(std::thread::hardware_concurrency(), ticket_keys_),
      prober_(
          [this](const HealthChange& change) { loop_.Post([this, change] { OnProbed(change); }); }),
      outliers_(loop_,
                [this](const std::shared_ptr<TargetState>& target) {
                  if (target->is_ejected()) ejections_.fetch_add(1, std::memory_order_relaxed);
                  const auto it = probed_.find(target.get());
                  if (it != probed_.end()) OnHealth(Judge(it->second));
                }),
      newest_(std::make_shared<const RoutingTable>()),
      adopted_(newest_),
      known_(std::move(inheritance.targets)),
      listening_(loop_,
                 {.workers = options_.workers,
                  .default_listen_address = options_.default_listen_address,
                  .inherited = std::move(inheritance.sockets)},
                 [this](Listening::Opened opened) { ListenOn(std::move(opened)); }),
      tick_([this] { OnTick(); }),
      idle_end_([this] { ToWorkers([](Worker& worker) { worker.LetIdleGo(); }); }) {
  for (size_t i = 0; i < options_.workers; ++i) {
    Worker::Events worker_events;
    worker_events.on_drained_target = [this] { loop_.Post([this] { CheckBusy(); }); };
    worker_events.on_passively_out = [this](TargetState* target) { prober_.CheckSoon(target); };
    worker_events.on_failing = [this](TargetState* target) {
      loop_.Post([this, target] {
        const auto it = probed_.find(target);
        if (it != probed_.end()) outliers_.OnFailing(it->second.target);
      });
    };
    worker_events.on_place_free = [this](size_t other) {
      Worker* const worker = workers_[other].get();
      worker->loop().Post([worker] { worker->place_queues().Serve(); });
    };
    worker_events.on_first_held = [this](const GroupState& group) {
      loop_.Post([this, id = group.id()] {
        if (events_.on_first_held) events_.on_first_held(id);
      });
    };
    worker_events.on_stopped = [this] {
      loop_.Post([this] {
        if (++stopped_workers_ == workers_.size() && events_.on_stopped) events_.on_stopped();
      });
    };
    workers_.push_back(
        std::make_unique<Worker>(i, options_.settings, options_.log, std::move(worker_events)));
  }
  view_.table = newest_;
  prober_.Start();
  for (auto& worker : workers_) worker->Start();
}

Coordinator::~Coordinator() {
  prober_.Stop();
  for (auto& worker : workers_) worker->Join();
}

std::optional<ConfigError> Coordinator::Apply(const v1::ConfigUpdate& update, bool allow_port_zero,
                                              std::function<void(Adopted)> done) {
  const auto previous = newest_;
  CompileResult result = CompileUpdate(*previous, update,
                                       {.workers = options_.workers,
                                        .zone = options_.zone,
                                        .allow_port_zero = allow_port_zero,
                                        .tls = &tls_compiler_,
                                        .seed = seed_});
  if (auto* error = std::get_if<ConfigError>(&result)) return std::move(*error);
  const auto table = std::get<std::shared_ptr<const RoutingTable>>(std::move(result));
  newest_ = table;
  ++adoptions_under_way_;
  // From here on a target that leaves is known to leave: a worker that ends the last request to it
  // says so.
  FollowLeaving(*previous, *table);
  Publish(*table);
  Listening::Opened opened(workers_.size());
  std::vector<std::string> closed;
  listening_.Take(table, opened, closed);
  std::vector<HealthChange> recalled = Recall(*table);
  prober_.Update(table, std::move(recalled));
  outliers_.Take(table);

  auto left = std::make_shared<size_t>(workers_.size());
  for (size_t i = 0; i < workers_.size(); ++i) {
    Worker* worker = workers_[i].get();
    worker->loop().Post([this, worker, table, changes = std::move(opened[i]), closed, left, done] {
      worker->Adopt(table, changes, closed);
      loop_.Post([this, table, left, done] {
        if (--*left == 0) WhenAdopted(table, done);
      });
    });
  }
  return std::nullopt;
}

void Coordinator::ListenOn(Listening::Opened opened) {
  // The task comes behind those of all tables so far: the newest is adopted by then.
  auto left = std::make_shared<size_t>(workers_.size());
  for (size_t i = 0; i < workers_.size(); ++i) {
    Worker* worker = workers_[i].get();
    worker->loop().Post([this, worker, changes = std::move(opened[i]), left] {
      worker->Listen(changes);
      loop_.Post([this, left] {
        if (--*left > 0) return;
        {
          std::lock_guard lock(view_mutex_);
          view_.listeners = Listeners();
        }
        if (events_.on_listeners) events_.on_listeners(Listeners());
      });
    });
  }
}

std::vector<KnownTarget> Coordinator::KnownTargets() const {
  std::vector<KnownTarget> all;
  for (const auto& [key, change] : probed_) {
    const TargetState& target = *change.target;
    KnownTarget known{target.group().id(), target.id(),        target.endpoint(), target.health(),
                      change.reason,       change.description, change.since};
    known.is_passively_out = target.is_passively_out();
    known.warm_begin = target.warm_begin();
    if (const auto out = outliers_.OutUntil(target))
      std::tie(known.ejected_until, known.ejected_for) = *out;
    all.push_back(std::move(known));
  }
  return all;
}

// Before any worker picks: the first request is to find its targets as the process before knew
// them. What the prober is to begin with.
std::vector<HealthChange> Coordinator::Recall(const RoutingTable& table) {
  std::vector<HealthChange> recalled;
  for (const KnownTarget& known : std::exchange(known_, {})) {
    const auto group = table.groups.find(known.group);
    const Member* member =
        group == table.groups.end() ? nullptr : group->second->Find(known.target);
    if (member == nullptr || member->target->endpoint() != known.endpoint) continue;
    TargetState& target = *member->target;
    target.SetWarmBegin(known.warm_begin);
    target.SetPassivelyOut(known.is_passively_out);
    target.SetHealth(known.health);
    if (known.ejected_until != SteadyTime())
      outliers_.Recall(member->target, known.ejected_until, known.ejected_for);
    target.group().Changed();
    if (known.health == Health::kInitial) continue;
    recalled.push_back(
        {member->target, known.health, known.reason, known.description, known.since});
  }
  return recalled;
}

void Coordinator::FollowLeaving(const RoutingTable& previous, const RoutingTable& table) {
  for (const auto& [target, admin] : table.admin_changes) {
    if (admin == AdminState::kActive) {
      leaving_.erase(target.get());
      continue;
    }
    Leaving& leaving = leaving_[target.get()];
    leaving.target = target;
    leaving.is_settled = false;
    // One that is removed is as gone as it was.
    if (admin == AdminState::kDraining) {
      leaving.gone_at = SteadyTime();
    } else if (admin == AdminState::kGone && leaving.gone_at == SteadyTime()) {
      leaving.gone_at = std::chrono::steady_clock::now();
      leaving.is_given_up = false;
    }
    // The delay runs from when it first was told to drain, or was removed without that; a dead
    // process' requests fail by themselves.
    if (leaving.has_deadline || admin == AdminState::kGone) continue;
    std::chrono::milliseconds delay{300000};
    for (const RoutingTable* source : {&previous, &table}) {
      const auto it = source->groups.find(target->group().id());
      if (it != source->groups.end()) delay = it->second->deregistration_delay;
    }
    leaving.has_deadline = true;
    leaving.deadline = std::chrono::steady_clock::now() + delay;
  }
  if (!leaving_.empty() && !tick_.is_armed())
    tick_.Arm(loop_, std::chrono::steady_clock::now() + kTick);
}

void Coordinator::WhenAdopted(const std::shared_ptr<const RoutingTable>& table,
                              const std::function<void(Adopted)>& done) {
  adopted_ = table;
  --adoptions_under_way_;
  // Every worker has adopted this table, and with it all before it: what was leaving then gets no
  // new request now.
  for (const auto& [target, admin] : table->admin_changes) {
    // Not by a table that a newer one has overruled already.
    if (const auto it = leaving_.find(target.get());
        it != leaving_.end() && target->admin() == admin) {
      it->second.is_settled = true;
    }
    if (admin == AdminState::kGone || admin == AdminState::kDraining) {
      spdlog::info("targetGroups/{}/targets/{}: out of rotation, {}", target->group().id(),
                   target->id(), admin == AdminState::kGone ? "its process is gone" : "draining");
    }
  }
  Adopted adopted{table, CountBusy(), {}};
  // What this answer says is what the controller knows from now on: a change against it must be
  // told.
  reported_busy_.clear();
  for (const Busy& entry : adopted.busy) reported_busy_.emplace(entry.group, entry.target);
  adopted.listeners = Listeners();
  {
    std::lock_guard lock(view_mutex_);
    view_.table = table;
    view_.listeners = adopted.listeners;
    view_.adopted_at = std::chrono::steady_clock::now();
  }
  for (const auto& [target, admin] : table->admin_changes) {
    if (admin != AdminState::kRemoved) continue;
    probed_.erase(target.get());
    outliers_.Forget(target.get());
    health_.erase(target.get());
    std::lock_guard lock(view_mutex_);
    view_health_.erase(target.get());
  }
  if (done) done(std::move(adopted));
}

std::vector<Busy> Coordinator::CountBusy() const {
  std::vector<Busy> busy;
  for (const auto& [target, leaving] : leaving_) {
    const uint64_t in_flight = target->InFlight();
    if (in_flight > 0) busy.push_back({target->group().id(), target->id(), in_flight});
  }
  return busy;
}

void Coordinator::CheckBusy() {
  const std::vector<Busy> busy = CountBusy();
  std::set<std::pair<std::string, std::string>> names;
  for (const Busy& entry : busy) names.emplace(entry.group, entry.target);
  const bool is_changed = names != reported_busy_;
  const SteadyTime now = std::chrono::steady_clock::now();
  const bool is_due = !busy.empty() && now - last_busy_report_ >= kBusyReportInterval;
  if (is_changed || is_due) {
    reported_busy_ = std::move(names);
    last_busy_report_ = now;
    if (events_.on_busy) events_.on_busy(busy);
  }
}

void Coordinator::ToEachWorker(Targets targets, void (ClientWorker::*call)(const Targets&)) {
  if (targets.empty()) return;
  const auto shared = std::make_shared<const Targets>(std::move(targets));
  for (auto& worker : workers_) {
    ClientWorker* const w = worker.get();
    w->loop().Post([w, shared, call] { (w->*call)(*shared); });
  }
}

void Coordinator::OnTick() {
  const SteadyTime now = std::chrono::steady_clock::now();
  Targets over, given_up;
  for (auto it = leaving_.begin(); it != leaving_.end();) {
    Leaving& leaving = it->second;
    const bool is_idle = leaving.target->InFlight() == 0;
    if (leaving.is_settled && is_idle && leaving.target->admin() == AdminState::kRemoved) {
      it = leaving_.erase(it);
      continue;
    }
    if (leaving.is_settled && !is_idle && leaving.has_deadline && !leaving.is_closed &&
        now >= leaving.deadline) {
      leaving.is_closed = true;
      spdlog::warn(
          "targetGroups/{}/targets/{}: deregistration delay is over, {} requests are ended",
          leaving.target->group().id(), leaving.target->id(), leaving.target->InFlight());
      over.push_back(leaving.target);
    }
    if (leaving.is_settled && !is_idle && leaving.gone_at != SteadyTime() && !leaving.is_given_up &&
        now >= leaving.gone_at + kGoneGrace) {
      leaving.is_given_up = true;
      given_up.push_back(leaving.target);
    }
    ++it;
  }
  ToEachWorker(std::move(over), &ClientWorker::CloseExchangesWith);
  ToEachWorker(std::move(given_up), &ClientWorker::EndUnanswered);
  CheckBusy();
  if (!leaving_.empty()) tick_.Arm(loop_, now + kTick);
}

void Coordinator::OnProbed(const HealthChange& change) {
  if (change.target->admin() == AdminState::kRemoved) return;
  HealthChange& before = probed_[change.target.get()];
  const bool has_fallen =
      change.health == Health::kUnhealthy && before.health != Health::kUnhealthy;
  before = change;
  if (change.health == Health::kHealthy) ServeHeld(change.target);
  if (has_fallen) {
    // Many fall together when a host does: one look at the connections for all.
    if (fallen_.empty()) {
      loop_.Post([this] { ToEachWorker(std::exchange(fallen_, {}), &ClientWorker::TargetsFell); });
    }
    fallen_.push_back(change.target);
  }
  OnHealth(Judge(change));
}

// A first target of its group, maybe: those that wait for one are let go. None waits, as a rule;
// one that is about to has seen the change itself (HeldRequests::Push).
void Coordinator::ServeHeld(const std::shared_ptr<TargetState>& target) {
  if (target->group().CountHeld() == 0) return;
  for (auto& worker : workers_) {
    Worker* const w = worker.get();
    w->loop().Post([w, target] { w->held_requests().ServeGroup(target->group()); });
  }
}

// What the prober says, unless the target's own requests say otherwise.
HealthChange Coordinator::Judge(HealthChange change) {
  if (change.health != Health::kHealthy || !change.target->is_ejected()) return change;
  change.health = Health::kUnhealthy;
  change.reason = kEjectedReason;
  change.description = "requests to it failed one after the other; it is out for a while";
  change.since = std::chrono::system_clock::now();
  return change;
}

void Coordinator::OnHealth(const HealthChange& change) {
  if (change.target->admin() == AdminState::kRemoved) return;
  HealthChange& before = health_[change.target.get()];
  // Not each detail of a target that goes on failing, or of a shortage of ours.
  const bool is_news = before.health != change.health || before.reason != change.reason;
  before = change;
  {
    std::lock_guard lock(view_mutex_);
    view_health_[change.target.get()] = change;
  }
  if (change.health != Health::kInitial && is_news) {
    spdlog::info("targetGroups/{}/targets/{}: {} {} {}", change.target->group().id(),
                 change.target->id(), change.health == Health::kHealthy ? "healthy" : "unhealthy",
                 change.reason, change.description);
  }
  if (events_.on_health) events_.on_health(change);
}

void Coordinator::AnnounceDrain() {
  std::lock_guard lock(view_mutex_);
  view_.is_draining = true;
}

void Coordinator::Drain(std::chrono::milliseconds timeout) {
  AnnounceDrain();
  listening_.Stop();
  idle_end_.Cancel();
  ToWorkers([timeout](Worker& worker) { worker.Drain(timeout); });
}

void Coordinator::HandOver(std::chrono::milliseconds timeout, const std::set<std::string>& kept) {
  AnnounceDrain();
  listening_.Stop();
  idle_end_.Arm(loop_, std::chrono::steady_clock::now() + timeout * 9 / 10);
  ToWorkers([timeout, kept](Worker& worker) { worker.HandOver(timeout, kept); });
}

void Coordinator::ToWorkers(const std::function<void(Worker&)>& call) {
  for (auto& worker : workers_) {
    Worker* const w = worker.get();
    w->loop().Post([w, call] { call(*w); });
  }
}

Coordinator::View Coordinator::Snapshot() const {
  std::lock_guard lock(view_mutex_);
  return view_;
}

Coordinator::View Coordinator::SnapshotWithHealth() const {
  std::lock_guard lock(view_mutex_);
  View view = view_;
  view.health.reserve(view_health_.size());
  for (const auto& [target, change] : view_health_) view.health.push_back(change);
  return view;
}

}  // namespace remuda::proxy
