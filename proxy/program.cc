#include "proxy/program.h"

#include <spdlog/spdlog.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

#include "common/memory.h"
#include "common/pulse.h"
#include "common/random_bytes.h"
#include "common/service_manager.h"
#include "proxy/admin/admin.h"
#include "proxy/client/crowd_watch.h"
#include "proxy/control/config_client.h"
#include "proxy/control/config_file.h"
#include "proxy/control/config_place.h"
#include "proxy/control/coordinator.h"
#include "proxy/control/data_lock.h"
#include "proxy/control/handover.h"
#include "proxy/control/predecessor.h"
#include "proxy/control/takeover.h"
#include "proxy/descriptor_bound.h"
#include "proxy/ready_file.h"
#include "proxy/signals.h"
#include "proxy/successor.h"
#include "proxy/telemetry/access_log.h"

namespace remuda::proxy {
namespace {

constexpr size_t kOwnSecretBytes = 32;
constexpr std::chrono::milliseconds kLockPause{20};

class Program {
 public:
  explicit Program(const ProgramOptions& options)
      : options_(options),
        signals_({.on_stop = [this] { OnStopSignal(); },
                  .on_reload = [this] { OnReloadSignal(); },
                  .on_rotate = [this] { OnRotateSignal(); },
                  .on_renew = [this] { OnRenewSignal(); },
                  .on_child = [this] { OnChildSignal(); }}),
        successor_(options.arguments),
        ready_file_(options.ready_file),
        drain_delay_timer_([this] { Drain(); }),
        drain_timer_([this] {
          spdlog::warn("drain timeout: {} connections are closed", ActiveConnections());
          loop_.Stop();
        }),
        lock_timer_([this] { ClaimLock(); }),
        crowd_timer_([this] { LookAtCrowd(); }),
        alive_timer_([this] { SayAlive(); }) {
    ClaimDirectory();
    Coordinator::Options coordinator_options;
    coordinator_options.workers =
        options.workers != 0 ? options.workers : std::max(1U, std::thread::hardware_concurrency());
    coordinator_options.workers = std::min(coordinator_options.workers, kMaxWorkers);
    pulse_ = std::make_unique<Pulse>(coordinator_options.workers);
    coordinator_options.settings = options.settings;
    coordinator_options.settings.own_secret =
        taken_ ? taken_->offer.own_secret() : RandomBytes(kOwnSecretBytes);
    own_secret_ = coordinator_options.settings.own_secret;
    BoundByDescriptors(coordinator_options.settings, coordinator_options.workers);
    if (!options.access_log.empty()) {
      log_ = std::make_unique<AccessLog>(options.access_log, options.access_log_format,
                                         coordinator_options.workers);
    }
    coordinator_options.zone = options.zone;
    coordinator_options.default_listen_address = options.default_listen_address;
    coordinator_options.log = log_.get();
    Coordinator::Events events;
    events.on_health = [this](const HealthChange& change) {
      if (client_ != nullptr) client_->OnHealth(change);
    };
    events.on_busy = [this](const std::vector<Busy>&) {
      if (handover_ != nullptr) handover_->OnBusy();
      if (client_ != nullptr) client_->OnBusy();
    };
    events.on_first_held = [this](const std::string& group) {
      if (handover_ != nullptr) handover_->OnBusy();
      if (client_ != nullptr) client_->OnFirstHeld(group);
    };
    events.on_listeners = [this](const std::vector<ListenerReport>& listeners) {
      if (client_ != nullptr) return client_->OnListenersChanged(listeners);
      OnListeners(listeners);
    };
    events.on_stopped = [this] { OnDrained(); };
    coordinator_ = std::make_unique<Coordinator>(
        loop_, coordinator_options, std::move(events),
        taken_ ? TakeInheritance(*taken_) : Coordinator::Inheritance());
    AdminHttp::Options admin{options.admin_address, options.admin_port};
    if (taken_) admin.socket = TakeAdminSocket(*taken_, admin.address, admin.port);
    admin_ = std::make_unique<AdminHttp>(admin);
    AddAdminPages(*admin_,
                  {coordinator_.get(), log_.get(), &control_, options.is_ready_without_lease});
  }

