#include "cli/strategy_flags.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <ostream>
#include <string_view>

#include "cli/manifest.h"
#include "common/duration_text.h"
#include "common/status.h"

namespace remuda::cli {
namespace {

constexpr char kBlueGreen[] = "blue-green";
constexpr char kRolling[] = "rolling";
constexpr char kInPlace[] = "in-place";
constexpr char kCanary[] = "canary";
constexpr char kLinear[] = "linear";
// What paths in the controller's objections begin with.
constexpr char kRequestField[] = "deployment";

absl::Status Usage(const std::string& message) { return absl::InvalidArgumentError(message); }

// A flag of some strategies.
struct OwnedFlag {
  const char* name;
  bool is_given;
  std::vector<std::string> strategies;
};

std::vector<OwnedFlag> OwnedFlags(const StrategyFlags& flags) {
  return {
      {"--bake", flags.bake.has_value(), {kBlueGreen, kRolling, kInPlace, kCanary, kLinear}},
      {"--percent", flags.percent.has_value(), {kCanary}},
      {"--step-percent", flags.step_percent.has_value(), {kLinear}},
      {"--interval", flags.interval.has_value(), {kCanary, kLinear}},
      {"--min-healthy-percent", flags.min_healthy_percent.has_value(), {kRolling, kInPlace}},
      {"--max-percent", flags.max_percent.has_value(), {kRolling}},
      {"--checkpoints", flags.checkpoints.has_value(), {kRolling}},
      {"--checkpoint-delay", flags.checkpoint_delay.has_value(), {kRolling}},
  };
}

// A flag that the strategy has no use for is a mistake, not decoration.
absl::Status CheckOwners(const StrategyFlags& flags, const std::string& strategy,
                         const SettingsFile& file) {
  for (const OwnedFlag& flag : OwnedFlags(flags)) {
    if (!flag.is_given) continue;
    if (file.settings.has_strategy())
      return Usage(absl::StrCat(flag.name, " is not for the strategy that ", file.name, " has"));
    const auto& owners = flag.strategies;
    if (std::find(owners.begin(), owners.end(), strategy) != owners.end()) continue;
    return Usage(absl::StrCat(flag.name, " is not for --strategy ", strategy, ", but for ",
                              absl::StrJoin(owners, " and ")));
  }
  return absl::OkStatus();
}

absl::Status SetDuration(const std::optional<std::string>& text, const char* flag,
                         google::protobuf::Duration* out) {
  const auto wrong = ParseDuration(*text, out);
  return wrong.has_value() ? Usage(absl::StrCat(flag, ": ", *wrong)) : absl::OkStatus();
}

absl::Status SetCheckpoints(const std::string& text, v1::RollingStrategy* out) {
  for (const auto word : absl::StrSplit(text, ',')) {
    int percent = 0;
    if (!absl::SimpleAtoi(word, &percent)) {
      return Usage(absl::StrCat("--checkpoints: \"", text,
                                "\" is not a list of per cents, for example 20,50"));
    }
    out->add_checkpoint_percents(percent);
  }
  return absl::OkStatus();
}

// The first that is wrong.
absl::Status First(std::initializer_list<absl::Status> all) {
  for (const absl::Status& status : all) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status SetRolling(const StrategyFlags& flags, v1::RollingStrategy* out) {
  if (flags.min_healthy_percent.has_value())
    out->set_min_healthy_percent(*flags.min_healthy_percent);
  if (flags.max_percent.has_value()) out->set_max_percent(*flags.max_percent);
  return First(
      {flags.bake.has_value() ? SetDuration(flags.bake, "--bake", out->mutable_bake())
                              : absl::OkStatus(),
       flags.checkpoints.has_value() ? SetCheckpoints(*flags.checkpoints, out) : absl::OkStatus(),
       flags.checkpoint_delay.has_value()
           ? SetDuration(flags.checkpoint_delay, "--checkpoint-delay",
                         out->mutable_checkpoint_delay())
           : absl::OkStatus()});
}

// What canary and linear have in common.
template <typename Strategy>
absl::Status SetTimes(const StrategyFlags& flags, Strategy* out) {
  return First({flags.interval.has_value()
                    ? SetDuration(flags.interval, "--interval", out->mutable_interval())
                    : absl::OkStatus(),
                flags.bake.has_value() ? SetDuration(flags.bake, "--bake", out->mutable_bake())
                                       : absl::OkStatus()});
}

absl::Status SetKind(const StrategyFlags& flags, const std::string& strategy,
                     v1::DeploymentStrategy* out) {
  if (strategy == kRolling) return SetRolling(flags, out->mutable_rolling());
  if (strategy == kInPlace) {
    auto* in_place = out->mutable_in_place();
    if (flags.min_healthy_percent.has_value())
      in_place->set_min_healthy_percent(*flags.min_healthy_percent);
    return flags.bake.has_value() ? SetDuration(flags.bake, "--bake", in_place->mutable_bake())
                                  : absl::OkStatus();
  }
  if (strategy == kCanary) {
    if (!flags.percent.has_value())
      return Usage("--strategy canary needs --percent, the share of the traffic that goes first");
    out->mutable_canary()->set_percent(*flags.percent);
    return SetTimes(flags, out->mutable_canary());
  }
  if (strategy == kLinear) {
    if (!flags.step_percent.has_value())
      return Usage("--strategy linear needs --step-percent, the share of the traffic of each step");
    out->mutable_linear()->set_step_percent(*flags.step_percent);
    return SetTimes(flags, out->mutable_linear());
  }
  auto* blue_green = out->mutable_blue_green();
  return flags.bake.has_value() ? SetDuration(flags.bake, "--bake", blue_green->mutable_bake())
                                : absl::OkStatus();
}

absl::Status SetStrategy(const StrategyFlags& flags, const SettingsFile& file,
                         v1::DeploymentStrategy* out) {
  // Nothing said: as the group's settings say. A flag that says how long the old one stays warm
  // means blue/green, as nothing is that without settings.
  const std::string strategy = flags.strategy.empty() ? kBlueGreen : flags.strategy;
  if (!flags.strategy.empty() && file.settings.has_strategy())
    return Usage(absl::StrCat("--strategy ", strategy, ": ", file.name, " has a strategy as well"));
  return First({CheckOwners(flags, strategy, file), SetKind(flags, strategy, out)});
}

bool SaysStrategy(const StrategyFlags& flags) {
  const auto owned = OwnedFlags(flags);
  return !flags.strategy.empty() ||
         std::any_of(owned.begin(), owned.end(), [](const auto& flag) { return flag.is_given; });
}

// NAME=VALUE; the value may have `=` in it.
absl::StatusOr<std::pair<std::string, std::string>> ParsePair(const std::string& text,
                                                              const char* flag) {
  std::pair<std::string, std::string> pair = absl::StrSplit(text, absl::MaxSplits('=', 1));
  if (pair.first.empty() || pair.second.empty())
    return Usage(absl::StrCat(flag, ": \"", text, "\" is not NAME=VALUE"));
  return pair;
}

absl::Status AddPreviews(const StrategyFlags& flags, v1::Deployment* out) {
  for (const std::string& text : flags.preview_headers) {
    const auto pair = ParsePair(text, "--preview-header");
    if (!pair.ok()) return pair.status();
    auto* header = out->add_previews()->mutable_http_header();
    header->set_http_header_name(pair->first);
    header->add_values(pair->second);
  }
  for (const std::string& text : flags.preview_cookies) {
    const auto pair = ParsePair(text, "--preview-cookie");
    if (!pair.ok()) return pair.status();
    auto* cookie = out->add_previews()->mutable_cookie();
    cookie->set_name(pair->first);
    cookie->set_value(pair->second);
  }
  for (const int port : flags.preview_ports) out->add_previews()->set_listener_port(port);
  return absl::OkStatus();
}

void TakeFile(const v1::DeploymentSettings& settings, v1::Deployment* out) {
  if (settings.has_strategy()) *out->mutable_strategy() = settings.strategy();
  if (settings.has_health_deadline()) *out->mutable_health_deadline() = settings.health_deadline();
  if (settings.has_automatic_rollback()) out->set_automatic_rollback(settings.automatic_rollback());
  if (settings.has_analysis()) *out->mutable_analysis() = settings.analysis();
  *out->mutable_previews() = settings.previews();
  if (settings.has_mirror()) *out->mutable_mirror() = settings.mirror();
}

}  // namespace

void AddStrategyFlags(CLI::App* command, FlagsOf what, StrategyFlags& out) {
  const bool is_group = what == FlagsOf::kGroup;
  std::vector<std::string> strategies = {kBlueGreen, kCanary, kLinear};
  if (is_group) strategies.insert(strategies.begin() + 1, {kRolling, kInPlace});
  command
      ->add_option("--strategy", out.strategy,
                   is_group
                       ? "How; left out: as the group's deployment settings say, else blue-green"
                       : "How; left out: blue-green")
      ->check(CLI::IsMember(strategies));
  command->add_option("--bake", out.bake,
                      is_group
                          ? "How long the old version stays warm after the shift, for example "
                            "30s; rolling, in-place: how long each batch serves before the next"
                          : "How long the old side stays as it is after the shift");
  command->add_option("--percent", out.percent, "canary: share of the traffic that goes first");
  command->add_option("--step-percent", out.step_percent,
                      "linear: share of the traffic of each step");
  command->add_option("--interval", out.interval, "canary, linear: from step to step");
  if (is_group) {
    command->add_option("--min-healthy-percent,--min-healthy", out.min_healthy_percent,
                        "rolling, in-place: per cent that stays in service (default 90)");
    command->add_option("--max-percent", out.max_percent,
                        "rolling: per cent that may run at once (default 110)");
    command->add_option("--checkpoints", out.checkpoints,
                        "rolling: stop at these shares of the instances, for example 20,50");
    command->add_option("--checkpoint-delay", out.checkpoint_delay,
                        "rolling: how long at each checkpoint");
  }
  command->add_option("-f,--file", out.file,
                      "YAML or JSON of DeploymentSettings: strategy (also as steps), analysis, "
                      "previews, mirror; - for standard input");
  command->add_option("--health-deadline", out.health_deadline,
                      "Roll back if the new side is not ready in time (default 600s)");
  command->add_flag("--no-automatic-rollback,--no-rollback", out.no_rollback,
                    "Wait for a person instead");
  command
      ->add_option("--preview-header", out.preview_headers,
                   "NAME=VALUE: requests with this header reach the new side whatever its share is")
      ->allow_extra_args(false);
  command
      ->add_option("--preview-cookie", out.preview_cookies,
                   "NAME=VALUE: requests with this cookie do")
      ->allow_extra_args(false);
  if (is_group) {
    command->add_option("--mirror", out.mirror_percent,
                        "Copy so many per cent of the requests to the new version, too");
  } else {
    command
        ->add_option("--preview-port", out.preview_ports,
                     "Requests to this port of the load balancer do; it is opened for them")
        ->allow_extra_args(false);
  }
}

absl::StatusOr<SettingsFile> ReadSettingsFile(const std::string& path) {
  SettingsFile out;
  if (path.empty()) return out;
  const auto files = ReadManifestFiles({path});
  if (!files.ok()) return files.status();
  if (files->size() != 1)
    return absl::InvalidArgumentError(absl::StrCat(path, ": a file is wanted, not a directory"));
  out.name = files->front().name;
  const YamlFile yaml = ReadYaml(files->front().text);
  if (!yaml.mistakes.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        FormatPosition(out.name, yaml.mistakes.front().position), ": ", yaml.mistakes.front().why));
  }
  if (yaml.documents.size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(out.name, ": one YAML document with deployment settings is wanted"));
  }
  const absl::Status status = MessageFromYaml(
      *yaml.documents.front().root,
      {.file_name = out.name, .path_prefix = kRequestField, .ignored_keys = {"kind"}},
      &out.settings, &out.places);
  if (!status.ok()) return status;
  return out;
}

