// remuda-agent: runs the instances of one host. `remuda-agent shim DIRECTORY` is the parent of one
// of them.
#include <arpa/inet.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "agent/event_loop.h"
#include "agent/identity.h"
#include "agent/probe.h"
#include "agent/shim.h"
#include "agent/static_site.h"
#include "agent/unpack_child.h"
#include "common/admin_http.h"
#include "common/endpoint.h"
#include "common/grpc_log.h"
#include "common/identity/controller_addresses.h"
#include "common/identity/join_command.h"
#include "common/logging.h"
#include "common/service_manager.h"
#include "common/settings_file.h"
#include "common/utf8.h"

namespace remuda::agent {
namespace {

constexpr char kConfigVariable[] = "REMUDA_AGENT_CONFIG";
constexpr char kDataDirectory[] = "/var/lib/remuda/agent";

struct Flags {
  AgentOptions agent;
  std::string controllers = "127.0.0.1:7400";
  std::vector<std::string> labels;
  std::string admin = "127.0.0.1:7470";
  bool open_admin = false;
  bool insecure = false;
  std::string identity_directory;
  std::string log_level = "info";
  std::string ready_file;
  std::string user_range;
  std::string config;
  std::string image_keys;
};

std::string HostName() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  std::string id;
  // As resource names are: lower case letters, digits, hyphens.
  for (const char* c = name; *c != '\0' && *c != '.' && id.size() < 63; ++c) {
    id += std::isalnum(static_cast<unsigned char>(*c)) != 0 ? static_cast<char>(std::tolower(*c))
                                                            : '-';
  }
  return id.empty() ? "host" : id;
}

std::string CheckAddress(const std::string& text) {
  char buffer[sizeof(in6_addr)];
  if (inet_pton(AF_INET, text.c_str(), buffer) == 1 ||
      inet_pton(AF_INET6, text.c_str(), buffer) == 1)
    return "";
  return "\"" + text + "\" must be a numeric IP address";
}

std::string CheckName(const std::string& text) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  bool good = !text.empty() && text.size() <= 63 && plain(text.front()) && plain(text.back());
  for (const char c : text) good = good && (plain(c) || c == '-');
  return good ? "" : "\"" + text + "\" must match [a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
}

std::string CheckLabel(const std::string& text) {
  return text.find('=') != std::string::npos && text.front() != '='
             ? ""
             : "\"" + text + "\" must be KEY=VALUE";
}

std::string CheckControllers(const std::string& text) {
  return std::string(identity::ParseControllers(text).status().message());
}

std::string CheckText(const std::string& text) {
  return IsUtf8(text) ? "" : "\"" + ValidUtf8(text) + "\" must be UTF-8";
}