  int Run() {
    loop_.Add(signals_.fd(), &signals_);
    LookAtCrowd();
    if (manager_.alive_interval().count() > 0) SayAlive();
    if (options_.config.empty()) MakeClient();
    if (!(taken_ ? BeginTakeover() : Begin())) return 1;
    loop_.Run();
    if (handover_ != nullptr) handover_->Stop();
    if (client_ != nullptr) client_->Stop();
    admin_->Stop();
    spdlog::info("stopped");
    return exit_code_;
  }

 private:
  // The data directory is this process' own from now on, or what the one that serves from it offers
  // is here.
  void ClaimDirectory() {
    if (options_.data_dir.empty()) return;
    RaiseDescriptorLimit();
    auto claimed = Claim({options_.data_dir, options_.name, REMUDA_VERSION}, options_.takes_over);
    if (!claimed.ok()) throw std::runtime_error(std::string(claimed.status().message()));
    taken_ = std::move(claimed->taken);
    lock_ = std::move(claimed->lock);
  }

  bool StartAdmin() {
    if (const absl::Status status = admin_->Start(); !status.ok()) {
      spdlog::error("{}", std::string(status.message()));
      return false;
    }
    spdlog::info("admin pages on http://{}", admin_->listen_address());
    return true;
  }

  bool Begin() {
    if (!StartAdmin()) return false;
    OpenHandover();
    if (client_ == nullptr) return LoadFirstFile();
    // Without a config of before there is nothing to serve until the controller has said what.
    if (!client_->Start()) SayReady("waiting for the first config from the controller");
    return true;
  }

  // Serves beside the process before, and tells it when that is so.
  bool BeginTakeover() {
    const v1::TakeoverOffer& offer = taken_->offer;
    const std::string error = coordinator_->ticket_keys().Inherit(
        {offer.ticket_keys().begin(), offer.ticket_keys().end()}, offer.are_ticket_keys_own(),
        std::chrono::system_clock::now());
    if (!error.empty()) spdlog::error("ticket keys of the process before: {}", error);
    control_.takeovers = static_cast<uint64_t>(offer.takeovers());
    control_.failed_takeovers = static_cast<uint64_t>(offer.failed_takeovers());
    const auto& revision = offer.config().revision();
    Predecessor::Events events;
    events.on_yours = [this](Descriptor lock) {
      lock_.emplace(std::move(lock));
      lock_->Note();
      TakePlace();
    };
    events.on_lost = [this](const std::string& why) { OnPredecessorLost(why); };
    events.on_busy = [this] {
      if (handover_ != nullptr) handover_->OnBusy();
      if (client_ != nullptr) client_->OnBusy();
    };
    events.on_held = [this](const std::string& group) {
      if (client_ != nullptr) client_->OnFirstHeld(group);
    };
    events.on_ended = [this] {
      spdlog::info("the process before has drained");
      if (has_drained_) OnDrained();
    };
    predecessor_ = std::make_unique<Predecessor>(loop_, taken_->channel,
                                                 Revision{revision.epoch(), revision.sequence()},
                                                 offer.draining(), std::move(events));
    if (client_ != nullptr) return client_->StartFrom(offer, [this] { SayServing(); });
    return LoadFile([this](const Coordinator::Adopted& adopted) {
      for (const ListenerReport& report : adopted.listeners) {
        if (!report.error.empty()) return GiveTakeoverUp();
      }
      SayServing();
    });
  }

  void SayServing() { predecessor_->SayServing(coordinator_->listening().Inherited()); }

  // What it has accepted is served; the process before serves on.
  void GiveTakeoverUp() {
    exit_code_ = 1;
    is_draining_ = true;
    predecessor_->Leave();
    if (has_drained_) return OnDrained();
    Drain();
  }

  void OnPredecessorLost(const std::string& why) {
    spdlog::warn("the process before has not handed over: {}; whether it has ended, its lock tells",
                 why);
    lock_deadline_ = std::chrono::steady_clock::now() + kClaimPatience;
    ClaimLock();
  }

