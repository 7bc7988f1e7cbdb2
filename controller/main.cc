// remuda-controller: the one place that wires the store, the loop, the services and the admin
// pages.
#include <fcntl.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <optional>
#include <thread>

#include "common/admin_http.h"
#include "common/grpc_log.h"
#include "common/identity/channel_credentials.h"
#include "common/logging.h"
#include "common/memory.h"
#include "common/service_manager.h"
#include "controller/admin_token_command.h"
#include "controller/api/acceptor.h"
#include "controller/api/admin_token.h"
#include "controller/api/controller.h"
#include "controller/api/image_upkeep.h"
#include "controller/api/joining.h"
#include "controller/api/self_call.h"
#include "controller/api/server.h"
#include "controller/backup/restore.h"
#include "controller/backup/state_file.h"
#include "controller/certificate_reader.h"
#include "controller/data_directory.h"
#include "controller/ending.h"
#include "controller/engine/commit_thread.h"
#include "controller/engine/failpoints.h"
#include "controller/engine/readiness.h"
#include "controller/identity/audit_log.h"
#include "controller/identity/callers.h"
#include "controller/identity/cluster_identity.h"
#include "controller/images/shared_directory.h"
#include "controller/kubernetes/kubernetes_thread.h"
#include "controller/limits.h"
#include "controller/migrate_command.h"
#include "controller/options.h"
#include "controller/probes/probe_thread.h"
#include "controller/ready_file.h"
#include "controller/restore_command.h"
#include "controller/standby/leader_watch.h"
#include "controller/standby/standby.h"
#include "controller/store/sqlite_store.h"
#include "controller/zone_reader.h"

