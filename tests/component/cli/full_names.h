// References in what a fake controller answers become full names, as the real one's are: a command
// that takes one for an id is seen.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_interceptor.h>

#include "common/references.h"

namespace remuda::testing_cli {

class FullNames final : public grpc::experimental::Interceptor {
 public:
  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    using Point = grpc::experimental::InterceptionHookPoints;
    if (methods->QueryInterceptionHookPoint(Point::PRE_SEND_MESSAGE)) {
      if (const void* sent = methods->GetSendMessage(); sent != nullptr) {
        // Every message is of protobuf, and the caller's own.
        ToFullNames(*const_cast<google::protobuf::Message*>(
            static_cast<const google::protobuf::Message*>(sent)));
      }
    }
    methods->Proceed();
  }
};

class MakeFullNames final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo*) override {
    return new FullNames;  // gRPC's own
  }
};

}  // namespace remuda::testing_cli
