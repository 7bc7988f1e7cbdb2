#include "controller/standby/no_leader.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <utility>

#include "common/grpc_status.h"
#include "controller/limits.h"

namespace remuda {
struct NoLeader::Serving {
  class Refusing final : public grpc::CallbackGenericService {
   public:
    explicit Refusing(std::function<std::string()> why) : why_(std::move(why)) {}

    grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
      class Reactor final : public grpc::ServerGenericBidiReactor {
       public:
        explicit Reactor(const std::string& why) {
          Finish(ToGrpcStatus(Unavailable("NO_LEADER", "no controller leads just now: " + why)));
        }
        void OnDone() override { delete this; }
      };
      return new Reactor(why_());  // gRPC's until OnDone
    }

   private:
    const std::function<std::string()> why_;
  };

  explicit Serving(std::function<std::string()> why) : service(std::move(why)) {}
  Refusing service;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> connections;
  std::unique_ptr<grpc::Server> server;
};

NoLeader::NoLeader(std::unique_ptr<Serving> serving) : serving_(std::move(serving)) {}

absl::StatusOr<std::unique_ptr<NoLeader>> NoLeader::Start(std::function<std::string()> why) {
  auto serving = std::make_unique<Serving>(std::move(why));
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(limits::kMaxReceiveBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, limits::kMaxStreamsPerConnection);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, limits::kHandshakeTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, kConnectionMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, kConnectionMs);
  serving->connections = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      grpc::InsecureServerCredentials());
  builder.RegisterCallbackGenericService(&serving->service);
  serving->server = builder.BuildAndStart();
  if (serving->server == nullptr)
    return absl::InternalError("gRPC's server for a time without a leader cannot be started");
  return std::unique_ptr<NoLeader>(new NoLeader(std::move(serving)));
}

NoLeader::~NoLeader() {
  serving_->server->Shutdown(std::chrono::system_clock::now());
  serving_->server->Wait();
}

void NoLeader::Add(int fd) {
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
  connection.fd = fd;
  serving_->connections->HandleNewConnection(&connection);
}

}  // namespace remuda
