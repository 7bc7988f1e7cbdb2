#include "proxy/options.h"

#include <CLI/CLI.hpp>

#include "common/endpoint.h"
#include "common/identity/controller_addresses.h"
#include "common/settings_file.h"
#include "proxy/core/config_check.h"
#include "proxy/core/target_state.h"

namespace remuda::proxy {
namespace {

constexpr const char* kExamples = R"(Examples:
  remuda-proxy --config=proxy.yaml
  remuda-proxy --name=p1 --controller=127.0.0.1:7400 --data-dir=/var/lib/remuda-proxy

Each flag can also be given by the environment variable that is named behind it, or stand in the
file of --settings, in lines of NAME = VALUE, as zone = a. A flag beats the environment, the
environment the file. How it gets its identity, once, before it serves what a controller says:
remuda-proxy join --help)";

constexpr char kSettingsVariable[] = "REMUDA_PROXY_SETTINGS";

// "200ms", "30s", "2m".
std::string ParseTime(const std::string& text, std::chrono::milliseconds& out) {
  size_t used = 0;
  double value = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
    return "'" + text + "' is not a time like 500ms, 30s or 2m";
  }
  const std::string unit = text.substr(used);
  const double factor = unit == "ms" ? 1 : unit == "s" ? 1000 : unit == "m" ? 60000 : 0;
  if (factor == 0 || value < 0 || value * factor > 86400000)
    return "'" + text + "' is not a time like 500ms, 30s or 2m";
  out = std::chrono::milliseconds(static_cast<int64_t>(value * factor));
  return "";
}

// For times that would be over before anything can happen.
constexpr std::chrono::milliseconds kLeastTimeout{1};

void AddTime(CLI::App& app, const std::string& flag, std::chrono::milliseconds& out,
             const std::string& help,
             std::chrono::milliseconds least = std::chrono::milliseconds(0)) {
  std::string env = "REMUDA_";
  for (const char c : flag.substr(2))
    env += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  app.add_option_function<std::string>(
         flag,
         [&out, flag, least](const std::string& text) {
           if (const std::string error = ParseTime(text, out); !error.empty())
             throw CLI::ValidationError(flag, error);
           if (out < least) {
             throw CLI::ValidationError(
                 flag, "'" + text + "' is below " + std::to_string(least.count()) + "ms");
           }
         },
         help)
      ->envname(env)
      ->default_str(std::to_string(out.count()) + "ms")
      ->type_name("TIME");
}

// What needs more than a type.
struct RawOptions {
  std::string settings;
  std::string controllers;
  std::vector<std::string> labels;
  std::string admin = "127.0.0.1:7490";
  bool open_admin = false;
};

