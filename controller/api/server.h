// Server: the controller's gRPC server: services, reflection, health, channelz, keepalive and
// limits. Owns the services.
#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/endpoint.h"
#include "controller/api/acceptor.h"
#include "controller/api/backup_service.h"
#include "controller/api/calls.h"
#include "controller/api/image_service.h"
#include "controller/api/peer_service.h"
#include "controller/api/services.h"
#include "controller/api/stream_services.h"

namespace remuda {

// How callers are known. They outlive the server.
struct ServerIdentity {
  ClusterIdentity* cluster = nullptr;  // null: there are no identities
  Callers* callers = nullptr;
  // See Gate::Options.
  std::function<absl::Status(const Caller&)> admit;
  std::function<void(const std::string& address, const std::string& why)> on_refused;
  std::function<void(int fd, const std::string& address)> on_join;
};

class Server {
 public:
  // Accepts connections while fewer than `max_descriptors` are open. The others outlive it; the
  // loop runs until after Stop.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const Endpoint& endpoint,
                                                       size_t max_descriptors,
                                                       Controller& controller, BlobWorker worker,
                                                       BackupWorker backups,
                                                       const ServerIdentity& identity = {});
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  // Takes no new calls, gives those under way until the deadline to end, then cancels them. May be
  // called twice. Not on the loop thread.
  void Stop(absl::Duration grace);

  // "ADDRESS:PORT", as it listens.
  const std::string& address() const { return acceptor_->address(); }

  // Null where there are no identities.
  Gate* gate() { return gate_.get(); }

 private:
  Server(Controller& controller, BlobWorker worker, BackupWorker backups);

  absl::Status MakeGate(const ServerIdentity& identity);
  // To gRPC.
  void HandOver(int fd);

  Calls calls_;
  ImageService images_;
  BackupService backups_;
  PeerService peers_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  AgentStreams agents_;
  ProxyStreams proxies_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> connections_;
  std::unique_ptr<grpc::Server> server_;
  ClusterIdentity* cluster_ = nullptr;
  std::unique_ptr<Gate> gate_;  // null: connections go to gRPC as they come
  std::unique_ptr<Acceptor> acceptor_;
};

}  // namespace remuda
