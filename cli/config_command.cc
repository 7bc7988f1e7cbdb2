// remuda config: the contexts of this machine.
#include <filesystem>
#include <memory>
#include <ostream>

#include "cli/commands.h"
#include "cli/contexts.h"
#include "cli/printing.h"
#include "cli/settings.h"
#include "cli/table_layout.h"
#include "common/identity/identity_files.h"

namespace remuda::cli {
namespace {

struct ConfigOptions {
  std::string name;
  std::string to;
};

using Change = std::function<ExitCode(Contexts&)>;

// What `change` does to the file, if it is done.
ExitCode Edit(Context& context, const Change& change) {
  if (context.settings.path.empty())
    return FailUsage(context, "config: HOME is not set: there are no contexts");
  auto contexts = LoadContexts(context.settings.path);
  if (!contexts.ok()) return Fail(context, contexts.status());
  const ExitCode code = change(*contexts);
  if (code != ExitCode::kOk) return code;
  const absl::Status saved = SaveContexts(context.settings.path, *contexts);
  return saved.ok() ? code : Fail(context, saved);
}

ExitCode NoContext(Context& context, const std::string& name) {
  return Fail(context, absl::NotFoundError("there is no context \"" + name +
                                           "\"; `remuda config get-contexts` lists them"));
}

ExitCode RunGetContexts(Context& context) {
  const auto contexts = LoadContexts(context.settings.path);
  if (!contexts.ok()) return Fail(context, contexts.status());
  if (contexts->contexts.empty()) {
    context.err << "No contexts: `remuda login` makes one." << std::endl;
    return ExitCode::kOk;
  }
  Table table;
  table.headers = {"CURRENT", "NAME", "CONTROLLER", "IDENTITY"};
  for (const NamedContext& one : contexts->contexts) {
    const ContextCluster* const cluster = contexts->FindCluster(one.cluster);
    const ContextUser* const user = contexts->FindUser(one.user);
    std::string who = "-";
    if (user != nullptr) {
      const auto held = identity::LoadIdentity(identity::FilesIn(user->identity_dir));
      if (held.ok()) who = identity::Text(held->peer.id);
    }
    table.rows.push_back({one.name == contexts->current ? "*" : "", one.name,
                          cluster == nullptr ? "-" : cluster->controller, who});
  }
  context.out << RenderTable(table, StyleOf(context)) << std::flush;
  return ExitCode::kOk;
}

ExitCode RunCurrentContext(Context& context) {
  const auto contexts = LoadContexts(context.settings.path);
  if (!contexts.ok()) return Fail(context, contexts.status());
  const std::string& name =
      context.settings.context.empty() ? contexts->current : context.settings.context;
  if (name.empty())
    return Fail(context, absl::NotFoundError("there is no current context: `remuda login` or "
                                             "`remuda config use-context` sets one"));
  context.out << name << std::endl;
  return ExitCode::kOk;
}

ExitCode RunUseContext(Context& context, const std::string& name) {
  return Edit(context, [&](Contexts& contexts) {
    if (contexts.Find(name) == nullptr) return NoContext(context, name);
    contexts.current = name;
    context.out << "Now in context " << name << "." << std::endl;
    return ExitCode::kOk;
  });
}

// The key goes with the context if `login` has put it there.
void RemoveIdentity(const std::string& settings_path, const std::string& directory) {
  const auto ours = std::filesystem::path(settings_path).parent_path() / "identities";
  const std::filesystem::path of = directory;
  if (of.parent_path() != ours) return;
  std::error_code ignored;
  for (const char* file : {"identity.pem", "authorities.pem", "joined.json", kControllersFile})
    std::filesystem::remove(of / file, ignored);
  std::filesystem::remove(of, ignored);
}

ExitCode RunDeleteContext(Context& context, const std::string& name) {
  std::string directory;
  const ExitCode code = Edit(context, [&](Contexts& contexts) {
    const NamedContext* const found = contexts.Find(name);
    if (found == nullptr) return NoContext(context, name);
    const std::string user = found->user;
    if (const ContextUser* const held = contexts.FindUser(user); held != nullptr)
      directory = held->identity_dir;
    contexts.Remove(name);
    if (contexts.FindUser(user) != nullptr) directory.clear();  // another one has it
    return ExitCode::kOk;
  });
  if (code != ExitCode::kOk) return code;
  RemoveIdentity(context.settings.path, directory);
  context.out << "Deleted context " << name << "." << std::endl;
  return code;
}

ExitCode RunRenameContext(Context& context, const ConfigOptions& options) {
  return Edit(context, [&](Contexts& contexts) {
    if (!IsContextName(options.to))
      return FailUsage(
          context, "config: \"" + options.to + "\" must be letters, digits and .-_@, at most 128");
    if (contexts.Find(options.name) == nullptr) return NoContext(context, options.name);
    if (!contexts.Rename(options.name, options.to))
      return Fail(context, absl::AlreadyExistsError("context " + options.to + " is there already"));
    context.out << "Renamed context " << options.name << " to " << options.to << "." << std::endl;
    return ExitCode::kOk;
  });
}

}  // namespace

void AddConfigCommand(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("config", "Clusters that you are logged in at, and which one is meant");
  command->require_subcommand(1);
  auto options = std::make_shared<ConfigOptions>();

  CLI::App* list = command->add_subcommand("get-contexts", "List the contexts");
  SetExample(list, "remuda config get-contexts");
  SetOfflineRun(list, context, [&context] { return RunGetContexts(context); });

  CLI::App* current = command->add_subcommand("current-context", "Say which one is used");
  SetExample(current, "remuda config current-context");
  SetOfflineRun(current, context, [&context] { return RunCurrentContext(context); });

  CLI::App* use = command->add_subcommand("use-context", "Use one from now on");
  use->add_option("name", options->name, "The context")->required();
  SetExample(use, "remuda config use-context ann@10.0.0.1");
  SetOfflineRun(use, context,
                [&context, options] { return RunUseContext(context, options->name); });

  CLI::App* remove = command->add_subcommand("delete-context",
                                             "Forget one, with the key that `login` made for it");
  remove->add_option("name", options->name, "The context")->required();
  SetExample(remove, "remuda config delete-context ann@10.0.0.1");
  SetOfflineRun(remove, context,
                [&context, options] { return RunDeleteContext(context, options->name); });

  CLI::App* rename = command->add_subcommand("rename-context", "Give one another name");
  rename->add_option("name", options->name, "The context")->required();
  rename->add_option("to", options->to, "Its new name")->required();
  SetExample(rename, "remuda config rename-context ann@10.0.0.1 lab");
  SetOfflineRun(rename, context,
                [&context, options] { return RunRenameContext(context, *options); });
}

}  // namespace remuda::cli
