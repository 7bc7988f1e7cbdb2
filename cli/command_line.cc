#include "cli/command_line.h"

#include <algorithm>
#include <map>
#include <ostream>

#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/resources.h"
#include "common/message_yaml.h"

namespace remuda::cli {
namespace {

constexpr char kFooter[] =
    "\nSettings: a flag, else the environment (REMUDA_CONTROLLER, REMUDA_CONTEXT, REMUDA_TIMEOUT), "
    "else\n"
    "~/.config/remuda/config.yaml (contexts, controller, timeout), else the default.\n"
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 timed out, 4 rolled back.\n"
    "\nExample:\n  remuda dev\n  remuda apply -f shop.yaml\n  remuda get asg\n  remuda deploy "
    "asg/blue --template shop:2";

std::string Join(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

// The deepest command that was named.
const CLI::App& CalledCommand(const CLI::App& app) {
  const auto parsed = app.get_subcommands();
  return parsed.empty() ? app : CalledCommand(*parsed.front());
}

std::string CommandName(const CLI::App& command) {
  return command.get_parent() == nullptr
             ? command.get_name()
             : CommandName(*command.get_parent()) + " " + command.get_name();
}

std::string HelpOf(const CLI::App& command) {
  // CLI11's own help() is that of the command that was called.
  return command.get_formatter()->make_help(&command, CommandName(command),
                                            CLI::AppFormatMode::Normal);
}

std::vector<std::string> SubcommandNames(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* sub :
       command.get_subcommands([](const CLI::App* app) { return !app->get_group().empty(); })) {
    names.push_back(sub->get_name());
  }
  return names;
}

ExitCode UsageError(Context& context, const CLI::App& app, const CLI::ParseError& error,
                    const std::vector<std::string>& words) {
  const CLI::App& command = CalledCommand(app);
  const std::vector<std::string> subcommands = SubcommandNames(command);
  context.err << CommandName(command) << ": ";
  // A word where a command belongs: the first that is no flag and no command.
  const std::string* unknown = nullptr;
  const bool needs_command = !subcommands.empty() && command.get_require_subcommand_min() > 0;
  for (const std::string& word : words) {
    if (needs_command && !word.starts_with("-") && word != command.get_name() &&
        std::find(subcommands.begin(), subcommands.end(), word) == subcommands.end()) {
      unknown = &word;
      break;
    }
  }
  if (unknown != nullptr) {
    const std::string nearest = NearestWord(*unknown, subcommands);
    context.err << "there is no command \"" << *unknown << "\"";
    if (!nearest.empty()) context.err << "; did you mean " << nearest << "?";
  } else if (needs_command) {
    context.err << "a command is missing: one of " << Join(subcommands);
  } else {
    context.err << error.what();
  }
  context.err << "\nRun `" << CommandName(command) << " --help` to see how it is used.\n";
  return ExitCode::kUsage;
}

}  // namespace

void SetExample(CLI::App* command, const std::string& text) {
  command->footer("\nExample:\n  " + text);
}

void AddOutputFlag(CLI::App* command, Context& context) {
  static const std::map<std::string, OutputFormat> kFormats = {{"table", OutputFormat::kTable},
                                                               {"wide", OutputFormat::kWide},
                                                               {"name", OutputFormat::kName},
                                                               {"json", OutputFormat::kJson},
                                                               {"yaml", OutputFormat::kYaml}};
  command
      ->add_option_function<std::string>(
          "-o,--output",
          [&context](const std::string& word) { context.output = kFormats.at(word); },
          "table, wide, name, json or yaml (default table)")
      ->check(CLI::IsMember({"table", "wide", "name", "json", "yaml"}));
  command->add_flag("--show-secrets", context.shows_secrets,
                    "Show secrets, as variables' values, too; else *** stands for them");
}

// remuda help [COMMAND [SUBCOMMAND]].
void AddHelpCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("help", "Show how a command is used");
  auto words = std::make_shared<std::vector<std::string>>();
  command->add_option("command", *words, "The command; none: all of them");
  SetExample(command, "remuda help deployment rollback");
  SetOfflineRun(command, context, [&app, &context, words] {
    const CLI::App* named = &app;
    for (const std::string& word : *words) {
      const std::vector<std::string> known = SubcommandNames(*named);
      if (std::find(known.begin(), known.end(), word) == known.end()) {
        const std::string nearest = NearestWord(word, known);
        return FailUsage(context, "help: there is no command \"" + Join(*words) + "\"" +
                                      (nearest.empty() ? "" : "; did you mean " + nearest + "?"));
      }
      named = named->get_subcommand(word);
    }
    context.out << HelpOf(*named) << std::flush;
    return ExitCode::kOk;
  });
}

