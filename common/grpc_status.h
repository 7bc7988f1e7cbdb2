// Between absl::Status and grpc::Status, with google.rpc details in grpc-status-details-bin.
// Thread: pure functions.
#pragma once

#include <absl/status/status.h>
#include <grpcpp/support/status.h>

#include "common/status.h"

namespace remuda {

inline grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()),
                      ToRpcStatusBytes(status));
}

inline absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return FromRpcStatus(status.error_code(), status.error_message(), status.error_details());
}

}  // namespace remuda