absl::Status SetSettings(const StrategyFlags& flags, const SettingsFile& file,
                         v1::Deployment* out) {
  TakeFile(file.settings, out);
  if (SaysStrategy(flags)) {
    if (auto status = SetStrategy(flags, file, out->mutable_strategy()); !status.ok())
      return status;
  }
  if (flags.no_rollback) out->set_automatic_rollback(false);
  if (flags.mirror_percent.has_value()) out->mutable_mirror()->set_percent(*flags.mirror_percent);
  if (flags.health_deadline.has_value()) {
    auto status =
        SetDuration(flags.health_deadline, "--health-deadline", out->mutable_health_deadline());
    if (!status.ok()) return status;
  }
  return AddPreviews(flags, out);
}

ExitCode FailSettings(Context& context, const SettingsFile& file, const absl::Status& status) {
  const auto violations = ViolationsOf(status);
  if (file.name.empty() || violations.empty()) return Fail(context, status);
  for (const FieldViolation& violation : violations) {
    const SourceMap::Place place = file.places.Find(violation.field);
    context.err << FormatPosition(file.name, place.position) << ": " << place.path
                << (place.path.empty() ? "" : ": ") << violation.description << "\n";
  }
  context.err.flush();
  return ExitCode::kFailed;
}

}  // namespace remuda::cli
