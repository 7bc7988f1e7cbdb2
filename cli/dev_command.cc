// remuda dev: a whole cluster on this machine, in the foreground.
#include <absl/strings/str_cat.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>

#include "cli/commands.h"
#include "cli/controller_client.h"
#include "cli/dev_identities.h"
#include "cli/dev_supervisor.h"
#include "cli/settings.h"
#include "common/logging.h"
#include "common/words.h"

namespace remuda::cli {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kJoinDeadline{60};
constexpr milliseconds kJoinPoll{100};
constexpr milliseconds kJoinCallTimeout{2'000};
constexpr milliseconds kForever{std::chrono::hours(1)};

// Holds DATA/lock for as long as it lives.
class DataDirLock {
 public:
  DataDirLock() = default;
  DataDirLock(const DataDirLock&) = delete;
  DataDirLock& operator=(const DataDirLock&) = delete;
  ~DataDirLock() {
    if (fd_ >= 0) close(fd_);
  }

  absl::Status Take(const std::string& data_dir) {
    const std::string path = data_dir + "/lock";
    fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd_ < 0) return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
    if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      char owner[32] = {};
      const ssize_t size = pread(fd_, owner, sizeof owner - 1, 0);
      return absl::FailedPreconditionError(
          absl::StrCat(data_dir, " is in use by another `remuda dev`",
                       size > 0 ? absl::StrCat(" (process ", owner, ")") : "",
                       ": stop that one, or choose another --data-dir"));
    }
    const std::string pid = std::to_string(getpid());
    if (ftruncate(fd_, 0) != 0 || pwrite(fd_, pid.data(), pid.size(), 0) < 0) {
      return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
    }
    return absl::OkStatus();
  }

 private:
  int fd_ = -1;
};

// Whether 127.0.0.1:port can be listened on now; the programs will do so themselves a moment later.
bool IsPortFree(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return true;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool is_free = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
                       errno != EADDRINUSE;
  close(fd);
  return is_free;
}

absl::Status CheckPorts(const DevOptions& options) {
  for (const DevProgram& program : PlanDev(options)) {
    for (const auto& [flag, port] : PortsOf(program)) {
      if (port == 0 || IsPortFree(port)) continue;
      return absl::FailedPreconditionError(
          absl::StrCat("port ", port, " for ", program.name,
                       " is in use by another program: stop that one, or choose another with ",
                       flag, " (0: any that is free)"));
    }
  }
  return absl::OkStatus();
}

// Names of hosts and proxies that the controller does not yet see connected.
std::vector<std::string> NotJoined(const ControllerClient& client,
                                   const std::vector<DevProgram>& programs) {
  v1::ListHostsRequest hosts;
  hosts.set_page_size(1000);
  v1::ListProxiesRequest proxies;
  proxies.set_page_size(1000);
  const auto listed_hosts = client.Call<v1::ListHostsResponse>(
      *client.cluster, &v1::ClusterService::Stub::ListHosts, hosts);
  const auto listed_proxies = client.Call<v1::ListProxiesResponse>(
      *client.cluster, &v1::ClusterService::Stub::ListProxies, proxies);
  std::vector<std::string> missing;
  for (const DevProgram& program : programs) {
    bool joined = program.role == DevRole::kController;
    if (program.role == DevRole::kAgent && listed_hosts.ok()) {
      for (const v1::Host& host : listed_hosts->hosts()) {
        joined |=
            host.name() == "hosts/" + program.name && host.state() == v1::HOST_STATE_CONNECTED;
      }
    }
    if (program.role == DevRole::kProxy && listed_proxies.ok()) {
      for (const v1::Proxy& proxy : listed_proxies->proxies()) {
        joined |= proxy.name() == "proxies/" + program.name && proxy.connected();
      }
    }
    if (!joined) missing.push_back(program.name);
  }
  return missing;
}

absl::Status AwaitJoined(DevSupervisor& supervisor) {
  Settings settings;
  settings.controller = supervisor.controller_address();
  settings.timeout = kJoinCallTimeout;
  settings.insecure = supervisor.options().insecure;
  settings.identity_dir = DevAdminDirectory(supervisor.options());
  const ControllerClient client(settings);
  const auto deadline = std::chrono::steady_clock::now() + kJoinDeadline;
  std::vector<std::string> missing;
  while (true) {
    missing = NotJoined(client, supervisor.programs());
    if (missing.empty()) return absl::OkStatus();
    if (std::chrono::steady_clock::now() > deadline) break;
    if (!supervisor.RunFor(kJoinPoll))
      return absl::CancelledError("stopped before everything was up");
  }
  std::string names;
  for (const std::string& name : missing) absl::StrAppend(&names, names.empty() ? "" : ", ", name);
  return absl::DeadlineExceededError(absl::StrCat("not connected to the controller after ",
                                                  kJoinDeadline.count(), " s: ", names, "; see ",
                                                  supervisor.options().data_dir, "/logs"));
}

