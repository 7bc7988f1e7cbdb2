#include "cli/settings.h"

#include <absl/status/status.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_split.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <vector>

#include "cli/contexts.h"
#include "common/duration_text.h"
#include "common/identity/controller_addresses.h"
#include "common/identity/dial.h"
#include "common/message_yaml.h"
#include "common/words.h"

namespace remuda::cli {
namespace {

constexpr std::chrono::milliseconds kMinTimeout{1};
constexpr std::chrono::hours kMaxTimeout{24};

absl::Status Invalid(const std::string& message) { return absl::InvalidArgumentError(message); }

// HOST:PORT, HOST alone (the default port), or [IPV6]:PORT.
absl::StatusOr<std::string> ControllerAddress(const std::string& value, const std::string& source) {
  const size_t colon = value.rfind(':');
  const bool has_port = colon != std::string::npos && value.find(']', colon) == std::string::npos;
  const std::string host = has_port ? value.substr(0, colon) : value;
  const bool is_bracketed = !host.empty() && host.front() == '[' && host.back() == ']';
  if (host.empty() || value.find_first_of("/ \t") != std::string::npos ||
      (!is_bracketed && host.find(':') != std::string::npos)) {
    return Invalid(source + ": \"" + value + "\" is not HOST:PORT, for example 127.0.0.1:7400");
  }
  if (!has_port) return host + ":7400";
  int port = 0;
  if (!absl::SimpleAtoi(value.substr(colon + 1), &port) || port < 1 || port > 65535) {
    return Invalid(source + ": the port of \"" + value + "\" is not a number from 1 to 65535");
  }
  return value;
}

// The same of several, with commas between.
absl::StatusOr<std::string> ControllersOf(const std::string& value, const std::string& source) {
  std::vector<std::string> all;
  const std::vector<std::string> parts = absl::StrSplit(value, ',');
  for (const std::string& one : parts) {
    auto address = ControllerAddress(one, source);
    if (!address.ok()) return address.status();
    all.push_back(*std::move(address));
  }
  const auto parsed = identity::ParseControllers(identity::ControllersText(all));
  if (!parsed.ok()) return Invalid(source + ": " + std::string(parsed.status().message()));
  return identity::ControllersText(*parsed);
}

absl::Status Apply(const std::string& key, const std::string& value, const std::string& source,
                   Settings* settings) {
  if (key == "controller") {
    auto controllers = ControllersOf(value, source);
    if (!controllers.ok()) return controllers.status();
    settings->controller = *std::move(controllers);
    settings->controller_source = source;
    settings->controllers_file.clear();
    return absl::OkStatus();
  }
  if (key == "identity-dir") {
    settings->identity_dir = value;
    settings->controllers_file.clear();
    return absl::OkStatus();
  }
  if (key == "insecure") {
    if (value != "true" && value != "false" && value != "1" && value != "0")
      return Invalid(source + ": \"" + value + "\" is neither true nor false");
    settings->insecure = value == "true" || value == "1";
    return absl::OkStatus();
  }
  google::protobuf::Duration duration;
  if (const auto wrong = ParseDuration(value, &duration)) return Invalid(source + ": " + *wrong);
  const auto timeout =
      std::chrono::seconds(duration.seconds()) + std::chrono::nanoseconds(duration.nanos());
  if (timeout < kMinTimeout || timeout > kMaxTimeout) {
    return Invalid(source + ": " + value + " is not within 1ms and 24h");
  }
  settings->timeout = std::chrono::ceil<std::chrono::milliseconds>(timeout);
  return absl::OkStatus();
}

// The file's own settings, with where each stands.
absl::Status ApplyFile(const std::string& text, const std::string& path, Settings* settings) {
  auto documents = ParseYaml(text, path);
  if (!documents.ok()) return documents.status();
  if (documents->empty()) return absl::OkStatus();
  const YamlNode& root = *documents->front().root;
  if (root.kind != YamlNode::Kind::kMap) return Invalid(path + ": expected a map of settings");
  static const std::set<std::string> kOfContexts = {"current-context", "contexts", "clusters",
                                                    "users"};
  for (const auto& [key, value] : root.entries) {
    const std::string place = FormatPosition(path, key->position);
    if (kOfContexts.count(key->scalar) != 0) continue;
    if (key->scalar != "controller" && key->scalar != "timeout" && key->scalar != "identity-dir" &&
        key->scalar != "insecure") {
      return Invalid(place + ": " + key->scalar +
                     ": unknown setting; there are controller, identity-dir, insecure, timeout, "
                     "and those of contexts: current-context, contexts, clusters, users");
    }
    if (value->kind != YamlNode::Kind::kScalar)
      return Invalid(place + ": " + key->scalar + ": expected text");
    if (auto status = Apply(key->scalar, value->scalar, place, settings); !status.ok())
      return status;
  }
  return absl::OkStatus();
}

absl::Status ApplyContext(const Contexts& contexts, const std::string& name,
                          const std::string& source, Settings* settings) {
  const NamedContext* const context = contexts.Find(name);
  if (context == nullptr) {
    std::string known;
    for (const NamedContext& one : contexts.contexts) known += " " + one.name;
    return Invalid(source + ": there is no context \"" + name + "\"" +
                   (known.empty() ? "; `remuda login` makes one" : "; there are" + known));
  }
  settings->context = name;
  const std::string where = settings->path + ": context " + name;
  if (!context->cluster.empty()) {
    const ContextCluster* const cluster = contexts.FindCluster(context->cluster);
    if (cluster == nullptr)
      return Invalid(where + ": there is no cluster \"" + context->cluster + "\"");
    if (auto status = Apply("controller", cluster->controller, where, settings); !status.ok())
      return status;
  }
  if (!context->user.empty()) {
    const ContextUser* const user = contexts.FindUser(context->user);
    if (user == nullptr) return Invalid(where + ": there is no user \"" + context->user + "\"");
    settings->identity_dir = user->identity_dir;
    settings->insecure = false;
    if (!context->cluster.empty())
      settings->controllers_file = user->identity_dir + "/" + kControllersFile;
  }
  return absl::OkStatus();
}

// Adds what a context's controllers have said of where they are, behind what the context says. Only
// where that is one of them: through a tunnel the others would not be reached.
void AddLearned(Settings* settings) {
  if (settings->insecure) settings->controllers_file.clear();
  if (settings->controllers_file.empty()) return;
  const auto learned = identity::LearnedControllers(settings->controllers_file);
  std::vector<std::string> all = absl::StrSplit(settings->controller, ',');
  const auto has = [](const std::vector<std::string>& in, const std::string& address) {
    return std::find(in.begin(), in.end(), address) != in.end();
  };
  const bool is_direct = std::any_of(all.begin(), all.end(),
                                     [&](const std::string& given) { return has(learned, given); });
  if (!is_direct) return;
  for (const std::string& address : learned) {
    if (all.size() < identity::kMaxControllers && !has(all, address)) all.push_back(address);
  }
  settings->controller = identity::ControllersText(all);
}

absl::Status ReadFile(const SettingFlags& flags, const Environment& environment,
                      Settings* settings) {
  Contexts contexts;
  std::ifstream in(settings->path, std::ios::binary);
  if (in) {
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    if (auto status = ApplyFile(text, settings->path, settings); !status.ok()) return status;
    auto parsed = ParseContexts(text, settings->path);
    if (!parsed.ok()) return parsed.status();
    contexts = *std::move(parsed);
  } else if (!environment("REMUDA_CLI_CONFIG").empty()) {
    return Invalid("REMUDA_CLI_CONFIG: cannot read " + settings->path);
  }
  if (flags.context.has_value())
    return ApplyContext(contexts, *flags.context, "--context", settings);
  if (const std::string named = environment("REMUDA_CONTEXT"); !named.empty())
    return ApplyContext(contexts, named, "REMUDA_CONTEXT", settings);
  if (contexts.current.empty()) return absl::OkStatus();
  return ApplyContext(contexts, contexts.current, settings->path + ": current-context", settings);
}

}  // namespace

std::string ProcessEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool IsTextUtf8(const Environment& environment) {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string locale = Folded(environment(name));
    if (!locale.empty()) return locale.find("utf8") != std::string::npos;
  }
  return false;
}

