#include "cli/settings.h"

#include <absl/status/status.h>
#include <absl/strings/numbers.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "common/duration_text.h"
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

absl::Status Apply(const std::string& key, const std::string& value, const std::string& source,
                   Settings* settings) {
  if (key == "controller") {
    auto address = ControllerAddress(value, source);
    if (!address.ok()) return address.status();
    settings->controller = *std::move(address);
    settings->controller_source = source;
    return absl::OkStatus();
  }
  if (key == "identity-dir") {
    settings->identity_dir = value;
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

absl::Status ReadFile(const std::string& path, bool must_exist, Settings* settings) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return must_exist ? Invalid("REMUDA_CLI_CONFIG: cannot read " + path) : absl::OkStatus();
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  auto documents = ParseYaml(text, path);
  if (!documents.ok()) return documents.status();
  if (documents->empty()) return absl::OkStatus();
  const YamlNode& root = *documents->front().root;
  if (root.kind != YamlNode::Kind::kMap) return Invalid(path + ": expected a map of settings");
  for (const auto& [key, value] : root.entries) {
    const std::string place = FormatPosition(path, key->position);
    if (key->scalar != "controller" && key->scalar != "timeout" && key->scalar != "identity-dir" &&
        key->scalar != "insecure") {
      return Invalid(place + ": " + key->scalar +
                     ": unknown setting; there are controller, identity-dir, insecure, timeout");
    }
    if (value->kind != YamlNode::Kind::kScalar)
      return Invalid(place + ": " + key->scalar + ": expected text");
    if (auto status = Apply(key->scalar, value->scalar, place, settings); !status.ok())
      return status;
  }
  return absl::OkStatus();
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

absl::StatusOr<Settings> ResolveSettings(const SettingFlags& flags,
                                         const Environment& environment) {
  Settings settings;
  const std::string named = environment("REMUDA_CLI_CONFIG");
  std::string directory = environment("XDG_CONFIG_HOME");
  if (directory.empty() && !environment("HOME").empty())
    directory = environment("HOME") + "/.config";
  if (!named.empty() || !directory.empty()) {
    const std::string path = named.empty() ? directory + "/remuda/config.yaml" : named;
    if (auto status = ReadFile(path, !named.empty(), &settings); !status.ok()) return status;
  }
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
  if (flags.identity_dir.has_value()) settings.identity_dir = *flags.identity_dir;
  if (flags.insecure) settings.insecure = true;
  return settings;
}

absl::Status TakeIdentity(Settings& settings) {
  if (!settings.insecure && settings.identity_dir.empty()) {
    return absl::FailedPreconditionError(
        "nobody is logged in at " + settings.controller +
        ": `remuda login` does that; --identity-dir names an identity, --insecure a controller on "
        "this machine without identities");
  }
  auto dial = identity::PrepareDial({.controller = settings.controller,
                                     .directory = settings.identity_dir,
                                     .insecure = settings.insecure,
                                     .role = v1::IDENTITY_ROLE_UNSPECIFIED,
                                     .name = ""});
  if (!dial.ok()) return dial.status();
  settings.dial = std::make_shared<const identity::Dial>(*std::move(dial));
  return absl::OkStatus();
}

}  // namespace remuda::cli
