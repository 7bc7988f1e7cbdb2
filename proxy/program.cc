#include "proxy/program.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <memory>
#include <sstream>
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
#include "proxy/telemetry/access_log.h"

namespace remuda::proxy {
namespace {

// SIGTERM, SIGINT, SIGHUP and SIGUSR1 as events of the loop. Made before any thread, so that all
// inherit the mask.
class Signals final : public IoHandler {
 public:
  struct Events {
    std::function<void()> on_stop;
    std::function<void()> on_reload;  // SIGHUP
    std::function<void()> on_rotate;  // SIGUSR1
  };
  explicit Signals(Events events) : events_(std::move(events)) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    fd_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  }
  ~Signals() { close(fd_); }
  int fd() const { return fd_; }
  void OnIo(uint32_t /*events*/) override {
    signalfd_siginfo info;
    while (read(fd_, &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGHUP) {
        events_.on_reload();
      } else if (info.ssi_signo == SIGUSR1) {
        events_.on_rotate();
      } else {
        events_.on_stop();
      }
    }
  }

 private:
  const Events events_;
  int fd_ = -1;
};

// Takes all descriptors that the system allows and bounds the connections by them: two for each
// client, and a reserve that keeps admin pages, checks and the controller's stream working when
// clients have used up the rest. Pipes take what clients leave, and at most half of the reserve.
void BoundByDescriptors(Settings& settings, size_t workers) {
  constexpr size_t kReserve = 256;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
  }
  const size_t total = static_cast<size_t>(limit.rlim_cur);
  const size_t reserve = std::min(total, std::min(kReserve, total / 2));
  const size_t usable = total - reserve;
  const size_t bound = std::max<size_t>(usable / 2 / workers, 1);
  if (bound < settings.max_connections) {
    spdlog::info("{} descriptors: at most {} client connections a worker", total, bound);
    settings.max_connections = bound;
  }
  const size_t left = usable - std::min(usable, 2 * workers * settings.max_connections);
  settings.max_pipes = std::min(settings.max_pipes, (left + reserve / 2) / 2 / workers);
  const size_t share = usable / workers;
  settings.max_descriptors = share - std::min(share / 2, 2 * settings.max_pipes);
}

class Program {
 public:
  explicit Program(const ProgramOptions& options)
      : options_(options),
        signals_({.on_stop = [this] { OnStopSignal(); },
                  .on_reload = [this] { OnReloadSignal(); },
                  .on_rotate =
                      [this] {
                        if (log_ != nullptr) log_->Reopen();
                      }}),
        drain_delay_timer_([this] { Drain(); }),
        drain_timer_([this] {
          spdlog::warn("drain timeout: {} connections are closed", ActiveConnections());
          loop_.Stop();
        }),
        crowd_timer_([this] { LookAtCrowd(); }),
        alive_timer_([this] { SayAlive(); }) {
    Coordinator::Options coordinator_options;
    coordinator_options.workers =
        options.workers != 0 ? options.workers : std::max(1U, std::thread::hardware_concurrency());
    coordinator_options.workers = std::min(coordinator_options.workers, kMaxWorkers);
    pulse_ = std::make_unique<Pulse>(coordinator_options.workers);
    coordinator_options.settings = options.settings;
    coordinator_options.settings.own_secret = RandomBytes(32);
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
    events.on_busy = [this](const std::vector<Busy>& busy) {
      if (client_ != nullptr) client_->OnBusy(busy);
    };
    events.on_first_held = [this](const std::string& group) {
      if (client_ != nullptr) client_->OnFirstHeld(group);
    };
    events.on_listeners = [this](const std::vector<ListenerReport>& listeners) {
      if (client_ != nullptr) return client_->OnListenersChanged(listeners);
      OnListeners(listeners);
    };
    events.on_stopped = [this] { OnDrained(); };
    coordinator_ = std::make_unique<Coordinator>(loop_, coordinator_options, std::move(events));
    admin_ =
        std::make_unique<AdminHttp>(AdminHttp::Options{options.admin_address, options.admin_port});
    AddAdminPages(*admin_,
                  {coordinator_.get(), log_.get(), &control_, options.is_ready_without_lease});
  }

  int Run() {
    loop_.Add(signals_.fd(), &signals_);
    LookAtCrowd();
    if (manager_.alive_interval().count() > 0) SayAlive();
    if (const absl::Status status = admin_->Start(); !status.ok()) {
      spdlog::error("{}", std::string(status.message()));
      return 1;
    }
    spdlog::info("admin pages on http://{}", admin_->listen_address());
    if (options_.config.empty()) {
      StartClient();
    } else if (!LoadFirstFile()) {
      return 1;
    }
    loop_.Run();
    if (client_ != nullptr) client_->Stop();
    admin_->Stop();
    spdlog::info("stopped");
    return exit_code_;
  }

 private:
  void StartClient() {
    ConfigClient::Options client;
    client.controller = options_.controller;
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
    // Without a config of before there is nothing to serve until the controller has said what.
    if (!client_->Start()) SayReady("waiting for the first config from the controller");
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

  // In one step, so that whoever waits for the file never reads half of it; and only when it says
  // something new: a busy disk holds the control loop up for seconds, and with it the next ACK.
  void WriteReadyFile(const std::vector<ListenerReport>& listeners) {
    if (options_.ready_file.empty()) return;
    std::ostringstream text;
    text << "{\"http\":\"" << admin_->listen_address() << "\",\"listeners\":[";
    bool is_first = true;
    for (const ListenerReport& report : listeners) {
      text << (is_first ? "" : ",") << "{\"load_balancer\":\"" << report.load_balancer
           << "\",\"port\":" << report.port << ",\"actual_port\":" << report.actual_port << "}";
      is_first = false;
    }
    text << "]}\n";
    if (text.str() == ready_text_) return;
    ready_text_ = text.str();
    const std::string temporary = options_.ready_file + ".new";
    std::ofstream out(temporary, std::ios::trunc);
    out << ready_text_;
    out.close();
    if (!out || std::rename(temporary.c_str(), options_.ready_file.c_str()) != 0) {
      spdlog::error("{}: cannot be written", options_.ready_file);
      ready_text_.clear();
    }
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
    if (is_draining_) {
      spdlog::warn("second signal: exits at once");
      spdlog::default_logger()->flush();
      std::_Exit(1);
    }
    is_draining_ = true;
    manager_.Stopping("draining");
    coordinator_->AnnounceDrain();
    if (options_.drain_delay.count() == 0) return Drain();
    spdlog::info("not ready any more; draining begins in {} ms", options_.drain_delay.count());
    drain_delay_timer_.Arm(loop_, std::chrono::steady_clock::now() + options_.drain_delay);
  }

  void Drain() {
    spdlog::info("draining: {} connections", ActiveConnections());
    drain_timer_.Arm(loop_, std::chrono::steady_clock::now() + options_.drain_timeout);
    coordinator_->Drain(options_.drain_timeout);
    if (client_ != nullptr) client_->Leave();
  }

  void OnDrained() {
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
  Timer drain_delay_timer_;
  Timer drain_timer_;
  CrowdWatch crowd_;
  Timer crowd_timer_;
  Timer alive_timer_;
  std::string ready_text_;  // what the ready file says
  bool is_ready_ = false;   // as the service manager was told
  bool is_draining_ = false;
  int exit_code_ = 0;
};

}  // namespace

int RunProgram(const ProgramOptions& options) {
  return options.check ? CheckConfigFile(options.config) : Program(options).Run();
}

}  // namespace remuda::proxy