std::string SettingsPath(const Environment& environment) {
  if (const std::string named = environment("REMUDA_CLI_CONFIG"); !named.empty()) return named;
  std::string directory = environment("XDG_CONFIG_HOME");
  if (directory.empty() && !environment("HOME").empty())
    directory = environment("HOME") + "/.config";
  return directory.empty() ? "" : directory + "/remuda/config.yaml";
}

absl::StatusOr<Settings> ResolveSettings(const SettingFlags& flags,
                                         const Environment& environment) {
  Settings settings;
  settings.path = SettingsPath(environment);
  if (auto status = ReadFile(flags, environment, &settings); !status.ok()) return status;
  for (const auto& [key, variable] : {std::pair{"controller", "REMUDA_CONTROLLER"},
                                      {"timeout", "REMUDA_TIMEOUT"},
                                      {"identity-dir", "REMUDA_IDENTITY_DIR"},
                                      {"insecure", "REMUDA_INSECURE"}}) {
    const std::string value = environment(variable);
    if (value.empty()) continue;
    if (auto status = Apply(key, value, variable, &settings); !status.ok()) return status;
  }
  if (flags.controller.has_value()) {
    if (auto status = Apply("controller", *flags.controller, "--controller", &settings);
        !status.ok())
      return status;
  }
  if (flags.timeout.has_value()) {
    if (auto status = Apply("timeout", *flags.timeout, "--timeout", &settings); !status.ok())
      return status;
  }
  if (flags.identity_dir.has_value()) {
    settings.identity_dir = *flags.identity_dir;
    settings.controllers_file.clear();
  }
  if (flags.insecure) settings.insecure = true;
  AddLearned(&settings);
  return settings;
}

absl::Status TakeIdentity(Settings& settings) {
  if (!settings.insecure && settings.identity_dir.empty()) {
    return absl::FailedPreconditionError(
        "nobody is logged in at " + settings.controller +
        ": `remuda login` does that; --identity-dir names an identity, --insecure a controller on "
        "this machine without identities");
  }
  auto dial = identity::PrepareDial({.controllers = absl::StrSplit(settings.controller, ','),
                                     .directory = settings.identity_dir,
                                     .insecure = settings.insecure,
                                     .role = v1::IDENTITY_ROLE_UNSPECIFIED,
                                     .name = ""});
  if (!dial.ok()) return dial.status();
  if (dial->files.has_value() && dial->self.expire_time <= absl::Now()) {
    return absl::FailedPreconditionError(
        "the certificate of " + identity::Text(dial->self.id) + " ended at " +
        absl::FormatTime(dial->self.expire_time, absl::UTCTimeZone()) +
        ": log in anew (`remuda login`) with a token that an admin makes");
  }
  settings.dial = std::make_shared<const identity::Dial>(*std::move(dial));
  return absl::OkStatus();
}

}  // namespace remuda::cli
