#include "controller/api/server.h"

#include <grpcpp/ext/channelz_service_plugin.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include "common/status.h"
#include "controller/api/guard.h"
#include "controller/api/image_upkeep.h"
#include "grpc/health/v1/health.pb.h"

namespace remuda {
namespace {

// Reflection and channelz come as synchronous services: a few threads for a few people.
constexpr int kSyncThreads = 1;

void Limit(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(limits::kMaxReceiveBytes);
  builder.SetMaxSendMessageSize(-1);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, limits::kMaxStreamsPerConnection);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, limits::kKeepaliveTimeMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, limits::kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             limits::kMinPingIntervalMs);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, limits::kHandshakeTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, limits::kIdleConnectionMs);
  builder.SetResourceQuota(grpc::ResourceQuota("controller").Resize(limits::kReceiveMemoryBytes));
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, kSyncThreads);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 2);
}

}  // namespace

Server::Server(Controller& controller, BlobWorker worker, BackupWorker backups)
    : calls_(controller),
      images_(calls_, worker),
      backups_(calls_, backups, worker),
      peers_(calls_, worker),
      services_(MakeServices(calls_)),
      agents_(controller),
      proxies_(controller) {}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const Endpoint& endpoint,
                                                      size_t max_descriptors,
                                                      Controller& controller, BlobWorker worker,
                                                      BackupWorker backups,
                                                      const ServerIdentity& identity) {
  absl::StatusOr<std::unique_ptr<Acceptor>> acceptor = Acceptor::Listen(endpoint);
  if (!acceptor.ok()) return acceptor.status();
  grpc::EnableDefaultHealthCheckService(true);
  // gRPC's own health service carries no description: without this, reflection lists a service that
  // it cannot describe, and clients such as `buf curl --list-methods` give up.
  grpc::health::v1::HealthCheckRequest::descriptor();
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::channelz::experimental::InitChannelzService();
  std::unique_ptr<Server> server(new Server(controller, worker, backups));
  grpc::ServerBuilder builder;
  Limit(builder);
  server->connections_ = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      grpc::InsecureServerCredentials());
  if (identity.cluster != nullptr) {
    if (absl::Status status = server->MakeGate(identity); !status.ok()) return status;
    controller.loop.Post([&controller, gate = server->gate()] {
      controller.set_on_shut_out([&controller, gate] {
        gate->CloseIf([&controller](const Caller& caller) {
          return !controller.deny_list.Check(caller.peer).ok();
        });
      });
    });
    std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> guards;
    guards.push_back(MakeGuard(controller));
    builder.experimental().SetInterceptorCreators(std::move(guards));
  }
  for (grpc::Service* service :
       std::initializer_list<grpc::Service*>{&server->images_, &server->backups_, &server->peers_,
                                             &server->agents_, &server->proxies_}) {
    builder.RegisterService(service);
  }
  for (const auto& service : server->services_) builder.RegisterService(service.get());
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr) return Internal("gRPC's server cannot be started");
  controller.loop.Post([&controller, worker] { CheckReplicas(controller, worker); });
  server->acceptor_ = *std::move(acceptor);
  Acceptor::Bound bound{.max_descriptors = max_descriptors};
  if (const Gate* const gate = server->gate()) {
    bound.each = Gate::kDescriptorsEach;
    bound.to_come = [gate] {
      const auto shaking = static_cast<size_t>(gate->counts().handshakes.load());
      return shaking * (Gate::kDescriptorsEach - 1);
    };
  }
  server->acceptor_->Start(bound, controller.metrics, [server = server.get()](int fd) {
    server->gate_ == nullptr ? server->HandOver(fd) : server->gate_->Add(fd);
  });
  return server;
}

absl::Status Server::MakeGate(const ServerIdentity& identity) {
  cluster_ = identity.cluster;
  gate_ = std::make_unique<Gate>(
      Gate::Options{.cluster = cluster_->cluster(),
                    .admit = identity.admit,
                    .on_connection = [this](int fd, const CallerPtr&) { HandOver(fd); },
                    .takes_relayed = true,
                    .on_join = identity.on_join,
                    .on_refused = identity.on_refused},
      *identity.callers);
  if (absl::Status status = gate_->Show(*cluster_); !status.ok()) return status;
  calls_.cluster_identity = cluster_;
  calls_.gate = gate_.get();
  return absl::OkStatus();
}

void Server::HandOver(int fd) {
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
  connection.fd = fd;
  connections_->HandleNewConnection(&connection);
}

Server::~Server() { Stop(absl::ZeroDuration()); }

void Server::Stop(absl::Duration grace) {
  if (server_ == nullptr) return;
  acceptor_->Stop();
  if (gate_ != nullptr) {
    cluster_->Stop();
    gate_->Drain();
  }
  // Their calls have no end of their own.
  peers_.Stop();
  server_->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(grace));
  server_->Wait();
  if (gate_ != nullptr) gate_->Stop();
  server_ = nullptr;
}

}  // namespace remuda