void AddLimit(CLI::App* command, size_t& limit, const std::string& help) {
  command->add_option("--limit", limit, help)
      ->check(CLI::Range(1, static_cast<int>(kMaxListed)))
      ->capture_default_str();
}

std::unique_ptr<CLI::App> MakeCommandLine(Context& context, SettingFlags& flags) {
  auto app = std::make_unique<CLI::App>(
      "Remuda: load balancing, auto scaling and safe deployments for hosts that you own", "remuda");
  app->set_version_flag("--version", std::string("remuda ") + REMUDA_VERSION);
  app->require_subcommand(1);
  app->fallthrough();  // Flags of all commands may stand behind the command.
  app->footer(kFooter);
  app->add_option("--controller", flags.controller,
                  "Where the controller is, HOST:PORT (default 127.0.0.1:7400); of several with "
                  "commas between");
  app->add_option("--context", flags.context,
                  "Which of `remuda config get-contexts` is meant (default: the current one)");
  app->add_option("--identity-dir", flags.identity_dir,
                  "Where your key and certificate are (default: as `remuda login` has put them)");
  app->add_flag("--insecure", flags.insecure,
                "The controller is on this machine and has no identities (its --insecure)");
  app->add_option("--timeout", flags.timeout,
                  "How long one call may take, for example 30s (default 10s)");
  AddDevCommand(*app, context);
  AddLoginCommand(*app, context);
  AddConfigCommand(*app, context);
  AddTokenCommand(*app, context);
  AddApplyCommand(*app, context);
  AddGetCommand(*app, context);
  AddDescribeCommand(*app, context);
  AddDeleteCommand(*app, context);
  AddScaleCommand(*app, context);
  AddMetricsCommand(*app, context);
  AddPolicyCommand(*app, context);
  AddEvaluationsCommand(*app, context);
  AddDeployCommand(*app, context);
  AddShiftCommand(*app, context);
  AddDeploymentCommand(*app, context);
  AddRefreshCommand(*app, context);
  AddImageCommand(*app, context);
  AddInstanceCommand(*app, context);
  AddHookCommand(*app, context);
  AddAsgCommand(*app, context);
  AddSuspendCommand(*app, context);
  AddResumeCommand(*app, context);
  AddLogsCommand(*app, context);
  AddListenerCommand(*app, context);
  AddRuleCommand(*app, context);
  AddTargetCommand(*app, context);
  AddHostCommand(*app, context);
  AddActivitiesCommand(*app, context);
  AddAuditCommand(*app, context);
  AddClusterCommand(*app, context);
  AddSecretCommand(*app, context);
  AddBackupCommand(*app, context);
  AddRestoreCommand(*app, context);
  AddTemplateCommand(*app, context);
  AddUserCommand(*app, context);
  AddRevokeCommand(*app, context);
  AddRevocationCommand(*app, context);
  AddWhoAmICommand(*app, context);
  AddCompletionCommand(*app, context);
  AddHelpCommand(*app, context);
  return app;
}

ExitCode RunCommandLine(int argc, const char* const* argv, Context& context) {
  SettingFlags flags;
  const auto app = MakeCommandLine(context, flags);
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (!words.empty() && words.front() == "__complete") {
    Complete(context, *app, {words.begin() + 1, words.end()});
    return ExitCode::kOk;
  }
  try {
    app->parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    context.out << HelpOf(CalledCommand(*app));
    return ExitCode::kOk;
  } catch (const CLI::CallForVersion& version) {
    context.out << version.what() << "\n";
    return ExitCode::kOk;
  } catch (const CLI::ParseError& error) {
    return UsageError(context, *app, error, words);
  }
  auto settings = ResolveSettings(flags, ProcessEnvironment);
  if (!settings.ok()) return FailUsage(context, std::string(settings.status().message()));
  context.settings = *std::move(settings);
  if (!context.run) return ExitCode::kUsage;
  if (!context.is_offline) {
    if (absl::Status status = TakeIdentity(context.settings); !status.ok())
      return Fail(context, status);
  }
  return context.run();
}

}  // namespace remuda::cli
