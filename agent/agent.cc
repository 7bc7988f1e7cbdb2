#include "agent/agent.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "agent/nft.h"
#include "common/archive.h"
#include "common/grpc_channel.h"
#include "common/identity/join_client.h"
#include "common/random_bytes.h"

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;

constexpr int kTransferWorkers = 2;
constexpr int kFileWorkers = 3;
// Chunks of logs that may wait in the session at once, over all streams.
constexpr size_t kMaxQueuedForLogs = 16;
constexpr std::chrono::milliseconds kMinUsageInterval{100};

// A Hello, and the report after it, hold every instance; the controller takes 4 MiB at once.
constexpr size_t kMaxStatusBytes = size_t{3} << 20;

uint64_t SeedOf(const std::string& name) { return std::hash<std::string>()(name + RandomHex()); }

// The statuses of all instances in one message: if they are too large, without what was printed
// last, which is in the logs too.
void AddStatuses(std::vector<v1::InstanceStatus> statuses,
                 google::protobuf::RepeatedPtrField<v1::InstanceStatus>& out) {
  size_t bytes = 0;
  for (const v1::InstanceStatus& status : statuses) bytes += status.ByteSizeLong();
  for (v1::InstanceStatus& status : statuses) {
    if (bytes > kMaxStatusBytes) status.clear_log_tail();
    *out.Add() = std::move(status);
  }
}

std::string ControllersFile(const AgentOptions& options) {
  return options.data_directory + "/controllers";
}

identity::ControllerAddresses::Options AddressesOf(const AgentOptions& options) {
  const auto& files = options.dial.files;
  return {.given = options.controllers,
          .joined =
              files.has_value() ? identity::JoinedControllers(*files) : std::vector<std::string>(),
          .file = ControllersFile(options),
          .only_this_machine = !files.has_value()};
}

std::string NftOf(const AgentOptions& options) {
  if (options.nft == "none") return "";
  return options.nft.empty() ? FindNft() : options.nft;
}

