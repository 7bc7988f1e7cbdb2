#include "agent/core/assignment.h"

#include <absl/strings/str_cat.h>
#include <signal.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "agent/core/ingress_ruleset.h"
#include "common/app_paths.h"
#include "common/ids.h"
#include "common/quantity.h"

namespace remuda::agent {
namespace {

bool IsVariableName(std::string_view name) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !name.empty() && letter(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

std::string Show(const remuda::v1::Revision& r) {
  return absl::StrCat(r.epoch(), ".", r.sequence());
}

bool Same(const remuda::v1::Revision& a, const remuda::v1::Revision& b) {
  return a.epoch() == b.epoch() && a.sequence() == b.sequence();
}

// What this version keeps an app to, or serves for it. Empty: nothing is wrong.
std::string WrongWithContainment(const remuda::v1::LaunchTemplateVersion& t) {
  const auto named = [](const char* field, const std::string& wrong) {
    return wrong.empty() ? wrong : absl::StrCat("launch_template.", field, ": ", wrong);
  };
  std::string wrong = named("limits.disk", WrongWithDisk(t.limits().disk()));
  if (wrong.empty())
    wrong = named("limits.open_files", WrongWithOpenFiles(t.limits().open_files()));
  if (wrong.empty() && t.writable_paths_size() > kMaxWritablePaths) {
    wrong = absl::StrCat("launch_template.writable_paths: ", t.writable_paths_size(),
                         " paths, at most ", kMaxWritablePaths);
  }
  for (const std::string& path : t.writable_paths()) {
    if (wrong.empty()) wrong = named("writable_paths", WrongWithHostPath(path));
  }
  const auto& site = t.static_site();
  if (wrong.empty()) wrong = named("static_site.root", WrongWithImagePath(site.root()));
  if (wrong.empty()) wrong = named("static_site.index", WrongWithFileName(site.index()));
  if (wrong.empty()) wrong = named("static_site.not_found", WrongWithImagePath(site.not_found()));
  if (wrong.empty())
    wrong = named("static_site.cache_control", WrongWithCacheControl(site.cache_control()));
  return wrong;
}

std::optional<std::string> WrongWithTemplate(const remuda::v1::LaunchTemplateVersion& t) {
  if (t.has_static_site() ? !t.command().empty() : t.command().empty() || t.command(0).empty()) {
    return t.has_static_site() ? "launch_template.command: must be empty with static_site"
                               : "launch_template.command: must name a program";
  }
  if (t.command_size() > Assignment::kMaxArguments) {
    return absl::StrCat("launch_template.command: ", t.command_size(), " arguments, at most ",
                        Assignment::kMaxArguments);
  }
  for (const std::string& arg : t.command()) {
    if (arg.find('\0') != std::string::npos)
      return "launch_template.command: an argument holds a NUL byte";
  }
  if (!IsDigest(t.image_digest())) {
    return absl::StrCat("launch_template.image_digest: \"", t.image_digest(),
                        "\" must be sha256: and 64 lower-case hex digits");
  }
  if (t.port() < 0 || t.port() > 65535) {
    return absl::StrCat("launch_template.port: ", t.port(), " must be 0 to 65535");
  }
  if (t.env_size() > Assignment::kMaxEnvironment) {
    return absl::StrCat("launch_template.env: ", t.env_size(), " variables, at most ",
                        Assignment::kMaxEnvironment);
  }
  for (const auto& [name, value] : t.env()) {
    if (!IsVariableName(name) || value.find('\0') != std::string::npos) {
      return absl::StrCat("launch_template.env: \"", name,
                          "\" must be [A-Za-z_][A-Za-z0-9_]*, without NUL bytes");
    }
  }
  if (StopSignalNumber(t.stop_signal()) == 0) {
    return absl::StrCat("launch_template.stop_signal: \"", t.stop_signal(),
                        "\" must be SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1 or SIGUSR2");
  }
  if (t.has_stop_grace() && (t.stop_grace().seconds() < 0 || t.stop_grace().seconds() > 3600)) {
    return absl::StrCat("launch_template.stop_grace: ", t.stop_grace().seconds(),
                        "s must be 0s to 3600s");
  }
  if (!t.limits().memory().empty()) {
    if (const auto bytes = ParseMemoryBytes(t.limits().memory()); !bytes.ok()) {
      return absl::StrCat("launch_template.limits.memory: ", bytes.status().message());
    }
  }
  if (!t.limits().cpu().empty()) {
    if (const auto millis = ParseCpuMillis(t.limits().cpu()); !millis.ok()) {
      return absl::StrCat("launch_template.limits.cpu: ", millis.status().message());
    }
  }
  if (t.limits().pids() < 0)
    return absl::StrCat("launch_template.limits.pids: ", t.limits().pids(), " is below 0");
  if (std::string wrong = WrongWithContainment(t); !wrong.empty()) return wrong;
  return std::nullopt;
}

}  // namespace

int StopSignalNumber(const std::string& name) {
  static const std::pair<const char*, int> kSignals[] = {
      {"", SIGTERM},      {"SIGTERM", SIGTERM}, {"SIGINT", SIGINT},  {"SIGQUIT", SIGQUIT},
      {"SIGHUP", SIGHUP}, {"SIGUSR1", SIGUSR1}, {"SIGUSR2", SIGUSR2}};
  for (const auto& [known, number] : kSignals) {
    if (name == known) return number;
  }
  return 0;
}

std::optional<std::string> WrongWith(const v1::InstanceAssignment& instance) {
  if (!IsId(instance.instance())) {
    return absl::StrCat("instance: \"", instance.instance(),
                        "\" must match [a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?");
  }
  if (instance.generation() < 0)
    return absl::StrCat("generation: ", instance.generation(), " is below 0");
  switch (instance.desired()) {
    case v1::DESIRED_STATE_RUNNING:
    case v1::DESIRED_STATE_PREPARED:
      if (!instance.has_launch_template())
        return "launch_template: must be set when desired is RUNNING or PREPARED";
      if (std::string wrong = WrongWithFilter(instance.ingress_filter()); !wrong.empty())
        return wrong;
      return WrongWithTemplate(instance.launch_template());
    case v1::DESIRED_STATE_STOPPED:
      return std::nullopt;
    default:
      return absl::StrCat("desired: ", static_cast<int>(instance.desired()),
                          " must be RUNNING, PREPARED or STOPPED");
  }
}

std::optional<Refusal> Assignment::Apply(const v1::AssignmentUpdate& update, int64_t min_epoch) {
  const remuda::v1::Revision& next = update.revision();
  if (next.epoch() < min_epoch) {
    return Refusal{
        "", absl::StrCat("revision ", Show(next), ": epoch ", min_epoch, " was seen already")};
  }
  if (update.has_base() && (!revision_ || !Same(update.base(), *revision_))) {
    return Refusal{"",
                   absl::StrCat("revision ", Show(next), ": is based on ", Show(update.base()),
                                ", held is ", revision_ ? Show(*revision_) : std::string("none"))};
  }
  for (const v1::InstanceAssignment& instance : update.upserts()) {
    if (auto wrong = WrongWith(instance)) return Refusal{instance.instance(), *std::move(wrong)};
  }
  std::map<std::string, v1::InstanceAssignment> changed;
  if (update.has_base()) changed = instances_;
  for (const std::string& id : update.removed()) changed.erase(id);
  for (const v1::InstanceAssignment& instance : update.upserts()) {
    const v1::InstanceAssignment* held = Find(instance.instance());
    // From a controller whose store was restored from before the change: what runs is newer than
    // what it knows, and goes on. That it shall end is true of any generation, and that it shall
    // run of one that is prepared; but that it is only prepared may be what was before its launch.
    const bool is_stale = held != nullptr && instance.generation() < held->generation() &&
                          instance.desired() != v1::DESIRED_STATE_STOPPED;
    v1::InstanceAssignment& now = changed[instance.instance()];
    now = is_stale ? *held : instance;
    if (is_stale && held->desired() == v1::DESIRED_STATE_PREPARED)
      now.set_desired(instance.desired());
  }
  if (changed.size() > kMaxInstances) {
    return Refusal{"",
                   absl::StrCat(changed.size(), " instances, at most ", kMaxInstances, " a host")};
  }
  instances_ = std::move(changed);
  revision_ = next;
  // What this version cannot keep is part of what was told, but not of what is held: then a later
  // version of this program must be told anew, and so for as long as changes build on that.
  const bool is_all_kept = update.GetReflection()->GetUnknownFields(update).empty() &&
                           (!update.has_base() || !digest_.empty());
  digest_ = is_all_kept ? update.digest() : "";
  return std::nullopt;
}

const v1::InstanceAssignment* Assignment::Find(const std::string& id) const {
  const auto it = instances_.find(id);
  return it == instances_.end() ? nullptr : &it->second;
}

v1::AssignmentUpdate Assignment::Whole() const {
  v1::AssignmentUpdate whole;
  if (revision_) *whole.mutable_revision() = *revision_;
  whole.set_digest(digest_);
  for (const auto& [id, instance] : instances_) *whole.add_upserts() = instance;
  return whole;
}

}  // namespace remuda::agent