void AddFlags(CLI::App& app, Flags& flags) {
  AgentOptions& agent = flags.agent;
  agent.name = HostName();
  agent.data_directory = kDataDirectory;
  agent.address = "127.0.0.1";
  app.option_defaults()->always_capture_default();
  app.add_option("--name", agent.name, "Name of this host")
      ->envname("REMUDA_NAME")
      ->check(CheckName);
  app.add_option(
         "--controller", flags.controllers,
         "The cluster's controllers, HOST:PORT, with commas between; any that is there will "
         "do, and tells where the others are")
      ->envname("REMUDA_CONTROLLER")
      ->check(CheckControllers);
  app.add_option("--data-dir", agent.data_directory, "Where images, instances and logs are kept")
      ->envname("REMUDA_DATA_DIR");
  app.add_option(
         "--address", agent.address,
         "Address of this host, on which apps listen (HOST) and proxies reach them; must be "
         "given if the controller is on another machine")
      ->envname("REMUDA_ADDRESS")
      ->check(CheckAddress);
  app.add_option("--zone", agent.zone, "Zone of this host")
      ->envname("REMUDA_ZONE")
      ->check(CheckText);
  app.add_option("--label", flags.labels, "KEY=VALUE; may be repeated")
      ->envname("REMUDA_LABEL")
      ->delimiter(',')
      ->check(CheckLabel)
      ->check(CheckText);
  app.add_option("--user-range", flags.user_range,
                 "FIRST-LAST: ids of which each instance gets one of its own, where the agent is "
                 "root and the launch template names no user (default: 700000-765535)")
      ->envname("REMUDA_USER_RANGE");
  app.add_option(
         "--image-keys", flags.image_keys,
         "PEM file of Ed25519 public keys: an image that none of them has signed is not run")
      ->envname("REMUDA_IMAGE_KEYS");
  app.add_flag("--allow-root-apps", agent.allow_root_apps,
               "Launch templates may say that an app runs as root; it has no capabilities then")
      ->envname("REMUDA_ALLOW_ROOT_APPS");
  app.add_option(
         "--app-path", agent.readable,
         "A directory that apps may read and run beside /usr, /etc, /opt and those in PATH; "
         "may be repeated")
      ->envname("REMUDA_APP_PATH")
      ->delimiter(':')
      ->check(CLI::ExistingDirectory);
  app.add_option(
         "--admin", flags.admin,
         "Where /healthz, /readyz, /metrics and what apps may ask are served; empty: nowhere")
      ->envname("REMUDA_ADMIN");
  app.add_flag("--open-admin", flags.open_admin,
               "Allow admin pages beyond loopback: no authentication, no TLS")
      ->envname("REMUDA_OPEN_ADMIN");
  app.add_option("--identity-dir", flags.identity_directory,
                 "Where this host's key and certificate are (remuda-agent join); empty: identity "
                 "in the data directory")
      ->envname("REMUDA_IDENTITY_DIR");
  app.add_flag("--insecure", flags.insecure,
               "The controller is on this machine and has no identities (its --insecure)")
      ->envname("REMUDA_INSECURE");
  app.add_option(
         "--ready-file", flags.ready_file,
         "Written once the apps are taken up and the admin pages are served: JSON with key http")
      ->envname("REMUDA_READY_FILE");
  app.add_option("--log-level", flags.log_level, "trace, debug, info, warn, error or off")
      ->envname("REMUDA_LOG_LEVEL");
  app.add_option("--nft", agent.nft,
                 "Program nft, which filters who reaches instances of groups that have security "
                 "groups; empty: it is looked for; `none`: this host filters nothing")
      ->envname("REMUDA_NFT");
  app.add_flag(
         "--stop-instances-on-exit", agent.stop_instances_on_exit,
         "On SIGTERM stop the apps too; without it they run on and a later agent takes them up")
      ->envname("REMUDA_STOP_INSTANCES_ON_EXIT");
  app.add_option("--config", flags.config,
                 "File with settings: lines of NAME = VALUE, as zone = a. A flag beats the "
                 "environment, the environment the file")
      ->envname(kConfigVariable)
      ->type_name("FILE");
  app.set_version_flag("--version", "remuda-agent " REMUDA_VERSION);
  app.footer(
      "First, once: remuda-agent join --help\n"
      "Example: remuda-agent --name h1 --controller 10.0.0.1:7400 --address 10.0.0.11 --zone a");
}

// Throws CLI::ValidationError.
void TakeFile(const std::string& path, const CLI::App& app, SettingsFile& file) {
  const auto variable_of = [&app](const std::string& name) -> std::string {
    const CLI::Option* option = app.get_option_no_throw("--" + name);
    return option == nullptr || name == "config" ? "" : option->get_envname();
  };
  if (const std::string wrong = file.Take(path, variable_of); !wrong.empty())
    throw CLI::ValidationError("--config", wrong);
}

// SIGTERM, SIGINT and SIGCHLD are read on the loop, so every thread must hold them back: call
// before any thread begins.
Fd HoldSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return Fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
}