// Worker thread: packs an instance's directory and pushes it as an image. Empty: done; else why
// not.
std::string MakeSnapshot(ImageClient& images, const InstanceDir& dir, const std::string& archive,
                         ImageClient::Push push) {
  const Fd before(open(dir.App().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto packed = PackDirectory(dir.App(), archive, {.skip_sockets_and_fifos = true});
  if (!packed.ok()) return std::string(packed.status().message());
  const Fd after(open(dir.App().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (FileId(before.get()) != FileId(after.get())) {
    // The archive would hold files of two versions.
    std::error_code error;
    fs::remove(archive, error);
    return "the instance was changed to another version meanwhile";
  }
  push.archive_path = archive;
  push.digest = absl::StrCat("sha256:", packed->sha256);
  push.size_bytes = static_cast<int64_t>(packed->archive_bytes);
  const absl::Status status = images.PushImage(push);
  std::error_code error;
  fs::remove(archive, error);
  return std::string(status.message());
}

}  // namespace

Agent::Agent(EventLoop& loop, AgentOptions options)
    : loop_(loop),
      options_(std::move(options)),
      seed_(SeedOf(options_.name)),
      controllers_(AddressesOf(options_)),
      channel_(controllers_.current(), options_.dial.Credentials(), ClientChannelArguments()),
      images_(channel_),
      transfers_(std::make_unique<TaskThreads>(kTransferWorkers)),
      files_(std::make_unique<TaskThreads>(kFileWorkers)),
      instances_(loop, *transfers_, *files_, images_,
                 {.data_directory = options_.data_directory,
                  .host = {.address = options_.address, .zone = options_.zone},
                  .program = options_.program,
                  .seed = seed_,
                  .name = options_.name,
                  .nft = NftOf(options_),
                  .users = options_.users,
                  .allow_root_apps = options_.allow_root_apps,
                  .readable = options_.readable,
                  .image_keys = options_.image_keys,
                  .on_status = [this](const v1::InstanceStatus& status) { ReportStatus(status); },
                  .on_removed =
                      [this](const std::string& id) {
                        v1::ConnectRequest message;
                        message.mutable_report()->add_removed(id);
                        session_.Send(std::move(message));
                      }}),
      session_(loop, controllers_, channel_, seed_,
               {.make_hello = [this] { return MakeHello(); },
                .on_welcome = [this](const v1::Welcome& welcome) { return OnWelcome(welcome); },
                .on_message = [this](const v1::ConnectResponse& message) { OnMessage(message); },
                .on_down = [this](const std::string&) { OnDown(); }}),
      logs_(loop,
            {.directory_of = [this](const std::string& id) { return instances_.LogDirectory(id); },
             .is_alive = [this](const std::string& id) { return instances_.MayPrint(id); },
             .send =
                 [this](v1::LogChunk chunk) {
                   v1::ConnectRequest message;
                   *message.mutable_log() = std::move(chunk);
                   session_.Send(std::move(message));
                 },
             .has_room = [this] { return session_.queued() < kMaxQueuedForLogs; }}),
      app_api_(loop,
               {.find_instance =
                    [this](const std::string& token) { return instances_.tokens().Find(token); },
                .group_of = [this](const std::string& id) { return instances_.GroupOf(id); },
                .send =
                    [this](v1::AppCall call) {
                      if (!session_.is_up()) return false;
                      v1::ConnectRequest message;
                      *message.mutable_app_call() = std::move(call);
                      session_.Send(std::move(message));
                      return true;
                    }}),
      incarnation_(RandomHex()) {
  if (options_.dial.files.has_value()) {
    renewer_ = std::make_unique<identity::Renewer>(identity::Renewer::Options{
        .files = *options_.dial.files,
        .channel = [this] { return channel_.current(); },
        .renew_expired =
            [places = identity::RenewalPlaces{.given = options_.controllers,
                                              .file = ControllersFile(options_)}](
                const identity::IdentityFiles& files, const auto& is_stopping) {
              return identity::RenewExpired(files, places, is_stopping);
            }});
  }
}

Agent::~Agent() {
  renewer_.reset();
  loop_.Cancel(usage_timer_);
  images_.Cancel();
  instances_.CancelImages();
  transfers_.reset();
  files_.reset();
}

absl::Status Agent::OpenDirectory() {
  const std::string& directory = options_.data_directory;
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("data directory ", directory));
  // Apps that run as another user pass through it to their own directories, and cannot list it.
  chmod(directory.c_str(), 0711);
  const std::string lock_path = directory + "/lock";
  lock_ = Fd(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock_.valid()) return absl::ErrnoToStatus(errno, absl::StrCat("open ", lock_path));
  if (flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("data directory ", directory, ": another agent is using it"));
  }
  MoveOldRecord(directory);
  identity_ = ReadIdentity(MachinePath(directory));
  const Place here = PlaceOf(directory, lock_);
  if (IsCopy(identity_.place, here)) {
    // Two of one identity would push each other out, and end each other's apps.
    spdlog::error(
        "data directory {} is a copy of machine {}'s: this is another machine from now on, without "
        "an assignment; what runs in the other directory is left alone",
        directory, identity_.machine_id);
    identity_.machine_id.clear();
    identity_.host.clear();
    fs::remove(directory + "/assignment", error);
  }
  if (!identity_.host.empty() && identity_.host != options_.name) {
    return absl::FailedPreconditionError(absl::StrCat(
        "data directory ", directory, " is the one of host ", identity_.host, ", but --name is ",
        options_.name, ": its apps would be stopped though ", identity_.host,
        " is still in use. Start the agent with --name ", identity_.host, ", or give ",
        options_.name, " a --data-dir of its own. To rename the host: `remuda host drain ",
        identity_.host,
        "`, stop the agent, delete the directory, start it with the new name, then "
        "`remuda delete host ",
        identity_.host, "`"));
  }
  const bool is_moved = identity_.place != here;
  identity_.place = here;
  if (identity_.machine_id.empty()) {
    // On disk before anybody hears of it: a later agent of this directory has to be the same. Where
    // the disk takes nothing now, it is left out: apps must run on over an upgrade.
    identity_.machine_id = RandomHex();
    if (!SaveIdentity()) identity_.machine_id.clear();
  } else if (is_moved) {
    SaveIdentity();
  }
  return absl::OkStatus();
}

absl::Status Agent::Start() {
  if (absl::Status status = OpenDirectory(); !status.ok()) return status;
  std::error_code error;
  const std::string snapshots = options_.data_directory + "/snapshots";
  fs::remove_all(snapshots, error);
  fs::create_directories(snapshots, error);
  if (absl::Status status = instances_.Open(); !status.ok()) return status;
  spdlog::info("host {}: limits that can be enforced: {}", options_.name,
               instances_.DescribeLimits());
  std::string lacks;
  for (const auto& [means, why] : instances_.Lacks())
    absl::StrAppend(&lacks, lacks.empty() ? "" : "; ", means, " (", why, ")");
  if (!lacks.empty()) spdlog::warn("host {} lacks {}", options_.name, lacks);
  session_.Start();
  ReportUsage();
  return absl::OkStatus();
}

void Agent::Stop(std::function<void()> done) {
  // Instances first, if at all: the controller may hear of their ends.
  const auto end_session = [this, done = std::move(done)] {
    session_.Stop();
    instances_.Flush();
    done();
  };
  if (options_.stop_instances_on_exit) {
    instances_.StopAll(end_session);
  } else {
    end_session();
  }
}

v1::Hello Agent::MakeHello() {
  v1::Hello hello;
  hello.set_host(options_.name);
  hello.set_cluster_id(identity_.cluster_id);
  if (const auto& held = instances_.assignment().revision()) *hello.mutable_held() = *held;
  hello.set_held_digest(instances_.assignment().digest());
  hello.set_address(options_.address);
  hello.set_zone(options_.zone);
  hello.mutable_labels()->insert(options_.labels.begin(), options_.labels.end());
  *hello.mutable_capacity() = CapacityOf(options_.data_directory);
  hello.set_boot_id(BootId());
  hello.set_machine_id(identity_.machine_id);
  hello.set_incarnation(incarnation_);
  hello.set_lock(FileId(lock_.get()));
  hello.set_version(options_.version);
  const auto lacks = instances_.Lacks();
  hello.mutable_lacks()->insert(lacks.begin(), lacks.end());
  AddStatuses(instances_.Statuses(), *hello.mutable_instances());
  return hello;
}

bool Agent::OnWelcome(const v1::Welcome& welcome) {
  if (welcome.epoch() < identity_.epoch) {
    spdlog::error(
        "the controller at {} is of epoch {}, but {} was seen already: it was replaced; not "
        "followed",
        controllers_.current(), welcome.epoch(), identity_.epoch);
    return false;
  }
  if (!identity_.cluster_id.empty() && welcome.cluster_id() != identity_.cluster_id) {
    spdlog::error("the controller at {} is of cluster {}, this host belongs to {}; not followed",
                  controllers_.current(), welcome.cluster_id(), identity_.cluster_id);
    return false;
  }
  if (welcome.epoch() != identity_.epoch || welcome.cluster_id() != identity_.cluster_id ||
      identity_.host != options_.name) {
    identity_.epoch = welcome.epoch();
    identity_.cluster_id = welcome.cluster_id();
    identity_.host = options_.name;
    SaveIdentity();
  }
  const auto& interval = welcome.usage_interval();
  if (welcome.has_usage_interval()) {
    usage_interval_ = std::max(
        kMinUsageInterval,
        std::chrono::milliseconds(interval.seconds() * 1000 + interval.nanos() / 1'000'000));
  }
  spdlog::info("session with the controller at {}, epoch {}", controllers_.current(),
               welcome.epoch());
  controllers_.Learn(welcome.controllers());
  ++counters_->sessions;
  counters_->session_up = 1;
  // Statuses may have changed between the Hello and now, when nothing could be sent: all once more,
  // in one message.
  v1::ConnectRequest message;
  AddStatuses(instances_.Statuses(), *message.mutable_report()->mutable_instances());
  if (message.report().instances_size() > 0) session_.Send(std::move(message));
  instances_.SessionUp();
  ReportUsage();
  return true;
}

bool Agent::SaveIdentity() {
  const std::string path = MachinePath(options_.data_directory);
  const int error = WriteIdentity(path, identity_);
  if (error != 0) spdlog::error("cannot write {}: {}", path, std::strerror(error));
  return error == 0;
}

void Agent::OnDown() {
  counters_->session_up = 0;
  logs_.Clear();
  app_api_.OnDown();
  instances_.SessionDown();
}

void Agent::OnMessage(const v1::ConnectResponse& message) {
  switch (message.message_case()) {
    case v1::ConnectResponse::kUpdate:
      OnUpdate(message.update());
      break;
    case v1::ConnectResponse::kControllers:
      controllers_.Learn(message.controllers());
      break;
    case v1::ConnectResponse::kLog:
      logs_.Open(message.log());
      break;
    case v1::ConnectResponse::kLogCancel:
      logs_.Cancel(message.log_cancel().stream_id());
      break;
    case v1::ConnectResponse::kSnapshot:
      OnSnapshot(message.snapshot());
      break;
    case v1::ConnectResponse::kAppAnswer:
      app_api_.OnAnswer(message.app_answer());
      break;
    case v1::ConnectResponse::kPing: {
      v1::ConnectRequest answer;
      answer.mutable_pong()->set_ping_id(message.ping().ping_id());
      session_.Send(std::move(answer));
      break;
    }
    default:
      spdlog::warn("a message of a kind that this agent does not know was ignored");
  }
}

void Agent::OnUpdate(const v1::AssignmentUpdate& update) {
  v1::ConnectRequest answer;
  if (const auto refusal = instances_.Apply(update, identity_.epoch)) {
    ++counters_->refusals;
    spdlog::error("assignment {}.{} refused: {}: {}", update.revision().epoch(),
                  update.revision().sequence(), refusal->resource, refusal->reason);
    *answer.mutable_nack()->mutable_revision() = update.revision();
    answer.mutable_nack()->set_resource(refusal->resource);
    answer.mutable_nack()->set_reason(refusal->reason);
  } else {
    ++counters_->updates;
    *answer.mutable_ack()->mutable_revision() = update.revision();
  }
  // The controller sends proxies here once they are let in.
  instances_.WhenFiltered(
      [this, answer = std::move(answer)] { session_.Send(v1::ConnectRequest(answer)); });
}

void Agent::OnSnapshot(const v1::SnapshotRequest& request) {
  const auto answer = [this, id = request.snapshot_id()](const std::string& error) {
    v1::ConnectRequest message;
    message.mutable_snapshot()->set_snapshot_id(id);
    message.mutable_snapshot()->set_error(error);
    session_.Send(std::move(message));
  };
  const InstanceRun* run = instances_.FindRun(request.instance());
  if (run == nullptr || run->state != RunState::kRunning) {
    return answer(absl::StrCat("instance \"", request.instance(), "\" does not run on this host"));
  }
  ImageClient::Push push;
  push.image_id = request.image_id();
  push.source_instance = request.instance();
  push.labels.insert(request.labels().begin(), request.labels().end());
  const std::string archive =
      absl::StrCat(options_.data_directory, "/snapshots/", RandomHex(), ".tar.zst");
  transfers_->Post(
      [this, answer, push = std::move(push), archive, dir = instances_.Dir(request.instance())] {
        std::string error = MakeSnapshot(images_, dir, archive, push);
        loop_.Post([answer, error = std::move(error)] { answer(error); });
      });
}

void Agent::ReportStatus(const v1::InstanceStatus& status) {
  if (status.state() == v1::PROCESS_STATE_EXITED || status.state() == v1::PROCESS_STATE_FAILED)
    ++counters_->exits;
  v1::ConnectRequest message;
  *message.mutable_report()->add_instances() = status;
  session_.Send(std::move(message));
}

void Agent::ReportUsage() {
  loop_.Cancel(usage_timer_);
  usage_timer_ = loop_.After(usage_interval_, [this] { ReportUsage(); });
  std::vector<UsageMeter::Tree> trees;
  const auto ids = instances_.Ids();
  for (const std::string& id : ids) {
    const InstanceRun* run = instances_.FindRun(id);
    if (run == nullptr || run->state != RunState::kRunning) continue;
    trees.push_back({.instance = id,
                     .root = run->shim_pid,
                     .cgroups = run->cgroups,
                     .started_unix_ms = run->started_unix_ms,
                     .restarts = run->restarts});
  }
  counters_->instances = static_cast<int64_t>(ids.size());
  counters_->running = static_cast<int64_t>(trees.size());
  v1::ConnectRequest message;
  *message.mutable_usage() = meter_.Look(trees, options_.data_directory, EventLoop::Now());
  session_.Send(std::move(message));
}

uint16_t Agent::LastHttpPort() const {
  const std::string text = ReadWholeFile(HttpPortPath()).value_or("");
  const long port = std::strtol(text.c_str(), nullptr, 10);
  return port > 0 && port <= 65535 ? static_cast<uint16_t>(port) : uint16_t{0};
}

void Agent::UseHttp(const std::string& address, uint16_t port) {
  const bool is_any = address == "0.0.0.0" || address == "::";
  const bool is_v6 = address.find(':') != std::string::npos;
  const std::string reachable = !is_any ? address : is_v6 ? "::1" : "127.0.0.1";
  instances_.SetAgentUrl(
      absl::StrCat("http://", is_v6 ? "[" : "", reachable, is_v6 ? "]" : "", ":", port));
  if (const int error = WriteFileAtomically(HttpPortPath(), absl::StrCat(port, "\n"), false);
      error != 0)
    spdlog::warn("cannot write {}: {}", HttpPortPath(), std::strerror(error));
}

void Agent::AddPages(AdminHttp& http) {
  app_api_.Serve(http);
  http.Handle("/healthz", [](const AdminRequest&) { return AdminResponse{.body = "ok\n"}; });
  http.Handle("/readyz", [counters = counters_](const AdminRequest&) {
    if (counters->session_up != 0) return AdminResponse{.body = "ok\n"};
    return AdminResponse{
        .status = 503,
        .body = "no session with the controller; apps run on, and are restarted here\n"};
  });
  http.Handle("/metrics", [counters = counters_](const AdminRequest&) {
    AdminResponse response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    const auto add = [&](const char* name, const char* type, const char* help, int64_t value) {
      absl::StrAppend(&response.body, "# HELP ", name, " ", help, "\n# TYPE ", name, " ", type,
                      "\n", name, " ", value, "\n");
    };
    add("remuda_agent_session_up", "gauge", "1 while there is a session with the controller.",
        counters->session_up);
    add("remuda_agent_sessions_total", "counter", "Sessions begun.", counters->sessions);
    add("remuda_agent_instances", "gauge", "Instances on this host.", counters->instances);
    add("remuda_agent_instances_running", "gauge", "Instances whose process runs.",
        counters->running);
    add("remuda_agent_exits_total", "counter", "Ends and failures reported.", counters->exits);
    add("remuda_agent_updates_total", "counter", "Assignments taken up.", counters->updates);
    add("remuda_agent_refusals_total", "counter", "Assignments refused.", counters->refusals);
    return response;
  });
}

}  // namespace remuda::agent
