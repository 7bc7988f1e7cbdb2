#include "cli/context.h"

#include <ostream>

namespace remuda::cli {
namespace {

bool IsUnreachable(const absl::Status& status) {
  if (status.code() != absl::StatusCode::kUnavailable) return false;
  const std::string message(status.message());
  for (const char* sign : {"failed to connect", "Connection refused", "DNS resolution",
                           "Socket closed", "Connection reset", "Endpoint", "GOAWAY", "recvmsg"}) {
    if (message.find(sign) != std::string::npos) return true;
  }
  return false;
}

// gRPC's own account of a failed connection is long; its last part says what the system said.
std::string Reason(const absl::Status& status) {
  std::string message(status.message());
  for (const char* sign : {"Connection refused", "Connection timed out", "No route to host",
                           "Network is unreachable", "DNS resolution failed", "Connection reset"}) {
    if (message.find(sign) != std::string::npos) return sign;
  }
  return message;
}

std::string Where(const Settings& settings) {
  return settings.controller + " (" + settings.controller_source + ")";
}

constexpr char kHowToReach[] =
    "Start a cluster with `remuda dev`, or say where the controller is: --controller HOST:PORT or "
    "REMUDA_CONTROLLER.";

}  // namespace

ExitCode Fail(Context& context, const absl::Status& status) {
  if (IsUnreachable(status)) {
    context.err << "remuda: cannot reach the controller at " << Where(context.settings) << ": "
                << Reason(status) << "\n"
                << kHowToReach << "\n";
    return ExitCode::kFailed;
  }
  if (status.code() == absl::StatusCode::kDeadlineExceeded) {
    context.err << "remuda: no answer in time from the controller at " << Where(context.settings)
                << ": " << status.message() << "\nTry again, or wait longer with --timeout.\n";
    return ExitCode::kTimedOut;
  }
  if (status.code() == absl::StatusCode::kUnimplemented && status.message().empty()) {
    context.err
        << "remuda: the controller at " << Where(context.settings)
        << " does not know this call: it is of another version, or not a Remuda controller\n";
    return ExitCode::kFailed;
  }
  const std::string message(status.message());
  // gRPC's own words for a request over the controller's bound; a remuda error names its limit.
  if (status.code() == absl::StatusCode::kResourceExhausted &&
      message.find("larger than max") != std::string::npos) {
    context.err << "remuda: the request is larger than the controller takes at once: send less of "
                   "it in one go, for example by applying fewer manifests at a time\n";
    return ExitCode::kFailed;
  }
  context.err << "remuda: " << (message.empty() ? status.ToString() : message) << "\n";
  return ExitCode::kFailed;
}

ExitCode FailUsage(Context& context, const std::string& what) {
  context.err << "remuda: " << what << "\n";
  return ExitCode::kUsage;
}

}  // namespace remuda::cli