void AddOptions(CLI::App& app, ProgramOptions& options, RawOptions& raw) {
  app.add_option("--config", options.config,
                 "Config file (YAML or JSON of remuda.proxy.v1.ProxyConfig)")
      ->envname("REMUDA_CONFIG");
  app.add_option("--settings", raw.settings, "File with settings")
      ->envname(kSettingsVariable)
      ->type_name("FILE");
  app.add_flag("--check", options.check,
               "Say whether the config file is right, and exit: 0 if it is, 2 if not");
  app.add_option("--controller", raw.controllers,
                 "The cluster's controllers, with commas between; any that is there will do, and "
                 "tells where the others are")
      ->envname("REMUDA_CONTROLLER")
      ->type_name("HOST:PORT,...");
  app.add_option("--name", options.name, "Name of this proxy, unique in the cluster")
      ->envname("REMUDA_NAME");
  app.add_option("--zone", options.zone, "Zone")->envname("REMUDA_ZONE");
  app.add_option("--address", options.address, "Address to show to people")
      ->envname("REMUDA_ADDRESS");
  app.add_option("--default-listen-address", options.default_listen_address,
                 "Where listeners without an address of their own listen, 127.0.0.1 for example; "
                 "not given: on all addresses")
      ->envname("REMUDA_DEFAULT_LISTEN_ADDRESS");
  app.add_option("--label", raw.labels,
                 "KEY=VALUE, for LoadBalancer.proxy_selector; may be repeated")
      ->envname("REMUDA_LABEL")
      ->delimiter(',');
  app.add_option("--data-dir", options.data_dir,
                 "Where the last good config is kept; it starts from there without a controller. "
                 "One process serves from it, and another one may take over from that")
      ->envname("REMUDA_DATA_DIR");
  app.add_flag("--takeover", options.takes_over,
               "Take the listening sockets over from the process that serves from --data-dir; that "
               "one then drains. If there is none: as without")
      ->envname("REMUDA_TAKEOVER");
  app.add_option("--admin", raw.admin, "Where the admin pages are served; port 0: any")
      ->envname("REMUDA_ADMIN")
      ->type_name("ADDRESS:PORT")
      ->capture_default_str();
  app.add_flag("--open-admin", raw.open_admin,
               "Allow admin pages beyond loopback: no authentication, no TLS")
      ->envname("REMUDA_OPEN_ADMIN");
  app.add_option("--identity-dir", options.identity_directory,
                 "Where this proxy's key and certificate are (remuda-proxy join); empty: identity "
                 "in the data directory")
      ->envname("REMUDA_IDENTITY_DIR");
  app.add_flag("--insecure", options.insecure,
               "The controller is on this machine and has no identities (its --insecure)")
      ->envname("REMUDA_INSECURE");
  app.add_option("--workers", options.workers, "Worker threads; 0: one a core")
      ->envname("REMUDA_WORKERS")
      ->check(CLI::Range(size_t{0}, kMaxWorkers))
      ->capture_default_str();
  app.add_option("--access-log", options.access_log,
                 "File to append the access log to, - for stdout")
      ->envname("REMUDA_ACCESS_LOG");
  app.add_option_function<std::string>(
         "--access-log-format",
         [&options](const std::string& text) {
           options.access_log_format =
               text == "json" ? AccessLogFormat::kJson : AccessLogFormat::kAlb;
         },
         "AWS's fields in AWS's order; json: the same as JSON, a line each")
      ->envname("REMUDA_ACCESS_LOG_FORMAT")
      ->check(CLI::IsMember({"alb", "json"}))
      ->type_name("FORMAT")
      ->default_str("alb");
  app.add_option("--ready-file", options.ready_file,
                 "Written when it serves: JSON with the ports it really has")
      ->envname("REMUDA_READY_FILE");
  app.add_option("--log-level", options.log_level, "trace, debug, info, warn, error")
      ->envname("REMUDA_LOG_LEVEL")
      ->capture_default_str();
  app.add_option("--max-connections", options.settings.max_connections,
                 "Client connections and HTTP/2 streams a worker holds at most")
      ->envname("REMUDA_MAX_CONNECTIONS")
      ->check(CLI::Range(size_t{1}, size_t{1000000}))
      ->capture_default_str();
  app.add_option("--max-connections-per-address", options.settings.max_connections_an_address,
                 "Of both from one address (IPv6: one /64); 0: any number. HTTP/2 needs two: a "
                 "connection, and each of its streams")
      ->envname("REMUDA_MAX_CONNECTIONS_PER_ADDRESS")
      ->check(CLI::Range(size_t{0}, size_t{1000000}))
      ->capture_default_str();
  app.add_flag("--ready-without-lease", options.is_ready_without_lease,
               "/readyz does not fail when the lease from the controller is over: for what is in "
               "front and would turn away from all proxies when the controller is down")
      ->envname("REMUDA_READY_WITHOUT_LEASE");
  AddTime(
      app, "--drain-delay", options.drain_delay,
      "How long after SIGTERM it goes on accepting, not ready, so that what is in front notices");
  AddTime(app, "--drain-timeout", options.drain_timeout,
          "How long SIGTERM waits for requests in flight");
  AddTime(app, "--head-timeout", options.settings.request_head_timeout,
          "From a request's first byte to its last header byte", kLeastTimeout);
  AddTime(app, "--body-rate-interval", options.settings.body_rate_interval,
          "A request's body must bring 2400 bytes in each such interval", kLeastTimeout);
  AddTime(app, "--greeting-timeout", options.settings.greeting_timeout,
          "From accepting a connection to the end of its TLS handshake", kLeastTimeout);
  AddTime(app, "--connect-timeout", options.settings.connect_timeout, "To connect to a target",
          kLeastTimeout);
  AddTime(app, "--pool-idle-timeout", options.settings.pool_idle_timeout,
          "How long an idle connection to a target is kept");
}