  // A process that is ended loses its descriptors one after the other: the lock maybe last.
  void ClaimLock() {
    auto lock = DataLock::Take(options_.data_dir);
    if (lock.ok()) {
      spdlog::warn("the process before has ended");
      lock_.emplace(*std::move(lock));
      return TakePlace();
    }
    const auto now = std::chrono::steady_clock::now();
    if (now < lock_deadline_) return lock_timer_.Arm(loop_, now + kLockPause);
    spdlog::error("no takeover: {}", std::string(lock.status().message()));
    GiveTakeoverUp();
  }

  // From now on this process is the proxy; if it drains already, for as long as both do.
  void TakePlace() {
    control_.takeovers.fetch_add(1);
    if (has_drain_begun_) {
      lock_.reset();
    } else {
      coordinator_->listening().Complete();
      StartAdmin();
      OpenHandover();
      OnListeners(coordinator_->Listeners());
    }
    if (client_ != nullptr) client_->Begin(predecessor_.get());
    spdlog::info("took over from the process before: remuda-proxy {}", taken_->offer.program());
  }

  // Where another process may take over from this one.
  void OpenHandover() {
    if (!lock_ || is_draining_) return;
    Handover::Events events;
    events.on_freeze = [this](bool is_frozen) { Freeze(is_frozen); };
    events.is_settled = [this] {
      return client_ == nullptr ? coordinator_->is_settled() : client_->is_settled();
    };
    events.describe = [this](v1::TakeoverOffer& offer) { Describe(offer); };
    events.admin = [this] { return std::pair(admin_->socket(), admin_->port()); };
    events.on_handed_over = [this] { OnHandedOver(); };
    events.on_failed = [this](const std::string&) { control_.failed_takeovers.fetch_add(1); };
    events.on_reopen = [this] {
      if (log_ != nullptr) log_->Reopen();
    };
    handover_ = std::make_unique<Handover>(
        loop_, *coordinator_, *lock_, predecessor_.get(),
        Handover::Options{options_.data_dir, options_.name, REMUDA_VERSION, options_.drain_timeout},
        std::move(events));
    if (const std::string error = handover_->Start(); !error.empty())
      spdlog::error("{}: no process can take over: {}", options_.data_dir, error);
  }

  void Freeze(bool is_frozen) {
    is_frozen_ = is_frozen;
    coordinator_->listening().Pause(is_frozen);
    if (client_ != nullptr) client_->Freeze(is_frozen);
    if (!is_frozen && std::exchange(is_reload_due_, false)) OnReloadSignal();
  }

  void Describe(v1::TakeoverOffer& offer) {
    if (client_ != nullptr) client_->Describe(offer);
    bool are_own = false;
    for (const std::string& key :
         coordinator_->ticket_keys().Export(std::chrono::system_clock::now(), are_own)) {
      offer.add_ticket_keys(key);
    }
    offer.set_are_ticket_keys_own(are_own);
    offer.set_own_secret(own_secret_);
    offer.set_takeovers(static_cast<int64_t>(control_.takeovers.load()));
    offer.set_failed_takeovers(static_cast<int64_t>(control_.failed_takeovers.load()));
  }

  void OnHandedOver() {
    is_draining_ = is_handed_over_ = true;
    drain_timer_.Arm(loop_, std::chrono::steady_clock::now() + options_.drain_timeout);
    manager_.MainPid(handover_->peer());
    admin_->StopListening();
    if (client_ != nullptr) client_->GiveUp();
  }

  void OnRotateSignal() {
    if (log_ != nullptr) log_->Reopen();
    if (predecessor_ != nullptr) predecessor_->Reopen();
  }