// What the flags say together. Empty, or what is wrong.
std::string WrongWith(const CLI::App& app, const Flags& flags) {
  Endpoint admin;
  if (!flags.admin.empty()) {
    if (std::string wrong = CheckAdminEndpoint(flags.admin, flags.open_admin, admin);
        !wrong.empty())
      return "--admin: " + wrong;
  }
  for (const std::string& controller : flags.agent.controllers) {
    if (app.get_option("--address")->count() != 0 || IsOnThisMachine(controller)) continue;
    return "--address: must be given, since the controller " + controller +
           " is not on this machine: apps would listen on " + flags.agent.address +
           ", where no proxy of another machine reaches them";
  }
  return "";
}

// Apps call it all at once, say when a deployment protects them: none is to make room for another.
constexpr size_t kMaxHttpConnections = 512;

bool StartAdmin(const std::string& listen, Agent& agent, std::unique_ptr<AdminHttp>& http) {
  if (listen.empty()) return true;
  Endpoint endpoint;
  ParseEndpoint(listen, endpoint);  // checked with the flags
  const auto start = [&](uint16_t port) {
    http = std::make_unique<AdminHttp>(AdminHttp::Options{
        .address = endpoint.address, .port = port, .max_connections = kMaxHttpConnections});
    agent.AddPages(*http);
    return http->Start();
  };
  // Apps that an earlier agent started know its port: where any will do, that one is the first try.
  const uint16_t last = endpoint.port == 0 ? agent.LastHttpPort() : uint16_t{0};
  absl::Status status = start(last != 0 ? last : endpoint.port);
  if (!status.ok() && last != 0) status = start(endpoint.port);
  if (!status.ok()) {
    std::cerr << "remuda-agent: " << status.message() << "\n";
    return false;
  }
  agent.UseHttp(endpoint.address, http->port());
  spdlog::info("admin pages at http://{}/metrics", http->listen_address());
  return true;
}

// Says that the program is alive, as long as the loop turns.
void SayAlive(EventLoop& loop, const ServiceManager& manager) {
  manager.Alive();
  loop.After(manager.alive_interval(), [&loop, &manager] { SayAlive(loop, manager); });
}

int Run(const Flags& flags, const Fd& signals, const ServiceManager& manager) {
  EventLoop loop;
  Agent agent(loop, flags.agent);
  bool stopping = false;
  loop.Watch(signals.get(), [&] {
    signalfd_siginfo info{};
    while (read(signals.get(), &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGCHLD) {
        agent.ReapChildren();
      } else if (stopping) {
        spdlog::warn("second signal: ending at once");
        _exit(1);
      } else {
        stopping = true;
        manager.Stopping(flags.agent.stop_instances_on_exit ? "ending all instances"
                                                            : "instances run on");
        spdlog::info("stopping{}", flags.agent.stop_instances_on_exit ? " with all instances"
                                                                      : "; instances run on");
        agent.Stop([&loop] { loop.Quit(); });
      }
    }
  });
  std::unique_ptr<AdminHttp> http;
  if (const absl::Status status = agent.Start(); !status.ok()) {
    std::cerr << "remuda-agent: " << status.message() << "\n";
    return 1;
  }
  if (!StartAdmin(flags.admin, agent, http)) return 1;
  if (!flags.ready_file.empty()) {
    const std::string ready = "{\"http\":\"" + (http ? http->listen_address() : "") + "\"}\n";
    if (const int error = WriteFileAtomically(flags.ready_file, ready, /*sync=*/false);
        error != 0) {
      std::cerr << "remuda-agent: --ready-file " << flags.ready_file << ": " << std::strerror(error)
                << "\n";
      return 1;
    }
  }
  if (manager.alive_interval().count() > 0) SayAlive(loop, manager);
  manager.Ready("host " + flags.agent.name);
  loop.Run();
  return 0;
}

