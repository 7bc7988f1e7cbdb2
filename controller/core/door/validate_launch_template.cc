// What a launch template may say.
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <optional>

#include "common/app_paths.h"
#include "common/quantity.h"
#include "controller/core/door/templates.h"
#include "controller/core/door/validate_resources.h"
#include "controller/core/door/validate_secrets.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/names.h"

namespace remuda::core {
namespace {

constexpr std::string_view kStopSignals[] = {"SIGTERM", "SIGINT",  "SIGQUIT",
                                             "SIGHUP",  "SIGUSR1", "SIGUSR2"};

bool HasNul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

bool IsUserName(std::string_view name) {
  if (name.size() > limits::kUserBytes || name.empty() || name[0] == '-' || name[0] == '.')
    return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

void Say(Violations& out, const FieldPath& at, const std::string& wrong) {
  if (!wrong.empty()) out.Add(at, wrong);
}

void CheckSite(Violations& out, const FieldPath& at, const v1::StaticSite& value) {
  Say(out, at / "root", WrongWithImagePath(value.root()));
  Say(out, at / "index", WrongWithFileName(value.index()));
  Say(out, at / "not_found", WrongWithImagePath(value.not_found()));
  Say(out, at / "cache_control", WrongWithCacheControl(value.cache_control()));
}

void CheckWritablePaths(Violations& out, const FieldPath& at,
                        const v1::LaunchTemplateVersion& value) {
  CheckCount(out, at, value.writable_paths_size(), 0, kMaxWritablePaths);
  for (int i = 0; i < value.writable_paths_size(); ++i)
    Say(out, at[i], WrongWithHostPath(value.writable_paths(i)));
}

void CheckCommand(Violations& out, const FieldPath& at, const v1::LaunchTemplateVersion& value) {
  if (value.has_static_site()) {
    if (value.command_size() > 0) out.Add(at, "must be empty with static_site, which is served");
    return;
  }
  CheckCount(out, at, value.command_size(), 1, limits::kCommandArguments);
  for (int i = 0; i < value.command_size(); ++i) {
    const std::string& argument = value.command(i);
    if (i == 0 && argument.empty()) out.Add(at[0], "the program must not be empty");
    if (HasNul(argument)) out.Add(at[i], "must not contain a NUL byte");
    if (argument.size() > limits::kArgumentBytes) {
      out.Add(at[i], absl::StrCat(argument.size(), " bytes; at most ", limits::kArgumentBytes));
    }
  }
}

void CheckEnv(Violations& out, const FieldPath& at, const v1::LaunchTemplateVersion& value) {
  CheckCount(out, at, static_cast<int>(value.env().size()), 0, limits::kEnvVariables);
  const std::map<std::string, std::string> sorted(value.env().begin(), value.env().end());
  for (const auto& [name, text] : sorted) {
    if (std::string fault = FaultOfEnvName(name); !fault.empty())
      out.Add(at.Key(name), std::move(fault));
    if (HasNul(text)) out.Add(at.Key(name), "must not contain a NUL byte");
    if (text.size() > limits::kArgumentBytes) {
      out.Add(at.Key(name), absl::StrCat(text.size(), " bytes; at most ", limits::kArgumentBytes));
    }
  }
}

void CheckLimits(Violations& out, const FieldPath& at, const v1::ResourceLimits& value) {
  if (!value.memory().empty()) {
    const auto bytes = ParseMemoryBytes(value.memory());
    if (!bytes.ok()) out.Add(at / "memory", std::string(bytes.status().message()));
  }
  if (!value.cpu().empty()) {
    const auto millis = ParseCpuMillis(value.cpu());
    if (!millis.ok()) out.Add(at / "cpu", std::string(millis.status().message()));
  }
  if (value.pids() != 0) {
    CheckRange(out, at / "pids", value.pids(), limits::kMinPids, limits::kMaxPids);
  }
  Say(out, at / "disk", WrongWithDisk(value.disk()));
  Say(out, at / "open_files", WrongWithOpenFiles(value.open_files()));
}

size_t CommandAndEnvBytes(const v1::LaunchTemplateVersion& value) {
  size_t bytes = 0;
  for (const std::string& argument : value.command()) bytes += argument.size() + 1;
  for (const auto& [name, text] : value.env()) bytes += name.size() + text.size() + 2;
  return bytes;
}

}  // namespace

void Check(Violations& out, const FieldPath& at, const References& references,
           v1::LaunchTemplateVersion& value) {
  if (value.image().empty()) {
    out.Add(at / "image", "must name an image");
  } else if (NormalizeReference(out, at / "image", kImages, *value.mutable_image())) {
    const auto image = references.draft.Find<v1::Image>(value.image());
    if (image == nullptr) {
      out.Add(at / "image", absl::StrCat("there is no ", FullName(kImages, value.image())));
    } else {
      value.set_image_digest(image->digest());
    }
  }
  CheckCommand(out, at / "command", value);
  if (value.has_static_site()) CheckSite(out, at / "static_site", value.static_site());
  CheckWritablePaths(out, at / "writable_paths", value);
  CheckEnv(out, at / "env", value);
  if (CommandAndEnvBytes(value) > limits::kCommandAndEnvBytes) {
    out.Add(at / "env", absl::StrCat("command and env together have ", CommandAndEnvBytes(value),
                                     " bytes; at most ", limits::kCommandAndEnvBytes));
  }
  CheckSecrets(out, at / "secrets", references, value);
  CheckRange(out, at / "port", value.port(), 0, limits::kMaxPort);
  if (!value.user().empty() && !IsUserName(value.user())) {
    out.Add(at / "user", absl::StrCat(Quoted(value.user()), " is not a user name"));
  }
  CheckLimits(out, at / "limits", value.limits());
  if (std::find(std::begin(kStopSignals), std::end(kStopSignals), value.stop_signal()) ==
      std::end(kStopSignals)) {
    out.Add(at / "stop_signal",
            absl::StrCat(Quoted(value.stop_signal()),
                         " must be SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1 or SIGUSR2"));
  }
  CheckDuration(out, at / "stop_grace", value.stop_grace(), absl::ZeroDuration(),
                limits::kMaxStopGrace);
  CheckLabels(out, at / "labels", value.labels());
  CheckText(out, at / "description", value.description(), limits::kDescriptionBytes);
}

void CheckTemplateRef(Violations& out, const FieldPath& at, const References& references,
                      v1::LaunchTemplateRef& value) {
  const FieldPath name_at = at / "launch_template";
  if (value.launch_template().empty()) {
    out.Add(name_at, "must name a launch template");
    return;
  }
  if (!NormalizeReference(out, name_at, kLaunchTemplates, *value.mutable_launch_template())) return;
  const std::string& id = value.launch_template();
  const std::string full = FullName(kLaunchTemplates, id);
  const bool is_kept = value.resolved_version() != 0;  // as it is: not resolved again
  const std::optional<int> meant =
      is_kept ? value.resolved_version() : ResolveVersion(references.draft, id, value.version());
  if (!meant.has_value()) {
    out.Add(at / "version", absl::StrCat(Quoted(value.version()),
                                         " must be a version's number, $Latest or $Default"));
    return;
  }
  const int newest = NewestVersion(references.draft, id);
  if (newest == 0) {
    if (references.declared.count(full) == 0) out.Add(name_at, absl::StrCat("there is no ", full));
    return;
  }
  value.set_resolved_version(*meant);
  if (value.version().empty()) value.set_version(absl::StrCat(*meant));
  if (references.draft.Find<v1::LaunchTemplateVersion>(LaunchTemplateKey(id, *meant)) == nullptr) {
    out.Add(at / "version",
            absl::StrCat(full, " has no version ", value.version(), "; the newest is ", newest));
  }
}

}  // namespace remuda::core