  void OnRenewSignal() {
    if (!lock_ || is_draining_ || successor_.is_running()) {
      spdlog::error("SIGUSR2: no new process is started: {}", is_draining_ ? "this one drains"
                                                              : successor_.is_running()
                                                                  ? "one is on its way"
                                                                  : "a takeover needs --data-dir");
      return;
    }
    const std::string error = successor_.Start(manager_.Environment());
    if (error.empty()) {
      spdlog::info("SIGUSR2: process {} is started to take over", successor_.pid());
    } else {
      spdlog::error("SIGUSR2: no new process is started: {}", error);
    }
  }

  void OnChildSignal() {
    const std::string how = successor_.Reap();
    if (!how.empty() && !is_handed_over_)
      spdlog::error("the process that was to take over has ended with {}; this one serves on", how);
  }

  void MakeClient() {
    ConfigClient::Options client;
    client.controllers = options_.controllers;
    client.dial = options_.dial;
    client.data_dir = options_.data_dir;
    client.identity.set_proxy(options_.name);
    client.identity.set_zone(options_.zone);
    client.identity.set_address(options_.address);
    client.identity.set_version(REMUDA_VERSION);
    for (const auto& [key, value] : options_.labels)
      (*client.identity.mutable_labels())[key] = value;
    client_ = std::make_unique<ConfigClient>(
        loop_, *coordinator_, control_, std::move(client),
        [this](const std::vector<ListenerReport>& listeners) { OnListeners(listeners); });
  }

  // Puts the file in force. False, with the reason in the log, if it is refused: then what was in
  // force still is. `on_adopted` is called when every worker has it.
  bool LoadFile(std::function<void(const Coordinator::Adopted&)> on_adopted) {
    v1::ConfigUpdate update;
    SourceMap places;
    const absl::Status status = ReadConfigFile(options_.config, update.mutable_upserts(), &places);
    if (!status.ok()) {
      spdlog::error("{}", std::string(status.message()));
      return false;
    }
    const auto error = coordinator_->Apply(update, true, std::move(on_adopted));
    if (error) spdlog::error("{}", Explain(options_.config, update.upserts(), places, *error));
    return !error;
  }

  bool LoadFirstFile() {
    return LoadFile([this](const Coordinator::Adopted& adopted) {
      for (const ListenerReport& report : adopted.listeners) {
        if (report.error.empty()) continue;
        exit_code_ = 1;
        loop_.Stop();
        return;
      }
      OnListeners(adopted.listeners);
    });
  }

  // A listener that cannot be opened is reported by the coordinator and on /readyz; the others
  // serve.
  void OnReloadSignal() {
    if (is_draining_) return;
    if (is_frozen_) {
      is_reload_due_ = true;
      return;
    }
    if (options_.config.empty()) {
      spdlog::info("SIGHUP: the config comes from the controller, there is no file to read again");
      return;
    }
    spdlog::info("SIGHUP: reading {} again", options_.config);
    manager_.Reloading();
    const bool ok = LoadFile([this](const Coordinator::Adopted& adopted) {
      spdlog::info("{}: in force", options_.config);
      manager_.Ready(options_.config + ": in force");
      WriteReadyFile(adopted.listeners);
    });
    if (!ok) {
      spdlog::error("{}: refused, what was in force stays", options_.config);
      manager_.Ready(options_.config + ": refused, what was in force stays");
    }
    (ok ? control_.reloads : control_.failed_reloads).fetch_add(1);
  }

  void OnListeners(const std::vector<ListenerReport>& listeners) {
    WriteReadyFile(listeners);
    SayReady("serving " + std::to_string(listeners.size()) + " listeners");
  }

  void WriteReadyFile(const std::vector<ListenerReport>& listeners) {
    if (!is_handed_over_) ready_file_.Write(admin_->listen_address(), listeners);
  }

  // Also where one listener could not be opened: the others serve, and it is tried again.
  void SayReady(const std::string& status) {
    if (is_draining_) return;
    if (std::exchange(is_ready_, true)) return manager_.Status(status);
    manager_.Ready(status);
  }

  // Only if every worker has answered since the last time: one that hangs is a program that hangs.
  void SayAlive() {
    if (pulse_->Beat()) {
      manager_.Alive();
      for (const auto& worker : coordinator_->workers())
        worker->loop().Post([this] { pulse_->Answer(); });
    }
    alive_timer_.Arm(loop_, std::chrono::steady_clock::now() + manager_.alive_interval());
  }