// Whose the host is, and how it is shown. Empty, or what is wrong.
std::string PrepareDial(const CLI::App& app, Flags& flags) {
  AgentOptions& agent = flags.agent;
  if (flags.identity_directory.empty())
    flags.identity_directory = agent.data_directory + "/identity";
  const bool is_named =
      app.get_option("--name")->count() != 0 || std::getenv("REMUDA_NAME") != nullptr;
  auto dial = identity::PrepareDial({.controllers = agent.controllers,
                                     .directory = flags.identity_directory,
                                     .insecure = flags.insecure,
                                     .role = remuda::v1::IDENTITY_ROLE_AGENT,
                                     .name = is_named ? agent.name : ""});
  if (!dial.ok()) return std::string(dial.status().message());
  if (dial->files.has_value()) agent.name = dial->self.id.name;
  agent.dial = *std::move(dial);
  return "";
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Runs the instances of this host, as the controller assigns them.", "remuda-agent");
  AddFlags(app, flags);
  try {
    SettingsFile file;
    const std::string path = FindSettingsFile(argc, argv, "--config", kConfigVariable);
    if (!path.empty()) TakeFile(path, app, file);
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    const int code = app.exit(e);
    return code == 0 ? 0 : 2;
  }
  flags.agent.controllers = *identity::ParseControllers(flags.controllers);
  if (const std::string wrong = WrongWith(app, flags); !wrong.empty()) {
    std::cerr << "remuda-agent: " << wrong << "\n";
    return 2;
  }
  for (const std::string& label : flags.labels) {
    const size_t equals = label.find('=');
    flags.agent.labels[label.substr(0, equals)] = label.substr(equals + 1);
  }
  if (!flags.user_range.empty()) {
    if (const std::string wrong = ParseUserRange(flags.user_range, flags.agent.users);
        !wrong.empty()) {
      std::cerr << "remuda-agent: --user-range: " << wrong << "\n";
      return 2;
    }
  }
  if (!flags.image_keys.empty()) {
    auto keys = ImageKeys::Load(flags.image_keys);
    if (!keys.ok()) {
      std::cerr << "remuda-agent: --image-keys: " << keys.status().message() << "\n";
      return 2;
    }
    flags.agent.image_keys = *std::move(keys);
  }
  // As apps see it, whatever links lead there.
  std::error_code error;
  if (const auto path = std::filesystem::weakly_canonical(flags.agent.data_directory, error);
      !error)
    flags.agent.data_directory = path.string();
  if (const std::string wrong = InitLogging("remuda-agent", flags.log_level); !wrong.empty()) {
    std::cerr << "remuda-agent: --log-level " << wrong << "\n";
    return 2;
  }
  TakeLogOfGrpc();
  if (const std::string wrong = PrepareDial(app, flags); !wrong.empty()) {
    std::cerr << "remuda-agent: " << wrong << "\n";
    return 2;
  }
  flags.agent.version = REMUDA_VERSION;
  // What a killed shim leaves behind becomes ours to end and to reap.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  const ServiceManager manager = ServiceManager::FromEnvironment();
  const Fd signals = HoldSignals();
  return Run(flags, signals, manager);
}

}  // namespace
}  // namespace remuda::agent

int main(int argc, char** argv) {
  // Before anything else: a shim uses no library of the agent.
  if (argc == 3 && std::strcmp(argv[1], "shim") == 0) {
    return remuda::agent::ShimMain(argv[2], remuda::agent::ServeSite);
  }
  if (argc > 1 && std::strcmp(argv[1], "unpack") == 0) return remuda::agent::UnpackMain(argc, argv);
  if (argc == 3 && std::strcmp(argv[1], "probe") == 0) return remuda::agent::ProbeMain(argv[2]);
  if (remuda::identity::IsJoinCommand(argc, argv)) {
    return remuda::identity::RunJoinCommand(argc, argv,
                                            {.program = "remuda-agent",
                                             .role = remuda::v1::IDENTITY_ROLE_AGENT,
                                             .data_directory = remuda::agent::kDataDirectory,
                                             .next = " --address THIS-HOSTS-ADDRESS",
                                             .prepare = &remuda::agent::MoveOldRecord});
  }
  return remuda::agent::Main(argc, argv);
}