// For scripts: actual addresses and process ids, written when everything is up.
std::string ReadyJson(const DevSupervisor& supervisor) {
  std::string controller, agents, proxies;
  for (const DevProgram& program : supervisor.programs()) {
    const std::string entry =
        absl::StrCat("{\"name\": \"", program.name, "\", \"http\": \"", Loopback(program.http_port),
                     "\", \"pid\": ", supervisor.PidOf(program.name));
    if (program.role == DevRole::kController) {
      controller = absl::StrCat(entry, ", \"grpc\": \"", Loopback(program.grpc_port),
                                program.join_port == 0
                                    ? "\"}"
                                    : "\", \"join\": \"" + Loopback(program.join_port) + "\"}");
    } else if (program.role == DevRole::kAgent) {
      absl::StrAppend(&agents, agents.empty() ? "" : ", ", entry, ", \"address\": \"",
                      DevHostAddress(program.index), "\", \"zone\": \"",
                      JsonEscape(DevHostZone(supervisor.options(), program.index)), "\"}");
    } else {
      absl::StrAppend(&proxies, proxies.empty() ? "" : ", ", entry, ", \"zone\": \"",
                      JsonEscape(DevProxyZone(supervisor.options(), program.index)), "\"}");
    }
  }
  return absl::StrCat(
      "{\"pid\": ", getpid(), ", \"dataDir\": \"", JsonEscape(supervisor.options().data_dir), "\",",
      supervisor.options().insecure
          ? ""
          : " \"identity\": \"" + JsonEscape(DevAdminDirectory(supervisor.options())) + "\",",
      " \"controller\": ", controller, ", \"agents\": [", agents, "], \"proxies\": [", proxies,
      "]}\n");
}

absl::Status WriteAtomically(const std::string& path, const std::string& text) {
  const std::string partial = path + ".partial";
  {
    std::ofstream out(partial, std::ios::binary | std::ios::trunc);
    out << text;
    if (!out.flush()) return absl::UnavailableError(partial + ": " + std::strerror(errno));
  }
  std::error_code error;
  std::filesystem::rename(partial, path, error);
  return error ? absl::UnavailableError(path + ": " + error.message()) : absl::OkStatus();
}

void PrintSummary(const DevSupervisor& supervisor, std::ostream& out) {
  out << "The cluster is up; its data and logs are in " << supervisor.options().data_dir << "\n";
  for (const DevProgram& program : supervisor.programs()) {
    const std::string http = "http://" + Loopback(program.http_port);
    if (program.role == DevRole::kController) {
      out << "  controller   " << Loopback(program.grpc_port) << "   " << http << "/metrics\n";
    } else if (program.role == DevRole::kAgent) {
      out << "  host " << program.name << "      " << DevHostAddress(program.index) << " (zone "
          << DevHostZone(supervisor.options(), program.index) << ")   " << http << "/metrics\n";
    } else {
      const std::string zone = DevProxyZone(supervisor.options(), program.index);
      out << "  proxy " << program.name << "     " << (zone.empty() ? "" : "(zone " + zone + ")   ")
          << http << "/metrics\n";
    }
  }
  const DevOptions& options = supervisor.options();
  out << "Next, in another terminal";
  if (options.insecure) {
    out << ":\n  export REMUDA_INSECURE=1 REMUDA_CONTROLLER=" << supervisor.controller_address()
        << "\n";
  } else {
    out << " (`remuda` is in context " << options.context << " there: you are its admin):\n";
  }
  out << "  remuda get hosts\n"
         "  remuda image push hello-v1 DIR && remuda apply -f deploy/examples/manifests/app.yaml\n"
         "Ctrl-C stops everything; the next `remuda dev` here brings the same groups back."
      << std::endl;
}

// Until a signal asks to stop. The ready file follows: what a program that was started again is
// called by the system is another number.
void KeepUp(DevSupervisor& supervisor, std::ostream& err) {
  const std::string& ready_file = supervisor.options().ready_file;
  int written = supervisor.changes();
  while (supervisor.RunFor(kForever, [&] { return supervisor.changes() != written; })) {
    written = supervisor.changes();
    if (ready_file.empty()) continue;
    const absl::Status status = WriteAtomically(ready_file, ReadyJson(supervisor));
    if (!status.ok()) err << "remuda dev: " << status.message() << std::endl;
  }
}

