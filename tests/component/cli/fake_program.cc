// Stands in for remuda-controller, remuda-agent and remuda-proxy under `remuda dev`: takes their
// flags, writes the ready file, and ends on SIGTERM. As a controller it reports every host and
// proxy that has a data directory beside its own.
//
// A file `fail` in its data directory makes it end before it is ready.
#include <grpcpp/grpcpp.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "remuda/v1/cluster.grpc.pb.h"

namespace {

namespace fs = std::filesystem;

class FakeCluster final : public remuda::v1::ClusterService::Service {
 public:
  explicit FakeCluster(fs::path root) : root_(std::move(root)) {}

  grpc::Status ListHosts(grpc::ServerContext*, const remuda::v1::ListHostsRequest*,
                         remuda::v1::ListHostsResponse* response) override {
    for (const auto& entry : fs::directory_iterator(root_ / "agents")) {
      auto* host = response->add_hosts();
      host->set_name("hosts/" + entry.path().filename().string());
      host->set_state(remuda::v1::HOST_STATE_CONNECTED);
    }
    return grpc::Status::OK;
  }
  grpc::Status ListProxies(grpc::ServerContext*, const remuda::v1::ListProxiesRequest*,
                           remuda::v1::ListProxiesResponse* response) override {
    for (const auto& entry : fs::directory_iterator(root_ / "proxies")) {
      auto* proxy = response->add_proxies();
      proxy->set_name("proxies/" + entry.path().filename().string());
      proxy->set_connected(true);
    }
    return grpc::Status::OK;
  }

 private:
  const fs::path root_;
};

void WriteAtomically(const std::string& path, const std::string& text) {
  std::ofstream(path + ".partial") << text;
  fs::rename(path + ".partial", path);
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> flags;
  for (int i = 1; i + 1 < argc; ++i) {
    if (argv[i][0] == '-') flags[argv[i]] = argv[i + 1];
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  const fs::path data_dir = flags["--data-dir"];
  std::fprintf(stderr, "%s starts\n", fs::path(argv[0]).filename().c_str());
  if (fs::exists(data_dir / "fail")) {
    std::fprintf(stderr, "told to fail\n");
    return 7;
  }
  std::ofstream(data_dir / "arguments") << [&] {
    std::string all;
    for (int i = 1; i < argc; ++i) all += std::string(argv[i]) + "\n";
    return all;
  }();

  FakeCluster cluster(data_dir.parent_path());
  std::unique_ptr<grpc::Server> server;
  std::string ready = R"({"http": "127.0.0.1:1"})";
  if (flags.contains("--listen")) {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort(flags["--listen"], grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&cluster);
    server = builder.BuildAndStart();
    if (server == nullptr) return 1;
    ready = "{\"grpc\": \"127.0.0.1:" + std::to_string(port) + "\", \"http\": \"127.0.0.1:1\"}";
  }
  WriteAtomically(flags["--ready-file"], ready);
  int signal = 0;
  sigwait(&signals, &signal);
  std::ofstream(data_dir.parent_path().parent_path() / "stopped", std::ios::app);
  std::fprintf(stderr, "stops\n");
  return 0;
}
