// Where the command's settings come from: flag > environment > file > default.
//
// What a context's controllers say of where they are is kept beside its identity, and dialled
// behind what the context says.
//
// The file is `$XDG_CONFIG_HOME/remuda/config.yaml`, or `~/.config/remuda/config.yaml`;
// REMUDA_CLI_CONFIG names another. It may hold `controller`, `timeout`, and contexts (contexts.h):
// a context's controller and identity come before the file's own, and after the environment's.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <optional>
#include <string>

#include "cli/context.h"

namespace remuda::cli {

struct SettingFlags {
  std::optional<std::string> controller = {};
  std::optional<std::string> timeout = {};
  std::optional<std::string> identity_dir = {};
  std::optional<std::string> context = {};
  bool insecure = false;
};

// Beside an identity: ControllerAddresses' file.
inline constexpr char kControllersFile[] = "controllers";

// nullptr-free view of the environment: empty and unset are the same.
using Environment = std::function<std::string(const char* name)>;
std::string ProcessEnvironment(const char* name);

// Whether the user's terminal takes UTF-8, by the locale's names as POSIX has their order.
bool IsTextUtf8(const Environment& environment);

// Where the settings file is; empty: nowhere (no HOME).
std::string SettingsPath(const Environment& environment);

// INVALID_ARGUMENT names the source and the value that is wrong.
absl::StatusOr<Settings> ResolveSettings(const SettingFlags& flags, const Environment& environment);

// Fills settings.dial; starts no thread. FAILED_PRECONDITION: there is no identity, or its
// certificate is over, and what to do.
absl::Status TakeIdentity(Settings& settings);

}  // namespace remuda::cli