  int64_t ActiveConnections() const {
    int64_t sum = 0;
    for (const auto& worker : coordinator_->workers())
      sum += worker->metrics().active_connections.Get();
    return sum;
  }

  void LookAtCrowd() {
    if (crowd_.Look(ActiveConnections())) TrimMemory(CrowdWatch::kKeptBytes);
    crowd_timer_.Arm(loop_, std::chrono::steady_clock::now() + CrowdWatch::kLookInterval);
  }

  void OnStopSignal() {
    if (is_handed_over_ && !std::exchange(is_stop_seen_, true)) {
      spdlog::info("clients that wait are let go of; what is under way is finished");
      return coordinator_->Drain(options_.drain_timeout);
    }
    if (is_draining_) {
      spdlog::warn("second signal: exits at once");
      spdlog::default_logger()->flush();
      std::_Exit(1);
    }
    is_draining_ = true;
    // Before this one has said that it serves, the process before serves on, as if it had not been.
    if (predecessor_ != nullptr && !predecessor_->knows_we_serve()) predecessor_->Leave();
    manager_.Stopping("draining");
    coordinator_->AnnounceDrain();
    if (options_.drain_delay.count() == 0) return Drain();
    spdlog::info("not ready any more; draining begins in {} ms", options_.drain_delay.count());
    drain_delay_timer_.Arm(loop_, std::chrono::steady_clock::now() + options_.drain_delay);
  }

  void Drain() {
    has_drain_begun_ = true;
    spdlog::info("draining: {} connections", ActiveConnections());
    drain_timer_.Arm(loop_, std::chrono::steady_clock::now() + options_.drain_timeout);
    if (handover_ != nullptr) handover_->Stop();
    coordinator_->Drain(options_.drain_timeout);
    if (client_ != nullptr) client_->Leave();
    // The next process may serve from the directory.
    lock_.reset();
  }

  void OnDrained() {
    has_drained_ = true;
    // What goes on in this one's place hears of that one by this one.
    if (predecessor_ != nullptr && predecessor_->is_there()) return;
    drain_timer_.Cancel();
    if (client_ == nullptr) return loop_.Stop();
    client_->SayFarewell([this] { loop_.Stop(); });
  }

  const ProgramOptions& options_;
  const ServiceManager manager_ = ServiceManager::FromEnvironment();
  std::unique_ptr<Pulse> pulse_;  // of the workers
  EventLoop loop_;
  Signals signals_;
  std::unique_ptr<AccessLog> log_;
  ControlCounters control_;
  std::unique_ptr<Coordinator> coordinator_;
  std::unique_ptr<AdminHttp> admin_;
  std::unique_ptr<ConfigClient> client_;
  std::optional<TakenOver> taken_;  // of a process that was there before
  std::optional<DataLock> lock_;    // none: no data directory, or it is another process' now
  std::unique_ptr<Predecessor> predecessor_;
  std::unique_ptr<Handover> handover_;
  Successor successor_;
  ReadyFile ready_file_;
  std::string own_secret_;
  Timer drain_delay_timer_;
  Timer drain_timer_;
  Timer lock_timer_;  // of ClaimLock
  SteadyTime lock_deadline_{};
  CrowdWatch crowd_;
  Timer crowd_timer_;
  Timer alive_timer_;
  bool is_ready_ = false;  // as the service manager was told
  bool is_draining_ = false;
  bool has_drain_begun_ = false;
  bool has_drained_ = false;     // no connection is left
  bool is_handed_over_ = false;  // another process goes on
  bool is_stop_seen_ = false;    // and a signal has come since
  bool is_frozen_ = false;       // what is in force stays so
  bool is_reload_due_ = false;   // when that is over
  int exit_code_ = 0;
};

}  // namespace

int RunProgram(const ProgramOptions& options) {
  return options.check ? CheckConfigFile(options.config) : Program(options).Run();
}

}  // namespace remuda::proxy
