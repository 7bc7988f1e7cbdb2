// The flags and the file that say how a deployment goes: of `remuda deploy` and `remuda shift`.
#pragma once

#include <absl/status/statusor.h>

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/context.h"
#include "common/message_yaml.h"
#include "remuda/v1/deployment.pb.h"

namespace remuda::cli {

struct StrategyFlags {
  std::string strategy;  // empty: not said
  std::optional<std::string> bake;
  std::optional<std::string> interval;
  std::optional<std::string> checkpoints;  // 20,50
  std::optional<std::string> checkpoint_delay;
  std::optional<int> percent;
  std::optional<int> step_percent;
  std::optional<int> min_healthy_percent;
  std::optional<int> max_percent;
  std::optional<std::string> health_deadline;
  bool no_rollback = false;
  std::vector<std::string> preview_headers;  // NAME=VALUE
  std::vector<std::string> preview_cookies;  // NAME=VALUE
  std::vector<int> preview_ports;
  std::optional<int> mirror_percent;
  std::string file;  // empty: none
};

// Of what kind of deployment.
enum class FlagsOf { kGroup, kShift };
void AddStrategyFlags(CLI::App* command, FlagsOf what, StrategyFlags& out);

// DeploymentSettings as a file says them.
struct SettingsFile {
  std::string name;  // empty: there is none
  v1::DeploymentSettings settings;
  SourceMap places;  // by the request's paths: `deployment.strategy.steps[0]`
};
absl::StatusOr<SettingsFile> ReadSettingsFile(const std::string& path);

// Strategy, deadline, rollback, analysis, previews and mirror of `out`: a flag goes before the
// file. INVALID_ARGUMENT is a wrong call: a flag that the strategy has no use for, or one of the
// strategy beside a strategy of the file.
absl::Status SetSettings(const StrategyFlags& flags, const SettingsFile& file, v1::Deployment* out);

// What the controller objects to, by the file's lines where they are the file's.
ExitCode FailSettings(Context& context, const SettingsFile& file, const absl::Status& status);

}  // namespace remuda::cli
