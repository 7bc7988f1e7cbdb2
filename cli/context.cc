#include "cli/context.h"

#include <optional>
#include <ostream>

#include "common/identity/dial.h"
#include "common/identity/spiffe_id.h"
#include "google/rpc/error_details.pb.h"

namespace remuda::cli {
namespace {

// The reason that a controller has given with its answer; gRPC's own errors have none.
std::optional<std::string> ReasonOf(const absl::Status& status) {
  const auto payload = status.GetPayload("type.googleapis.com/google.rpc.ErrorInfo");
  google::rpc::ErrorInfo info;
  if (!payload.has_value() || !info.ParseFromString(std::string(*payload))) return std::nullopt;
  return info.reason();
}

}  // namespace

bool HasNoLeader(const absl::Status& status) { return ReasonOf(status) == "NO_LEADER"; }

bool IsUnreachable(const absl::Status& status) {
  if (status.code() != absl::StatusCode::kUnavailable) return false;
  // Its text may quote what failed elsewhere, as between the controller and etcd.
  if (ReasonOf(status).has_value()) return false;
  const std::string message(status.message());
  for (const char* sign : {"failed to connect", "Connection refused", "DNS resolution",
                           "Socket closed", "Connection reset", "Endpoint", "GOAWAY", "recvmsg"}) {
    if (message.find(sign) != std::string::npos) return true;
  }
  return false;
}

namespace {

bool HasSeveral(const Settings& settings) {
  return settings.controller.find(',') != std::string::npos;
}

// gRPC's own account of a failed connection is long; its last part says what the system said.
std::string Reason(const absl::Status& status) {
  std::string message(status.message());
  if (message.find("certificate verify failed") != std::string::npos) {
    return "its certificate is not of the cluster that your identity is of: it is another "
           "cluster's "
           "controller, or somebody is in between";
  }
  for (const char* sign : {"Connection refused", "Connection timed out", "No route to host",
                           "Network is unreachable", "DNS resolution failed", "Connection reset"}) {
    if (message.find(sign) != std::string::npos) return sign;
  }
  return message;
}

// What the other side ended: a controller does so with whom it does not let in, after the handshake
// of TLS 1.3, of which a client then knows nothing more.
bool IsClosedByController(const absl::Status& status) {
  const std::string message(status.message());
  return message.find("Connection refused") == std::string::npos &&
         (message.find("Socket closed") != std::string::npos ||
          message.find("Connection reset") != std::string::npos);
}

std::string WhyClosed(const Settings& settings) {
  if (settings.insecure) return "If it has identities, leave --insecure out.";
  if (settings.dial == nullptr) return "";
  return "Either it does not let " + identity::ActorText(settings.dial->self.id) +
         " in (revoked, or the user was deleted: ask an admin), or it has just ended, or another "
         "one has come to lead: try again.";
}

std::string Where(const Settings& settings) {
  return settings.controller + " (" + settings.controller_source + ")";
}

constexpr char kHowToReach[] =
    "Start a cluster with `remuda dev`, or say where the controller is: --controller HOST:PORT or "
    "REMUDA_CONTROLLER.";

// Those of a list were asked for seconds, one after the other.
ExitCode FailOfSeveral(Context& context, const absl::Status& status) {
  context.err << "remuda: cannot reach the controllers at " << Where(context.settings)
              << ", or none of them leads: " << Reason(status) << "\n";
  if (const std::string why = WhyClosed(context.settings);
      IsClosedByController(status) && !why.empty())
    context.err << why << "\n";
  context.err << "What each of them waits for stands on its page /readyz; none can lead while most "
                 "of their etcds are away.\n";
  return ExitCode::kFailed;
}

}  // namespace

ExitCode Fail(Context& context, const absl::Status& status) {
  if (IsUnreachable(status) && HasSeveral(context.settings)) return FailOfSeveral(context, status);
  if (const std::string why = WhyClosed(context.settings);
      IsUnreachable(status) && IsClosedByController(status) && !why.empty()) {
    context.err << "remuda: the controller at " << Where(context.settings)
                << " closed the connection\n"
                << why << "\n";
    return ExitCode::kFailed;
  }
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