// Throws CLI::ValidationError.
void TakeSettings(const std::string& path, const CLI::App& app, SettingsFile& file) {
  const auto variable_of = [&app](const std::string& name) -> std::string {
    const CLI::Option* option = app.get_option_no_throw("--" + name);
    return option == nullptr || name == "settings" ? "" : option->get_envname();
  };
  if (const std::string wrong = file.Take(path, variable_of); !wrong.empty())
    throw CLI::ValidationError("--settings", wrong);
}

// Throws CLI::ValidationError.
void TakeOptions(const RawOptions& raw, ProgramOptions& options) {
  if (options.check && options.config.empty()) throw CLI::ValidationError("--check needs --config");
  if (options.takes_over && options.data_dir.empty())
    throw CLI::ValidationError("--takeover needs --data-dir");
  if (!raw.controllers.empty()) {
    auto controllers = identity::ParseControllers(raw.controllers);
    if (!controllers.ok())
      throw CLI::ValidationError("--controller", std::string(controllers.status().message()));
    options.controllers = *std::move(controllers);
  }
  if (options.config.empty() == options.controllers.empty()) {
    // A file beats the environment's controller; otherwise exactly one must be given.
    if (options.config.empty()) {
      throw CLI::ValidationError("exactly one of --config and --controller is needed");
    }
    options.controllers.clear();
  }
  if (!options.controllers.empty() && options.insecure && options.name.empty())
    throw CLI::ValidationError("--controller with --insecure needs --name");
  if (options.identity_directory.empty()) {
    if (!options.controllers.empty() && !options.insecure && options.data_dir.empty())
      throw CLI::ValidationError("--controller needs --identity-dir, --data-dir or --insecure");
    options.identity_directory = options.data_dir + "/identity";
  }
  if (!options.default_listen_address.empty() && !ParseIp(options.default_listen_address)) {
    throw CLI::ValidationError("--default-listen-address", "'" + options.default_listen_address +
                                                               "' is not an IPv4 or IPv6 address");
  }
  Endpoint admin;
  if (const std::string wrong = CheckAdminEndpoint(raw.admin, raw.open_admin, admin);
      !wrong.empty())
    throw CLI::ValidationError("--admin", wrong);
  options.admin_address = admin.address;
  options.admin_port = admin.port;
  for (const std::string& label : raw.labels) {
    const size_t equals = label.find('=');
    if (equals == 0 || equals == std::string::npos)
      throw CLI::ValidationError("--label", "'" + label + "' is not KEY=VALUE");
    options.labels[label.substr(0, equals)] = label.substr(equals + 1);
  }
}

}  // namespace

int ParseOptions(int argc, char** argv, ProgramOptions& options) {
  CLI::App app("Serves load balancers: from a config file, or as a controller says.",
               "remuda-proxy");
  app.set_version_flag("--version", "remuda-proxy " REMUDA_VERSION);
  app.footer(kExamples);
  options.arguments.assign(argv, argv + argc);
  RawOptions raw;
  AddOptions(app, options, raw);
  try {
    SettingsFile file;
    const std::string path = FindSettingsFile(argc, argv, "--settings", kSettingsVariable);
    if (!path.empty()) TakeSettings(path, app, file);
    app.parse(argc, argv);
    TakeOptions(raw, options);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return -1;
}

std::string TakeIdentity(ProgramOptions& options) {
  auto dial = identity::PrepareDial({.controllers = options.controllers,
                                     .directory = options.identity_directory,
                                     .insecure = options.insecure,
                                     .role = remuda::v1::IDENTITY_ROLE_PROXY,
                                     .name = options.name});
  if (!dial.ok()) return std::string(dial.status().message());
  if (dial->files.has_value()) options.name = dial->self.id.name;
  options.dial = *std::move(dial);
  return "";
}

}  // namespace remuda::proxy