namespace remuda {
namespace {

// Calls under way have so long to end after SIGTERM; sessions and watches are ended at once.
constexpr absl::Duration kDrainTime = absl::Seconds(5);

// The first SIGTERM or SIGINT drains, the second ends at once. The signals are blocked in every
// thread; this one takes them.
void WatchSignals(const sigset_t& signals, Ending& ending) {
  std::thread([signals, &ending] {
    int signal = 0;
    sigwait(&signals, &signal);
    spdlog::info("{}: stopping", strsignal(signal));
    ending.Begin(0);
    sigwait(&signals, &signal);
    spdlog::warn("{} again: ended at once", strsignal(signal));
    _exit(128 + signal);
  }).detach();
}

// The store of one controller, which leads at once.
absl::StatusOr<Won> OpenOwnStore(const Options& options, Failpoints* failpoints, Ending& ending) {
  auto opened = SqliteStore::Open(
      {.path = options.store.sqlite_path, .sealing_key_file = options.sealing_key_file});
  if (!opened.ok()) return opened.status();
  Won won;
  won.store = *std::move(opened);
  if (failpoints != nullptr)
    won.store = std::make_unique<FailpointStore>(std::move(won.store), *failpoints);
  ending.SetCampaign(won.store.get());
  auto leadership = won.store->Campaign();
  ending.SetCampaign(nullptr);
  if (!leadership.ok()) return leadership.status();
  auto state = LoadState(*won.store, *leadership);
  if (!state.ok()) return state.status();
  won.leadership = *std::move(leadership);
  won.state = *std::move(state);
  return won;
}

// Null: none is set.
std::unique_ptr<Failpoints> MakeFailpoints(const Options& options) {
  if (options.failpoints.empty()) return nullptr;
  for (const std::string& text : options.failpoints) spdlog::warn("failpoint {} is set", text);
  // Valid: ParseOptions has looked.
  return *Failpoints::Parse(options.failpoints, Failpoints::RealEffects());
}

AdminHttp::Options AdminOptions(const Endpoint& endpoint) {
  return {.address = endpoint.address, .port = endpoint.port};
}

void HandlePages(AdminHttp& admin, Metrics& metrics, const GroupPage& groups,
                 const Readiness& readiness, const AuditCounts& audit) {
  admin.Handle("/healthz", [](const AdminRequest&) { return AdminResponse{.body = "ok\n"}; });
  admin.Handle("/readyz", [&readiness](const AdminRequest&) {
    std::string why = readiness.WhyNot();
    return why.empty() ? AdminResponse{.body = "ok\n"}
                       : AdminResponse{.status = 503, .body = std::move(why)};
  });
  admin.Handle("/metrics", [&metrics, &groups, &audit](const AdminRequest&) {
    metrics.descriptors = static_cast<int64_t>(CountDescriptors());
    return AdminResponse{.content_type = "text/plain; version=0.0.4; charset=utf-8",
                         .body = metrics.Print() + groups.Print() + Print(audit)};
  });
}

// Of backups; null: the state is a file of SQLite already.
std::function<absl::StatusOr<StateFiles>(const std::string&)> StateWriter(const Options& options) {
  if (options.store.kind == StoreOptions::Kind::kSqlite) return nullptr;
  return [place = EtcdPlace{options.store.etcd, options.sealing_key_file}](const std::string& to) {
    return WriteStateFile(place, to);
  };
}

Blobs::Options OwnBlobs(const Options& options) {
  return {.directory = options.data_dir + "/images", .max_blob_bytes = options.image_limit_bytes};
}

absl::StatusOr<std::unique_ptr<Blobs>> OpenSharedBlobs(const Options& options, const Won& won,
                                                       Metrics& metrics) {
  const bool has_images = !won.state.All<v1::Image>().empty();
  absl::Status status = ClaimSharedDirectory(options.blobs, won.leadership.cluster_id, has_images);
  if (!status.ok()) return status;
  return Blobs::Open({.directory = options.blobs,
                      .max_blob_bytes = options.image_limit_bytes,
                      .shared_as = options.controller_name},
                     metrics.image_bytes);
}

// Null where there are no identities.
absl::StatusOr<std::unique_ptr<ClusterIdentity>> OpenIdentity(const Options& options,
                                                              const Leadership& leadership) {
  if (options.insecure) {
    spdlog::warn("--insecure: every program of this machine controls this cluster");
    return nullptr;
  }
  return ClusterIdentity::Open({.directory = options.data_dir + "/identity",
                                .cluster = leadership.cluster_id,
                                .name = options.controller_name,
                                .hosts = HostsOf(options),
                                .given = options.identity},
                               absl::Now());
}

// Has the blob thread give free memory back now and then. Thread: the loop thread.
void TrimNowAndThen(Controller& controller, TaskThread& thread) {
  controller.loop.At(controller.engine.Now() + limits::kTrimInterval, [&controller, &thread] {
    thread.Post([] { TrimMemory(limits::kFreeMemoryKeptBytes); });
    TrimNowAndThen(controller, thread);
  });
}

// Says that the program is alive, as long as the loop turns. Thread: the loop thread.
void SayAlive(Controller& controller, const ServiceManager& manager) {
  manager.Alive();
  const absl::Duration interval = absl::FromChrono(manager.alive_interval());
  controller.loop.At(controller.engine.Now() + interval,
                     [&controller, &manager] { SayAlive(controller, manager); });
}

// Where hosts, proxies and people join, and how the first one does.
absl::Status BeginJoining(const Options& options, const std::string& api, Controller& controller,
                          ClusterIdentity& identity, AdminToken& admin_token, Joining& joining) {
  Endpoint endpoint;
  ParseEndpoint(options.identity.join_listen, endpoint);
  if (absl::Status status = joining.Start(endpoint, api); !status.ok()) return status;
  spdlog::info("joining on {}", joining.address());
  const absl::Status offered =
      admin_token.Offer(controller, identity, options.identity.new_admin_token);
  // A store that fails just now keeps nobody else out.
  if (!offered.ok()) spdlog::error("no token for an admin: {}", std::string(offered.message()));
  return absl::OkStatus();
}

// Who the controllers are, as they say themselves. On the loop thread.
v1::ListControllersResponse ListControllers(const Roster::View& view, const Controller& leader) {
  v1::ListControllersResponse answer;
  const int64_t commit = leader.engine.state().commit();
  for (const store::v1::EtcdController& one : view.controllers) {
    v1::Controller& said = *answer.add_controllers();
    said.set_name("controllers/" + one.name());
    said.set_address(one.address());
    said.set_join_address(one.join_address());
    said.set_version(one.version());
    *said.mutable_start_time() = one.start_time();
    const bool leads = view.leader.has_value() && view.leader->name() == one.name();
    said.set_state(leads ? v1::CONTROLLER_STATE_LEADER : v1::CONTROLLER_STATE_STANDBY);
    said.set_commit(leads ? commit : one.commit());
    if (leads) {
      *said.mutable_lead_time() = view.leader->lead_time();
      said.set_epoch(leader.identity.epoch);
    } else {
      said.set_lag_commits(std::max<int64_t>(0, commit - one.commit()));
      said.set_error(one.error());
    }
  }
  return answer;
}

// Of a shared store: tells hosts, proxies and who asks of the controllers that there are. Where
// somebody has taken leadership away in etcd, `lose` is told: the lease alone does not show it.
void FollowRoster(const Won& won, Controller& controller, std::function<void()> lose) {
  if (won.feed == nullptr) return;
  won.feed->SetListener(
      [&controller, lose = std::move(lose),
       watch = LeaderWatch(won.leadership.epoch)](const Roster::ViewPtr& view) mutable {
        if (!watch.Leads(*view)) return lose();
        controller.loop.Post([&controller, addresses = AddressesOf(*view)]() mutable {
          controller.SetControllers(std::move(addresses));
        });
      });
}

absl::Status Serve(Options& options, const ServiceManager& manager, Ending& ending,
                   int& exit_code) {
  const size_t max_descriptors = TakeDescriptors();
  if (absl::Status status = MakeDataDirectory(options.data_dir); !status.ok()) return status;
  const auto lock = LockDataDirectory(options.data_dir, options.store.kind);
  if (!lock.ok()) return lock.status();
  if (absl::Status status = CheckNotHalfRestored(options.data_dir); !status.ok()) return status;
  const auto failpoints = MakeFailpoints(options);
  auto audit = AuditLog::Open({.directory = options.data_dir + "/audit"});
  if (!audit.ok()) return audit.status();
  MonotonicClock clock;
  Metrics metrics;
  Readiness readiness;
  absl::StatusOr<std::unique_ptr<Blobs>> blobs = nullptr;
  if (options.blobs.empty()) blobs = Blobs::Open(OwnBlobs(options), metrics.image_bytes);
  if (!blobs.ok()) return blobs.status();
  std::optional<Replicas> replicas;  // once this controller leads; the blob thread's
  TaskThread blob_thread;
  const bool is_shared = options.store.kind == StoreOptions::Kind::kEtcd;
  absl::StatusOr<Won> opened = is_shared ? Standby(options, {.manager = manager,
                                                             .ending = ending,
                                                             .metrics = metrics,
                                                             .readiness = readiness,
                                                             .audit = **audit,
                                                             .failpoints = failpoints.get(),
                                                             .max_descriptors = max_descriptors,
                                                             .blobs = blobs->get(),
                                                             .blob_thread = &blob_thread})
                                               .Run()
                                         : OpenOwnStore(options, failpoints.get(), ending);
  if (!opened.ok() && is_shared && absl::IsUnavailable(opened.status())) {
    spdlog::error("{}", std::string(opened.status().message()));
    ending.Begin(kBeginAnew);
  }
  if (!opened.ok() && ending.begun()) {
    exit_code = ending.Await();
    return absl::OkStatus();
  }
  if (!opened.ok()) return opened.status();
  const Leadership& leadership = opened->leadership;
  spdlog::info("cluster {}, epoch {}, commit {}", leadership.cluster_id, leadership.epoch,
               leadership.commit);

  auto cluster_identity = OpenIdentity(options, leadership);
  if (!cluster_identity.ok()) return cluster_identity.status();
  ClusterIdentity* const cluster = cluster_identity->get();
  Callers callers(cluster != nullptr);

  if (*blobs == nullptr) blobs = OpenSharedBlobs(options, *opened, metrics);
  if (!blobs.ok()) return blobs.status();
  replicas.emplace(
      Replicas::Options{
          .self = options.controller_name,
          .copies = options.image_copies,
          .is_alone = options.store.kind == StoreOptions::Kind::kSqlite || !options.blobs.empty()},
      **blobs);
  ImageKeys image_keys;
  if (!options.image_keys.empty()) {
    auto loaded = ImageKeys::Load(options.image_keys);
    if (!loaded.ok()) return loaded.status();
    image_keys = *std::move(loaded);
  }
  TaskThread checker_thread;
  const BlobWorker blob_worker{**blobs, blob_thread, checker_thread, image_keys, &*replicas};
  Backups backups({.data_directory = options.data_dir,
                   .state_file = options.store.sqlite_path,
                   .write_state = StateWriter(options),
                   .sealing_key_file = options.sealing_key_file,
                   // Without its authority nobody would know the cluster that was restored.
                   .sealed_files = {"identity/ca.pem", "identity/ca.key"}},
                  **blobs, blob_thread);
  TaskThread backup_thread;

  std::atomic<bool> is_replaced = false;  // another controller may lead, though the lease lives
  Loop loop(clock, metrics);
  CommitThread committer(*opened->store, leadership.epoch, loop);
  ProbeThread probes(loop, options.analysis_commands);
  KubernetesThread kubernetes(loop, options.kubernetes);
  Controller controller(
      {.identity = {leadership.cluster_id, leadership.epoch, leadership.secret},
       .engine = {
           .state = std::move(opened->state),
           .patience = options.patience,
           .read_certificate = &ReadCertificate,
           .check_authorities = &FaultOfAuthorities,
           .analysis_commands = options.analysis_commands,
           .on_leadership_lost =
               [&ending, is_shared](const absl::Status&) {
                 ending.Begin(is_shared ? kBeginAnew : 1);
               },
           .on_store = [&readiness](const std::string& why) { readiness.SetStoreError(why); }},
       .version = REMUDA_VERSION,
       .name = options.controller_name,
       .asker = &probes,
       .endpoints = &kubernetes,
       .metric_period = options.metric_period,
       .callers = &callers,
       .audit = audit->get(),
       .leads =
           [&store = *opened->store, &is_replaced] {
             if (is_replaced) return false;
             const auto deadline = store.lease_deadline();
             return !deadline.has_value() || std::chrono::steady_clock::now() < *deadline;
           }},
      clock, committer, loop, metrics);
  controller.engine.observe().find_zone = &ReadZone;
  controller.set_failpoints(failpoints.get());
  if (opened->roster != nullptr) {
    controller.list_controllers = [&controller, &roster = *opened->roster] {
      return ListControllers(*roster.current(), controller);
    };
  }
  // Blobs that no image names: pushed, but never registered before a crash.
  CollectBlobs(controller, blob_worker);
  KeepBlobs(controller, blob_worker);

  Endpoint listen, http;
  ParseEndpoint(options.listen, listen);
  ParseEndpoint(options.http, http);
  AdminHttp admin(AdminOptions(http));
  HandlePages(admin, metrics, controller.group_page, readiness, (*audit)->counts());
  if (absl::Status status = admin.Start(); !status.ok()) return status;

  loop.Start([&controller] { return controller.Turn(); });
  loop.Post([&controller, &blob_thread] { TrimNowAndThen(controller, blob_thread); });
  if (manager.alive_interval().count() > 0)
    loop.Post([&controller, &manager] { SayAlive(controller, manager); });
  AdminToken admin_token(options.data_dir, is_shared);
  std::unique_ptr<Joining> joining;
  if (cluster != nullptr) joining = std::make_unique<Joining>(controller, *cluster, admin_token);
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(
      listen, max_descriptors, controller, blob_worker, {backups, backup_thread},
      {.cluster = cluster,
       .callers = &callers,
       .admit =
           [&controller](const Caller& caller) { return controller.deny_list.Check(caller.peer); },
       .on_refused = [log = audit->get()](
                         const std::string& address,
                         const std::string& why) { log->WriteRefused("handshake", address, why); },
       .on_join = [&joining](int fd, const std::string& address) { joining->Take(fd, address); }});
  absl::Status outcome = server.status();
  std::unique_ptr<SelfCall> self_call;
  if (outcome.ok()) {
    spdlog::info("serving gRPC on {}, HTTP on {}", (*server)->address(), admin.listen_address());
    self_call = std::make_unique<SelfCall>(
        (*server)->address(),
        cluster == nullptr ? grpc::InsecureChannelCredentials()
                           : identity::ChannelCredentials(cluster->files(), cluster->cluster()),
        readiness);
    readiness.SetServing(true);
  }
  if (outcome.ok() && joining != nullptr) {
    outcome =
        BeginJoining(options, (*server)->address(), controller, *cluster, admin_token, *joining);
  }
  if (outcome.ok()) {
    outcome = WriteReadyFile(options.ready_file, (*server)->address(), admin.listen_address(),
                             joining == nullptr ? "" : joining->address());
  }
  if (outcome.ok()) {
    FollowRoster(*opened, controller, [&is_replaced, &ending] {
      if (is_replaced.exchange(true)) return;
      spdlog::error("leadership is lost: it was taken away in etcd");
      ending.Begin(kBeginAnew);
    });
  }
  if (outcome.ok()) manager.Ready("serving gRPC on " + (*server)->address());
  // With the halves of images that it was at.
  opened->images = nullptr;
  if (outcome.ok()) exit_code = ending.Await();

  const bool is_deposed = outcome.ok() && exit_code == kBeginAnew;
  is_deposed ? manager.Status("leads no more") : manager.Stopping("ending calls under way");
  // The other way round: calls first, then the loop that answers them, then what it used.
  readiness.SetServing(false);
  if (opened->feed != nullptr) opened->feed->SetListener(nullptr);
  self_call = nullptr;
  if (joining != nullptr) joining->Stop();
  loop.Post([&controller] { controller.CloseStreams(); });
  if (server.ok()) (*server)->Stop(is_deposed ? absl::ZeroDuration() : kDrainTime);
  backup_thread.Stop();
  probes.Stop();
  kubernetes.Stop();
  committer.Stop();
  loop.Stop();
  // After the loop: the last commit's answers still go there, and hold what the server owns.
  checker_thread.Stop();
  blob_thread.Stop();
  admin.Stop();
  return outcome;
}

// The program from its beginning, in this process and on the same ports: whoever leads no more
// keeps nothing of what it knew. Comes back only if that fails.
void BeginAnew(int argc, char** argv, const Options& options, const ServiceManager& manager) {
  std::vector<std::string> words = WordsToBeginAnew({argv, argv + argc}, options);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::vector<std::string> variables = manager.Environment();
  for (std::string& variable : variables) putenv(variable.data());
  // Whatever a library has opened without a thought of this.
  close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  spdlog::shutdown();
  execv("/proc/self/exe", arguments.data());
  std::cerr << "remuda-controller: cannot begin anew: " << strerror(errno) << "\n";
}

int Main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "admin-token")
    return RunAdminToken(argc - 1, argv + 1);
  TakeLogOfGrpc();
  if (argc > 1 && std::string_view(argv[1]) == "restore") return RunRestore(argc - 1, argv + 1);
  if (argc > 1 && std::string_view(argv[1]) == "migrate") return RunMigrate(argc - 1, argv + 1);
  Options options;
  if (const int code = ParseOptions(argc, argv, options); code >= 0) return code;
  if (const std::string error = InitLogging("remuda-controller", options.log_level);
      !error.empty()) {
    std::cerr << "remuda-controller: --log-level: " << error << "\n";
    return 2;
  }
  TakeLogOfGrpc();
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  // A limit on file sizes is an error of a write, as a full disk is, not the end of the program.
  signal(SIGXFSZ, SIG_IGN);
  // By which ps and top know it also after execv.
  prctl(PR_SET_NAME, "remuda-controll");
  const ServiceManager manager = ServiceManager::FromEnvironment();
  // Never freed: the signal thread lives until the process ends.
  auto* ending = new Ending();
  WatchSignals(signals, *ending);
  int exit_code = 0;
  const absl::Status status = Serve(options, manager, *ending, exit_code);
  if (!status.ok()) {
    spdlog::error("{}", std::string(status.message()));
    return 1;
  }
  if (exit_code != kBeginAnew) return exit_code;
  if (!ending->MayBeginAnew()) return 0;
  BeginAnew(argc, argv, options, manager);
  return 1;
}

}  // namespace
}  // namespace remuda

int main(int argc, char** argv) {
  try {
    return remuda::Main(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "remuda-controller: " << error.what() << "\n";
    return 1;
  }
}
