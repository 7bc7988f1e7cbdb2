// Every command of `remuda`: each adds its subcommand to the command line and, if that one is
// called, sets context.run.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/context.h"

namespace remuda::cli {

void AddActivitiesCommand(CLI::App& app, Context& context);
void AddApplyCommand(CLI::App& app, Context& context);
void AddAsgCommand(CLI::App& app, Context& context);
void AddAuditCommand(CLI::App& app, Context& context);
void AddBackupCommand(CLI::App& app, Context& context);
void AddClusterCommand(CLI::App& app, Context& context);
void AddCompletionCommand(CLI::App& app, Context& context);
void AddConfigCommand(CLI::App& app, Context& context);
void AddDeleteCommand(CLI::App& app, Context& context);
void AddDeployCommand(CLI::App& app, Context& context);
void AddDeploymentCommand(CLI::App& app, Context& context);
void AddDescribeCommand(CLI::App& app, Context& context);
void AddDevCommand(CLI::App& app, Context& context);
void AddEvaluationsCommand(CLI::App& app, Context& context);
void AddGetCommand(CLI::App& app, Context& context);
void AddHelpCommand(CLI::App& app, Context& context);
void AddHookCommand(CLI::App& app, Context& context);
void AddHostCommand(CLI::App& app, Context& context);
void AddImageCommand(CLI::App& app, Context& context);
void AddInstanceCommand(CLI::App& app, Context& context);
void AddListenerCommand(CLI::App& app, Context& context);
void AddLoginCommand(CLI::App& app, Context& context);
void AddLogsCommand(CLI::App& app, Context& context);
void AddMetricsCommand(CLI::App& app, Context& context);
void AddPolicyCommand(CLI::App& app, Context& context);
void AddRefreshCommand(CLI::App& app, Context& context);
void AddRestoreCommand(CLI::App& app, Context& context);
void AddResumeCommand(CLI::App& app, Context& context);
void AddRevocationCommand(CLI::App& app, Context& context);
void AddRevokeCommand(CLI::App& app, Context& context);
void AddRuleCommand(CLI::App& app, Context& context);
void AddScaleCommand(CLI::App& app, Context& context);
void AddSecretCommand(CLI::App& app, Context& context);
void AddShiftCommand(CLI::App& app, Context& context);
void AddSuspendCommand(CLI::App& app, Context& context);
void AddTargetCommand(CLI::App& app, Context& context);
void AddTemplateCommand(CLI::App& app, Context& context);
void AddTokenCommand(CLI::App& app, Context& context);
void AddUserCommand(CLI::App& app, Context& context);
void AddWhoAmICommand(CLI::App& app, Context& context);

// The two words that name a resource: KIND NAME or KIND/NAME.
void AddRefArguments(CLI::App* command, std::string& kind, std::string& name, bool name_needed);
// `text` under "Example:" at the end of a command's help.
void SetExample(CLI::App* command, const std::string& text);
// -o/--output table|wide|name|json|yaml.
void AddOutputFlag(CLI::App* command, Context& context);
// --limit, from 1 to kMaxListed.
void AddLimit(CLI::App* command, size_t& limit, const std::string& help);

// A command whose work is `run`: it is not run while the line is parsed, but when all of it is
// known to be right.
template <typename Run>
void SetRun(CLI::App* command, Context& context, Run run) {
  command->callback([&context, run] { context.run = run; });
}
// Of a command that calls no controller.
template <typename Run>
void SetOfflineRun(CLI::App* command, Context& context, Run run) {
  command->callback([&context, run] {
    context.run = run;
    context.is_offline = true;
  });
}

}  // namespace remuda::cli
