// Between absl::Status and grpc::Status, with google.rpc details in grpc-status-details-bin.
// Thread: pure functions.
#pragma once

#include <absl/status/status.h>
#include <grpcpp/support/status.h>

#include "common/status.h"

namespace remuda {

// The same status, small enough for the trailers of a call: clients take 8 KiB of metadata by
// default, and one that gets more shows nothing of the error at all. What is cut says so; the first
// violations stay. In status.cc: it needs no gRPC.
absl::Status CutToFitTrailers(const absl::Status& status);

inline grpc::Status ToGrpcStatus(const absl::Status& whole) {
  if (whole.ok()) return grpc::Status::OK;
  const absl::Status status = CutToFitTrailers(whole);
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()),
                      ToRpcStatusBytes(status));
}

inline absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return FromRpcStatus(status.error_code(), status.error_message(), status.error_details());
}

}  // namespace remuda
