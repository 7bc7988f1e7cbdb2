#include "controller/options.h"

#include <google/protobuf/duration.pb.h>

#include <CLI/CLI.hpp>
#include <cctype>
#include <charconv>
#include <iostream>

#include "common/duration_text.h"
#include "common/quantity.h"
#include "common/settings_file.h"
#include "controller/core/model/time.h"
#include "controller/engine/failpoints.h"
#include "controller/identity/cluster_identity.h"

namespace remuda {
namespace {

// As many controllers as a cluster has at most.
constexpr int kMaxImageCopies = 64;

constexpr char kFooter[] =
    "Settings: a flag, else the environment (REMUDA_ and the flag's name, as REMUDA_DATA_DIR), "
    "else the file of --config\n"
    "(lines of NAME = VALUE, as data-dir = /var/lib/remuda), else the default.\n"
    "Other uses, each with its own --help: remuda-controller restore (puts a backup in place), "
    "migrate "
    "(from one store to\n"
    "another), admin-token (shows how the first admin gets in).\n"
    "Example: remuda-controller --data-dir /var/lib/remuda/controller\n";

std::string EnvironmentName(const std::string& flag) {
  std::string name = "REMUDA_";
  for (const char c : flag.substr(2)) {
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

template <class T>
CLI::Option* Add(CLI::App& app, const std::string& flag, T& out, const std::string& help) {
  return app.add_option(flag, out, help)->envname(EnvironmentName(flag))->capture_default_str();
}

void AddDuration(CLI::App& app, const std::string& flag, absl::Duration& out,
                 const std::string& help) {
  const auto parse = [&out, flag](const std::string& text) {
    google::protobuf::Duration duration;
    std::optional<std::string> error = ParseDuration(text, &duration);
    if (!error.has_value() && core::FromProto(duration) < absl::Milliseconds(1))
      error = text + " is below 1ms";
    if (error.has_value()) throw CLI::ValidationError(flag, *error);
    out = core::FromProto(duration);
  };
  app.add_option_function<std::string>(flag, parse, help)
      ->envname(EnvironmentName(flag))
      ->default_str(FormatDuration(core::ToProto(out)))
      ->type_name("DURATION");
}

void AddBytes(CLI::App& app, const std::string& flag, int64_t& out, const std::string& help) {
  const auto parse = [&out, flag](const std::string& text) {
    const auto bytes = ParseMemoryBytes(text);
    if (!bytes.ok()) throw CLI::ValidationError(flag, std::string(bytes.status().message()));
    out = *bytes;
  };
  app.add_option_function<std::string>(flag, parse, help)
      ->envname(EnvironmentName(flag))
      ->default_str(std::to_string(out))
      ->type_name("SIZE");
}

void AddImageCopies(CLI::App& app, int& out) {
  const std::string flag = "--image-copies";
  const auto take = [&out, flag](int copies) {
    if (copies < 1 || copies > kMaxImageCopies) {
      throw CLI::ValidationError(
          flag, std::to_string(copies) + " is not within 1-" + std::to_string(kMaxImageCopies));
    }
    out = copies;
  };
  app.add_option_function<int>(
         flag, take,
         "Controllers that must hold an image before a push is acknowledged, 1-64; default: 2 with "
         "etcd and no --blobs, else 1")
      ->envname(EnvironmentName(flag))
      ->type_name("NUMBER");
}

void AddFailpoints(CLI::App& app, std::vector<std::string>& out) {
  app.add_option(
         "--failpoint", out,
         "For tests: where the controller dies, fails or waits, as deployment-step-after@2=kill; "
         "may be given several times; more in docs/operations.md")
      ->envname(EnvironmentName("--failpoint"))
      ->delimiter(',')
      ->type_name("NAME[@N]=ACTION");
}

void AddAnalysisCommands(CLI::App& app, core::AnalysisCommands& out) {
  const std::string flag = "--analysis-command";
  const auto take = [&out, flag](const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
      if (!path.starts_with('/'))
        throw CLI::ValidationError(flag, "\"" + path + "\" is not an absolute path");
      out.insert(path);
    }
  };
  app.add_option_function<std::vector<std::string>>(
         flag, take,
         "Program that analyses of deployments may run here, as the controller's user; may be "
         "given several times")
      ->envname(EnvironmentName(flag))
      ->delimiter(',')
      ->type_name("PATH");
}

void AddIdentity(CLI::App& app, IdentityOptions& out) {
  app.add_option("--advertise", out.advertise,
                 "How others reach this controller: in its certificate, and the first in what "
                 "`remuda token create` prints; may be given several times")
      ->envname(EnvironmentName("--advertise"))
      ->delimiter(',')
      ->type_name("HOST[:PORT]");
  Add(app, "--join-listen", out.join_listen,
      "Address and port where hosts, proxies and people join, by HTTPS; port 0: any")
      ->type_name("ADDRESS:PORT");
  Add(app, "--ca-cert", out.ca_certificate,
      "Certificates of an authority that signs here: its own, those above it, the root; default: "
      "one is made in DATA_DIR/identity")
      ->type_name("FILE");
  Add(app, "--ca-key", out.ca_key, "Its private key")->type_name("FILE");
  Add(app, "--ca-bundle", out.ca_bundle, "More authorities that are trusted")->type_name("FILE");
  Add(app, "--tls-cert", out.tls_certificate,
      "The controller's own certificate, where certificates are issued elsewhere: nobody joins "
      "here then")
      ->type_name("FILE");
  Add(app, "--tls-key", out.tls_key, "Its private key")->type_name("FILE");
  AddDuration(app, "--certificate-lifetime", out.certificate_lifetime,
              "How long certificates of programs are good, 15s-720h; they are renewed after two "
              "thirds");
  app.add_flag("--new-admin-token", out.new_admin_token,
               "Make DATA_DIR/admin-token, with which an admin joins, though there are admins");
}

void AddStore(CLI::App& app, StoreFlags& out) {
  Add(app, "--store", out.store,
      "Where the state is kept: sqlite:PATH, or etcd://HOST:PORT[,HOST:PORT...][/PREFIX]; default: "
      "sqlite:DATA_DIR/state.db")
      ->type_name("STORE");
  Add(app, "--store-ca", out.ca, "Authorities that sign etcd's certificate: TLS")
      ->type_name("FILE");
  Add(app, "--store-cert", out.certificate, "The controller's certificate for etcd")
      ->type_name("FILE");
  Add(app, "--store-key", out.key, "Its private key")->type_name("FILE");
  Add(app, "--store-user", out.user, "User of etcd")->type_name("NAME");
  Add(app, "--store-password-file", out.password_file, "File whose first line is the password")
      ->type_name("FILE");
  Add(app, "--store-lease", out.lease_seconds,
      "Without a word from etcd for so long leadership is lost, 2s-60s; default: 2s")
      ->type_name("SECONDS")
      ->transform([](std::string text) {
        if (text.size() > 1 && text.ends_with('s')) text.pop_back();
        return text;
      });
  app.add_flag("--store-insecure", out.insecure, "Reach etcd on other machines without TLS")
      ->envname("REMUDA_STORE_INSECURE");
}

void AddKubernetes(CLI::App& app, KubernetesFlags& out) {
  Add(app, "--kubernetes-api", out.api,
      "API of Kubernetes, whose Services target groups may follow; default: that of the pod, if "
      "this is one")
      ->type_name("URL");
  Add(app, "--kubernetes-token-file", out.token_file,
      "Token for it, read anew for each request; default: of the pod's service account")
      ->type_name("FILE");
  Add(app, "--kubernetes-ca-file", out.ca_file,
      "Authorities that sign its certificate; default: of the pod's service account, else those "
      "of this system")
      ->type_name("FILE");
}

// CLI11 would let a file override the environment: so the lines become environment variables.
void TakeFile(const std::string& path, const CLI::App& app, SettingsFile& file) {
  const auto variable_of = [&app](const std::string& name) -> std::string {
    const CLI::Option* option = app.get_option_no_throw("--" + name);
    return option == nullptr || name == "config" ? "" : option->get_envname();
  };
  if (const std::string wrong = file.Take(path, variable_of); !wrong.empty())
    throw CLI::ValidationError("--config", wrong);
}

// Once the store is known.
void CheckImageCopies(Options& options) {
  const bool is_alone = options.store.kind == StoreOptions::Kind::kSqlite || !options.blobs.empty();
  if (options.image_copies == 0) options.image_copies = is_alone ? 1 : 2;
  if (options.image_copies == 1 || !is_alone) return;
  throw CLI::ValidationError(
      "--image-copies",
      std::to_string(options.image_copies) +
          (options.blobs.empty() ? ": must be 1 with an SQLite store, which has one controller"
                                 : ": must be 1 with --blobs, which all controllers share"));
}

void Check(Options& options) {
  const auto failpoints = Failpoints::Parse(options.failpoints, Failpoints::RealEffects());
  if (!failpoints.ok())
    throw CLI::ValidationError("--failpoint", std::string(failpoints.status().message()));
  if (options.metric_period < absl::Seconds(1) || options.metric_period > absl::Seconds(60)) {
    throw CLI::ValidationError(
        "--metric-period",
        FormatDuration(core::ToProto(options.metric_period)) + " is not within 1s-60s");
  }
  if (options.controller_name.empty()) options.controller_name = DefaultControllerName();
  if (!identity::IsIdentityName(options.controller_name)) {
    throw CLI::ValidationError(
        "--controller-name",
        "\"" + options.controller_name + "\" is no name: [a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?");
  }
  if (options.data_dir.empty()) throw CLI::RequiredError("--data-dir");
  auto store = ParseStoreOptions(options.store_flags, options.data_dir);
  if (!store.ok()) throw CLI::ValidationError(std::string(store.status().message()));
  options.store = *std::move(store);
  if (const std::string error =
          FindApi(options.kubernetes_flags, &ReadEnvironment, options.kubernetes);
      !error.empty())
    throw CLI::ValidationError(error);
  CheckImageCopies(options);
  if (const std::string error = CheckIdentityOptions(options.identity); !error.empty())
    throw CLI::ValidationError(error);
  for (const auto& [flag, text] :
       {std::pair{"--listen", &options.listen}, std::pair{"--http", &options.http}}) {
    Endpoint endpoint;
    if (const std::string error = ParseEndpoint(*text, endpoint); !error.empty())
      throw CLI::ValidationError(flag, error);
    if (endpoint.is_loopback) continue;
    if (text == &options.listen && options.insecure) {
      throw CLI::ValidationError(
          flag, *text +
                    " is not a loopback address: with --insecure whoever reaches the port "
                    "controls the cluster");
    }
    if (text == &options.http && !options.open_admin) {
      throw CLI::ValidationError(
          flag, *text +
                    " is not a loopback address. The pages have neither authentication nor "
                    "TLS: whoever reaches the port reads them. Give --open-admin if that is "
                    "what you want");
    }
  }
}

}  // namespace

std::vector<std::string> WordsToBeginAnew(const std::vector<std::string>& words,
                                          const Options& options) {
  const std::vector<std::pair<std::string, std::string>> ports = {
      {"--listen", options.listen},
      {"--http", options.http},
      {"--join-listen", options.identity.join_listen}};
  std::vector<std::string> out;
  for (size_t i = 0; i < words.size(); ++i) {
    bool is_port = false;
    for (const auto& [flag, value] : ports) {
      if (words[i].starts_with(flag + "=")) is_port = true;
      if (words[i] != flag) continue;
      is_port = true;
      ++i;  // its value
      break;
    }
    if (!is_port) out.push_back(words[i]);
  }
  for (const auto& [flag, value] : ports) out.push_back(flag + "=" + value);
  return out;
}

std::vector<std::string> HostsOf(const Options& options) {
  std::vector<std::string> hosts;
  Endpoint listen;
  ParseEndpoint(options.listen, listen);
  hosts.push_back(listen.address);
  for (const std::string& text : options.identity.advertise) {
    AdvertisedAddress address;
    if (ParseAdvertised(text, address)) hosts.push_back(address.host);
  }
  return hosts;
}

int ParseOptions(int argc, char** argv, Options& options) {
  CLI::App app("Holds the cluster's state, decides, and tells agents and proxies.",
               "remuda-controller");
  app.set_version_flag("--version", "remuda-controller " REMUDA_VERSION);
  app.footer(kFooter);
  std::string config;
  app.add_option("--config", config, "File with settings")
      ->envname("REMUDA_CONTROLLER_CONFIG")
      ->type_name("FILE");
  Add(app, "--controller-name", options.controller_name,
      "This controller's name: in its identity, and among those that share a store; default: the "
      "machine's")
      ->type_name("NAME");
  Add(app, "--listen", options.listen, "Address and port of the API; port 0: any")
      ->type_name("ADDRESS:PORT");
  Add(app, "--http", options.http,
      "Address and port of /metrics, /healthz and /readyz; port 0: any")
      ->type_name("ADDRESS:PORT");
  Add(app, "--data-dir", options.data_dir, "Where state and images are kept; made if missing")
      ->type_name("DIR");
  AddStore(app, options.store_flags);
  Add(app, "--sealing-key-file", options.sealing_key_file,
      "Keys that secrets are sealed under in the store, one a line, the newest first; by default "
      "sealing.key in the data directory; made if missing in a new one")
      ->type_name("FILE");
  app.add_flag("--insecure", options.insecure,
               "Serve the API without TLS and identities, on loopback only")
      ->envname("REMUDA_INSECURE");
  AddIdentity(app, options.identity);
  app.add_flag("--open-admin", options.open_admin,
               "Allow /metrics, /healthz and /readyz beyond loopback: no authentication, no TLS")
      ->envname("REMUDA_OPEN_ADMIN");
  AddDuration(app, "--host-lost-after", options.patience.host_lost_after,
              "Silence after which a host is lost");
  AddDuration(app, "--replace-lost-after", options.patience.replace_lost_after,
              "From a host's loss to replacements of its instances elsewhere");
  AddDuration(app, "--proxy-lease", options.patience.proxy_lease,
              "How long a proxy without a session counts as serving its last config");
  AddDuration(app, "--metric-period", options.metric_period,
              "How often groups are measured and their policies evaluated, 1s-60s");
  AddBytes(app, "--image-limit", options.image_limit_bytes, "Bytes of one image at most");
  Add(app, "--blobs", options.blobs,
      "Directory that all controllers share, for the bytes of images; default: DATA_DIR/images, "
      "and "
      "each controller has its own")
      ->type_name("DIR");
  AddImageCopies(app, options.image_copies);
  Add(app, "--image-keys", options.image_keys,
      "PEM file of Ed25519 public keys: an image that none of them has signed is not taken")
      ->type_name("FILE");
  AddAnalysisCommands(app, options.analysis_commands);
  AddKubernetes(app, options.kubernetes_flags);
  Add(app, "--ready-file", options.ready_file,
      "Written when it serves: JSON with the addresses it really has")
      ->type_name("FILE");
  Add(app, "--log-level", options.log_level, "trace, debug, info, warn, error or off");
  AddFailpoints(app, options.failpoints);
  try {
    SettingsFile file;
    const std::string path = FindSettingsFile(argc, argv, "--config", "REMUDA_CONTROLLER_CONFIG");
    if (!path.empty()) TakeFile(path, app, file);
    app.parse(argc, argv);
    Check(options);
    if (options.sealing_key_file.empty())
      options.sealing_key_file = options.data_dir + "/sealing.key";
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return -1;
}

}  // namespace remuda
