// Status makers of the whole system: every error names the subject, the value and the rule.
//
// Owns: the way from our errors to google.rpc.Status with details and back. Does not own: gRPC
// types (see common/grpc_status.h). Thread: pure functions.
//
// Abseil 20220623's absl::string_view is not std::string_view; these helpers take ours, so callers
// never convert.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <string_view>
#include <vector>

#include "google/rpc/error_details.pb.h"

namespace remuda {

// One wrong field of a request: its path from the request's root, and the value with the rule it
// breaks.
struct FieldViolation {
  std::string field;
  std::string description;
};

// INVALID_ARGUMENT with google.rpc.BadRequest. The message is "FIELD: DESCRIPTION" of each, joined
// by "; ".
absl::Status InvalidField(std::string_view field, std::string_view description);
absl::Status InvalidFields(const std::vector<FieldViolation>& violations);

// NOT_FOUND, ALREADY_EXISTS: `name` is the full name, with google.rpc.ResourceInfo.
absl::Status NotFound(std::string_view name);
absl::Status AlreadyExists(std::string_view name, std::string_view why);

// FAILED_PRECONDITION with google.rpc.ErrorInfo. `reason` is UPPER_SNAKE_CASE, for programs.
absl::Status FailedPrecondition(std::string_view reason, std::string_view message);

// ABORTED: the etag is not the current one.
absl::Status EtagMismatch(std::string_view name, std::string_view given, std::string_view current);

// RESOURCE_EXHAUSTED with google.rpc.ErrorInfo: a named limit was met.
absl::Status LimitExceeded(std::string_view limit_name, std::string_view message);

absl::Status Unimplemented(std::string_view message);
absl::Status Unavailable(std::string_view message);
// The same with google.rpc.ErrorInfo; see FailedPrecondition.
absl::Status Unavailable(std::string_view reason, std::string_view message);
absl::Status Internal(std::string_view message);
absl::Status DeadlineExceeded(std::string_view message);
absl::Status Aborted(std::string_view message);

// The violations that a status carries; empty if it carries none.
std::vector<FieldViolation> ViolationsOf(const absl::Status& status);

// The same status with `prefix` put before each violated field ("resources[2]."), and the message
// made anew.
absl::Status WithFieldPrefix(const absl::Status& status, std::string_view prefix);

// Serialized google.rpc.Status (with the details) for gRPC's error_details, and back.
std::string ToRpcStatusBytes(const absl::Status& status);
absl::Status FromRpcStatus(int code, std::string_view message, std::string_view rpc_status_bytes);

}  // namespace remuda
