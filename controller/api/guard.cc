#include "controller/api/guard.h"

#include <grpcpp/server_context.h>
#include <spdlog/spdlog.h>

#include <string>
#include <string_view>

#include "controller/identity/roles.h"

namespace remuda {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerRpcInfo;

// The services that ask by themselves, and say why not.
bool AsksItself(std::string_view method) { return method.starts_with("remuda."); }

class Guard final : public Interceptor {
 public:
  Guard(const Controller& controller, ServerRpcInfo* info) : controller_(controller), info_(info) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      const absl::Status status = Check();
      if (!status.ok()) {
        spdlog::info("a call ends: {}", std::string(status.message()));
        info_->server_context()->TryCancel();
      }
    }
    methods->Proceed();
  }

 private:
  absl::Status Check() const {
    std::string_view method = info_->method();
    if (method.starts_with('/')) method.remove_prefix(1);
    const CallerPtr caller = controller_.callers.Find(info_->server_context()->peer());
    if (caller == nullptr) return absl::UnauthenticatedError("nobody is known behind it");
    if (AsksItself(method)) return absl::OkStatus();
    if (absl::Status status = controller_.deny_list.Check(caller->peer); !status.ok())
      return status;
    return AuthorizeMethod(*caller, controller_.deny_list.RoleOf(caller->peer.id.name), method);
  }

  const Controller& controller_;
  ServerRpcInfo* const info_;
};

class GuardFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit GuardFactory(const Controller& controller) : controller_(controller) {}
  Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    return new Guard(controller_, info);  // gRPC's to delete
  }

 private:
  const Controller& controller_;
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeGuard(
    const Controller& controller) {
  return std::make_unique<GuardFactory>(controller);
}

}  // namespace remuda
