// remuda-controller: the one place that wires the store, the loop, the services and the admin
// pages.
#include <fcntl.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <iostream>
#include <mutex>
#include <thread>

#include "common/admin_http.h"
#include "common/identity/channel_credentials.h"
#include "common/logging.h"
#include "common/memory.h"
#include "common/private_directory.h"
#include "common/service_manager.h"
#include "controller/api/acceptor.h"
#include "controller/api/admin_token.h"
#include "controller/api/controller.h"
#include "controller/api/joining.h"
#include "controller/api/self_call.h"
#include "controller/api/server.h"
#include "controller/backup/restore.h"
#include "controller/certificate_reader.h"
#include "controller/engine/commit_thread.h"
#include "controller/engine/failpoints.h"
#include "controller/engine/readiness.h"
#include "controller/identity/audit_log.h"
#include "controller/identity/callers.h"
#include "controller/identity/cluster_identity.h"
#include "controller/limits.h"
#include "controller/options.h"
#include "controller/probes/probe_thread.h"
#include "controller/ready_file.h"
#include "controller/restore_command.h"
#include "controller/store/etcd_store.h"
#include "controller/store/sqlite_store.h"
#include "controller/zone_reader.h"

namespace remuda {
namespace {

// Calls under way have so long to end after SIGTERM; sessions and watches are ended at once.
constexpr absl::Duration kDrainTime = absl::Seconds(5);

// What the signal thread and the loop say to the main thread.
struct Ending {
  std::promise<int> exit_code;
  std::atomic<bool> begun = false;
  void Begin(int code) {
    if (begun.exchange(true)) return;
    exit_code.set_value(code);
    const std::lock_guard lock(mutex);
    if (store != nullptr) store->StopCampaign();
  }
  // Begin ends the campaign of this store, which may wait for long; null: of none.
  void SetCampaign(Store* campaigns) {
    const std::lock_guard lock(mutex);
    store = campaigns;
    if (begun && store != nullptr) store->StopCampaign();
  }
  std::mutex mutex;  // guards what follows
  Store* store = nullptr;
};

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

// The store, led by this controller, and what is in it.
struct Opened {
  std::unique_ptr<Store> store;
  Leadership leadership;
  core::State state;
};

absl::StatusOr<std::unique_ptr<Store>> OpenNamedStore(const Options& options, Ending& ending) {
  if (options.store.kind == StoreOptions::Kind::kSqlite) {
    return SqliteStore::Open(
        {.path = options.store.sqlite_path, .sealing_key_file = options.sealing_key_file});
  }
  EtcdStore::Options etcd;
  etcd.address = options.store.etcd;
  etcd.sealing_key_file = options.sealing_key_file;
  etcd.time_to_live = options.store.lease;
  etcd.on_lost = [&ending](const absl::Status& why) {
    spdlog::error("leadership is lost: {}", std::string(why.message()));
    ending.Begin(1);
  };
  return EtcdStore::Open(std::move(etcd));
}

absl::StatusOr<Opened> OpenStore(const Options& options, Failpoints* failpoints, Ending& ending) {
  auto named = OpenNamedStore(options, ending);
  if (!named.ok()) return named.status();
  std::unique_ptr<Store> store = *std::move(named);
  if (failpoints != nullptr)
    store = std::make_unique<FailpointStore>(std::move(store), *failpoints);
  ending.SetCampaign(store.get());
  auto leadership = store->Campaign();
  ending.SetCampaign(nullptr);
  if (!leadership.ok()) return leadership.status();
  core::State state;
  const absl::Status status =
      store->Load([&state](core::Kind kind, std::string_view key, std::string_view value,
                           int64_t number) { return state.Load(kind, key, value, number); });
  if (!status.ok()) return status;
  state.SetCommit(leadership->commit);
  spdlog::info("cluster {}, epoch {}, commit {}", leadership->cluster_id, leadership->epoch,
               leadership->commit);
  return Opened{std::move(store), *std::move(leadership), std::move(state)};
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

// Removes the bytes that nothing names any more, whenever an image or a template version goes.
void CollectAfterDeletes(Controller& controller, BlobWorker worker) {
  controller.set_on_commit([&controller, worker](const core::Changes& changes) {
    for (const core::Edit& edit : changes.edits) {
      const bool names_bytes =
          edit.kind == core::Kind::kImage || edit.kind == core::Kind::kLaunchTemplateVersion;
      if (names_bytes && edit.value == nullptr)
        return CollectBlobs(controller.engine.state(), worker);
    }
  });
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

absl::Status MakeDataDirectory(const std::string& path) {
  const absl::StatusOr<bool> was_open = MakePrivateDirectory(path, "state.db", "--data-dir");
  if (!was_open.ok()) return was_open.status();
  if (*was_open) {
    spdlog::warn("--data-dir {} was open to others: now it is not, as private keys are kept there",
                 path);
  }
  return absl::OkStatus();
}

// Names and addresses by which the controller is reached.
std::vector<std::string> HostsOf(const Options& options) {
  std::vector<std::string> hosts;
  Endpoint listen;
  ParseEndpoint(options.listen, listen);
  hosts.push_back(listen.address);
  for (const std::string& text : options.identity.advertise) {
    AdvertisedAddress address;
    if (ParseAdvertised(text, address)) hosts.push_back(address.host);
  }
  return hosts;
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

absl::Status Serve(const Options& options, const ServiceManager& manager, Ending& ending,
                   int& exit_code) {
  const size_t max_descriptors = TakeDescriptors();
  if (absl::Status status = MakeDataDirectory(options.data_dir); !status.ok()) return status;
  if (absl::Status status = CheckNotHalfRestored(options.data_dir); !status.ok()) return status;
  const auto failpoints = MakeFailpoints(options);
  auto opened = OpenStore(options, failpoints.get(), ending);
  if (ending.begun && absl::IsCancelled(opened.status())) return absl::OkStatus();
  if (!opened.ok()) return opened.status();
  const Leadership& leadership = opened->leadership;

  auto cluster_identity = OpenIdentity(options, leadership);
  if (!cluster_identity.ok()) return cluster_identity.status();
  ClusterIdentity* const cluster = cluster_identity->get();
  Callers callers(cluster != nullptr);

  auto audit = AuditLog::Open({.directory = options.data_dir + "/audit"});
  if (!audit.ok()) return audit.status();

  MonotonicClock clock;
  Metrics metrics;
  Readiness readiness;
  auto blobs = Blobs::Open(
      {.directory = options.data_dir + "/images", .max_blob_bytes = options.image_limit_bytes},
      metrics.image_bytes);
  if (!blobs.ok()) return blobs.status();
  ImageKeys image_keys;
  if (!options.image_keys.empty()) {
    auto loaded = ImageKeys::Load(options.image_keys);
    if (!loaded.ok()) return loaded.status();
    image_keys = *std::move(loaded);
  }
  TaskThread blob_thread;
  TaskThread checker_thread;
  const BlobWorker blob_worker{**blobs, blob_thread, checker_thread, image_keys};
  Backups backups({.data_directory = options.data_dir,
                   .state_file = options.store.sqlite_path,
                   .sealing_key_file = options.sealing_key_file,
                   // Without its authority nobody would know the cluster that was restored.
                   .sealed_files = {"identity/ca.pem", "identity/ca.key"}},
                  **blobs, blob_thread);
  TaskThread backup_thread;

  Loop loop(clock, metrics);
  CommitThread committer(*opened->store, leadership.epoch, loop);
  ProbeThread probes(loop, options.analysis_commands);
  Controller controller(
      {.identity = {leadership.cluster_id, leadership.epoch, leadership.secret},
       .engine = {
           .state = std::move(opened->state),
           .patience = options.patience,
           .read_certificate = &ReadCertificate,
           .check_authorities = &FaultOfAuthorities,
           .analysis_commands = options.analysis_commands,
           .on_leadership_lost = [&ending](const absl::Status&) { ending.Begin(1); },
           .on_store = [&readiness](const std::string& why) { readiness.SetStoreError(why); }},
       .version = REMUDA_VERSION,
       .name = cluster == nullptr ? "controller" : cluster->current()->peer.id.name,
       .asker = &probes,
       .metric_period = options.metric_period,
       .callers = &callers,
       .audit = audit->get()},
      clock, committer, loop, metrics);
  controller.engine.observe().find_zone = &ReadZone;
  controller.set_failpoints(failpoints.get());
  // Blobs that no image names: pushed, but never registered before a crash.
  CollectBlobs(controller.engine.state(), blob_worker);
  CollectAfterDeletes(controller, blob_worker);

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
  AdminToken admin_token(options.data_dir);
  std::unique_ptr<Joining> joining;
  if (cluster != nullptr) joining = std::make_unique<Joining>(controller, *cluster, admin_token);
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(
      listen, max_descriptors, controller, blob_worker, {backups, backup_thread},
      {.cluster = cluster,
       .callers = &callers,
       .admit =
           [&controller](const Caller& caller) { return controller.deny_list.Check(caller.peer); },
       .on_refused =
           [log = audit->get()](const std::string& address, const std::string& why) {
             log->WriteRefused("handshake", address, why);
           }});
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
  if (outcome.ok()) manager.Ready("serving gRPC on " + (*server)->address());
  if (outcome.ok()) exit_code = ending.exit_code.get_future().get();

  manager.Stopping("ending calls under way");
  // The other way round: calls first, then the loop that answers them, then what it used.
  readiness.SetServing(false);
  self_call = nullptr;
  if (joining != nullptr) joining->Stop();
  loop.Post([&controller] { controller.CloseStreams(); });
  if (server.ok()) (*server)->Stop(kDrainTime);
  backup_thread.Stop();
  probes.Stop();
  committer.Stop();
  loop.Stop();
  // After the loop: the last commit's answers still go there, and hold what the server owns.
  checker_thread.Stop();
  blob_thread.Stop();
  admin.Stop();
  return outcome;
}

int Main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "restore") return RunRestore(argc - 1, argv + 1);
  Options options;
  if (const int code = ParseOptions(argc, argv, options); code >= 0) return code;
  if (const std::string error = InitLogging("remuda-controller", options.log_level);
      !error.empty()) {
    std::cerr << "remuda-controller: --log-level: " << error << "\n";
    return 2;
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  // A limit on file sizes is an error of a write, as a full disk is, not the end of the program.
  signal(SIGXFSZ, SIG_IGN);
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
  return exit_code;
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