// On a signal that came first: 0, a person wanted it to end.
ExitCode Supervise(DevSupervisor& supervisor, Context& context) {
  context.err << "remuda dev: starting a controller, "
              << Counted(supervisor.options().hosts, "host") << " and "
              << Counted(supervisor.options().proxies, "proxy") << " in "
              << supervisor.options().data_dir << std::endl;
  const DevOptions& options = supervisor.options();
  absl::Status status = supervisor.Start([&] {
    return options.insecure
               ? absl::OkStatus()
               : PrepareDevIdentities(options, supervisor.controller_address(),
                                      supervisor.join_address(), supervisor.programs());
  });
  if (status.ok()) status = AwaitJoined(supervisor);
  const std::string& settings_file = context.settings.path;
  if (status.ok() && !options.insecure && !options.context.empty() && !settings_file.empty()) {
    status = PutDevContext(options, supervisor.controller_address(), supervisor.join_address(),
                           options.context, settings_file);
  }
  if (status.ok() && !supervisor.options().ready_file.empty()) {
    status = WriteAtomically(supervisor.options().ready_file, ReadyJson(supervisor));
  }
  if (status.ok()) {
    PrintSummary(supervisor, context.out);
    KeepUp(supervisor, context.err);
  }
  if (!status.ok() && status.code() != absl::StatusCode::kCancelled) {
    context.err << "remuda dev: " << status.message() << std::endl;
  }
  context.err << "remuda dev: stopping (once more to force)" << std::endl;
  supervisor.Stop();
  if (!supervisor.options().ready_file.empty())
    std::filesystem::remove(supervisor.options().ready_file);
  if (status.ok() || status.code() == absl::StatusCode::kCancelled) return ExitCode::kOk;
  return status.code() == absl::StatusCode::kDeadlineExceeded ? ExitCode::kTimedOut
                                                              : ExitCode::kFailed;
}

ExitCode RunDev(Context& context, DevOptions options) {
  std::error_code error;
  options.program_dir = ProcessEnvironment("REMUDA_BIN_DIR");
  if (options.program_dir.empty()) {
    options.program_dir =
        std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
  }
  options.data_dir = std::filesystem::absolute(options.data_dir, error).lexically_normal().string();
  if (auto status = CheckDevOptions(options); !status.ok())
    return FailUsage(context, std::string(status.message()));
  std::filesystem::create_directories(options.data_dir, error);
  if (error) {
    context.err << "remuda dev: --data-dir " << options.data_dir << ": " << error.message() << "\n";
    return ExitCode::kFailed;
  }
  DataDirLock lock;
  absl::Status status = lock.Take(options.data_dir);
  if (status.ok()) status = CheckPorts(options);
  if (!status.ok()) {
    context.err << "remuda dev: " << status.message() << "\n";
    return ExitCode::kFailed;
  }
  if (!options.ready_file.empty()) std::filesystem::remove(options.ready_file, error);
  options.insecure = context.settings.insecure;
  DevSupervisor supervisor(std::move(options), context.err);
  return Supervise(supervisor, context);
}

}  // namespace

void AddDevCommand(CLI::App& app, Context& context) {
  auto* command =
      app.add_subcommand("dev", "Run a whole cluster on this machine, in the foreground");
  auto options = std::make_shared<DevOptions>();
  command->add_option("--hosts", options->hosts, "Hosts (agents), at 127.0.1.1, 127.0.1.2, …")
      ->capture_default_str();
  command->add_option("--proxies", options->proxies, "Proxies")->capture_default_str();
  command
      ->add_option("--zones", options->zones,
                   "Zones of hosts and of proxies, in turn: a,b (default: hosts have a, b, …, "
                   "proxies none)")
      ->delimiter(',');
  command
      ->add_option("--data-dir", options->data_dir,
                   "State, images, apps and logs; kept over restarts")
      ->envname("REMUDA_DEV_DATA_DIR")
      ->capture_default_str();
  command
      ->add_option("--controller-port", options->controller_port,
                   "The controller's gRPC port; 0: any")
      ->capture_default_str();
  command
      ->add_option("--controller-http-port", options->controller_http_port, "Its HTTP port; 0: any")
      ->capture_default_str();
  command
      ->add_option("--join-port", options->join_port,
                   "The port of its join endpoint, where identities are got; 0: any")
      ->capture_default_str();
  command
      ->add_option("--context", options->context,
                   "Context of the settings file that this cluster becomes, as the current one; "
                   "empty: none")
      ->capture_default_str();
  command
      ->add_option("--agent-http-port", options->agent_http_port,
                   "HTTP port of h1, then counting up; 0: any")
      ->capture_default_str();
  command
      ->add_option("--proxy-http-port", options->proxy_http_port,
                   "HTTP port of p1, then counting up; 0: any")
      ->capture_default_str();
  command
      ->add_option("--log-level", options->log_level,
                   "Of the programs: trace, debug, info, warn, error")
      ->capture_default_str();
  command->add_option("--ready-file", options->ready_file,
                      "Written when everything is up, and again when a program was started again: "
                      "JSON with addresses and process ids");
  SetExample(command,
             "remuda dev --hosts 3 --data-dir /tmp/cluster\n  remuda dev --hosts 4 --proxies "
             "2 --zones a,b");
  command->callback([&context, options] {
    context.is_offline = true;
    context.run = [&context, options] { return RunDev(context, *options); };
  });
}

}  // namespace remuda::cli
