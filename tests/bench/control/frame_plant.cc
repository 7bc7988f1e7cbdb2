#include "tests/bench/control/frame_plant.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <stdlib.h>
#include <time.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <stdexcept>
#include <utility>

#include "common/endpoint.h"
#include "controller/api/controller.h"
#include "controller/api/server.h"
#include "controller/certificate_reader.h"
#include "controller/engine/commit_thread.h"
#include "controller/store/sqlite_store.h"
#include "tests/bench/control/courier.h"
#include "tests/bench/control/memory.h"

namespace remuda::bench {
namespace {

constexpr int64_t kImageLimitBytes = 1 << 20;
constexpr size_t kMaxDescriptors = 1024;

std::string MakeDirectory() {
  char path[] = "/tmp/remuda-bench-XXXXXX";
  if (mkdtemp(path) == nullptr) throw std::runtime_error("mkdtemp");
  return path;
}

template <class T>
T Must(absl::StatusOr<T> made) {
  if (!made.ok()) throw std::runtime_error(made.status().ToString());
  return *std::move(made);
}

std::unique_ptr<Store> OpenStore(const std::string& directory) {
  return Must(SqliteStore::Open(
      {.path = directory + "/state.db", .sealing_key_file = directory + "/sealing.key"}));
}

core::State Load(Store& store, int64_t commit) {
  core::State state;
  const absl::Status status =
      store.Load([&](core::Kind kind, std::string_view key, std::string_view value,
                     int64_t number) { return state.Load(kind, key, value, number); });
  if (!status.ok()) throw std::runtime_error(status.ToString());
  state.SetCommit(commit);
  return state;
}

}  // namespace

// As main.cc wires them.
struct FramePlant::Parts {
  explicit Parts(const std::string& directory)
      : store(OpenStore(directory)),
        leadership(Must(store->Campaign())),
        blobs(Must(
            Blobs::Open({.directory = directory + "/images", .max_blob_bytes = kImageLimitBytes},
                        metrics.image_bytes))),
        backups({.data_directory = directory,
                 .state_file = directory + "/state.db",
                 .sealing_key_file = directory + "/sealing.key",
                 .sealed_files = {}},
                *blobs, blob_thread),
        loop(clock, metrics),
        committer(*store, leadership.epoch, loop),
        controller({.identity = {leadership.cluster_id, leadership.epoch, leadership.secret},
                    .engine = {.state = Load(*store, leadership.commit),
                               .patience = {},
                               .read_certificate = &ReadCertificate,
                               .on_leadership_lost = nullptr},
                    .version = "bench"},
                   clock, committer, loop, metrics) {
    loop.Start([this] { return controller.Turn(); });
    std::promise<clockid_t> loop_clock;
    loop.Post([&loop_clock] {
      clockid_t id{};
      pthread_getcpuclockid(pthread_self(), &id);
      loop_clock.set_value(id);
    });
    loop_cpu = loop_clock.get_future().get();
    Endpoint endpoint;
    ParseEndpoint("127.0.0.1:0", endpoint);
    server = Must(Server::Start(endpoint, kMaxDescriptors, controller,
                                {*blobs, blob_thread, checker_thread, image_keys},
                                {backups, backup_thread}));
  }
  ~Parts() {
    gate->Close();
    loop.Post([this] { controller.CloseStreams(); });
    server->Stop(absl::ZeroDuration());
    committer.Stop();
    loop.Stop();
    checker_thread.Stop();
    blob_thread.Stop();
    backup_thread.Stop();
  }

  MonotonicClock clock;
  remuda::Metrics metrics;
  std::unique_ptr<Store> store;
  Leadership leadership;
  std::unique_ptr<Blobs> blobs;
  const ImageKeys image_keys;  // none are demanded
  TaskThread blob_thread;
  TaskThread checker_thread;
  Backups backups;
  TaskThread backup_thread;
  Loop loop;
  const std::shared_ptr<Gate> gate = std::make_shared<Gate>(loop);
  CommitThread committer;
  Controller controller;
  clockid_t loop_cpu{};
  std::unique_ptr<Server> server;
};

FramePlant::FramePlant() : directory_(MakeDirectory()), courier_(std::make_unique<Courier>()) {
  // Sessions are logged as they come and go.
  spdlog::set_level(spdlog::level::err);
}

FramePlant::~FramePlant() {
  parts_ = nullptr;
  std::filesystem::remove_all(directory_);
}

void FramePlant::Start() {
  parts_ = std::make_unique<Parts>(directory_);
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(-1);
  admin_ = grpc::CreateCustomChannel(parts_->server->address(), grpc::InsecureChannelCredentials(),
                                     arguments);
}

void FramePlant::Kill() { parts_ = nullptr; }

std::unique_ptr<Link> FramePlant::Dial(Side side, size_t, LinkHandler& handler) {
  Controller& controller = parts_->controller;
  StreamHandler& sessions =
      side == Side::kAgent ? static_cast<StreamHandler&>(controller.agents) : controller.proxies;
  return courier_->Open(parts_->gate, sessions, handler);
}

double FramePlant::CpuSeconds() {
  timespec used{};
  clock_gettime(parts_->loop_cpu, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

int64_t FramePlant::ResidentBytes() { return ResidentBytesOf("self"); }

std::string FramePlant::Metrics() { return parts_->metrics.Print(); }

}  // namespace remuda::bench
