// remuda login: a person's identity on this machine, with a token, and a context for it.
#include <absl/time/time.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <ostream>

#include "cli/commands.h"
#include "cli/contexts.h"
#include "cli/settings.h"
#include "common/identity/controller_addresses.h"
#include "common/identity/join_client.h"
#include "common/identity/token_file.h"

namespace remuda::cli {
namespace {

struct LoginOptions {
  std::string pin;
  std::string token_file;
  std::string name;
  std::string context;
};

// HOST of HOST:PORT, of the first of several, as a context's name may have it.
std::string HostOf(const std::string& addresses) {
  const std::string address = addresses.substr(0, addresses.find(','));
  std::string host = address.substr(0, address.rfind(':'));
  std::erase_if(host, [](char c) { return c == '[' || c == ']'; });
  for (char& c : host) {
    if (c == ':') c = '.';
  }
  return host;
}

// Whether the identity may be kept there: a context that was renamed has its own there still, and
// must not become somebody else's by this.
absl::Status CheckPlace(const Contexts& contexts, const LoginOptions& options,
                        const std::string& directory) {
  for (const NamedContext& one : contexts.contexts) {
    if (one.name == options.context || one.user != options.context) continue;
    const auto held = identity::LoadIdentity(identity::FilesIn(directory));
    if (!held.ok() || held->peer.id.name == options.name) continue;
    return absl::AlreadyExistsError("context " + one.name + " keeps the identity of " +
                                    identity::ActorText(held->peer.id) + " in " + directory +
                                    ": give this one another name by --as");
  }
  return absl::OkStatus();
}

std::string DirectoryOf(const Context& context, const LoginOptions& options) {
  return (std::filesystem::path(context.settings.path).parent_path() / "identities" /
          options.context)
      .string();
}

// Those of the file, if the identity may become one of them.
absl::StatusOr<Contexts> LoadFitting(const Context& context, const LoginOptions& options) {
  auto contexts = LoadContexts(context.settings.path);
  if (!contexts.ok()) return contexts.status();
  const ContextCluster* const held = contexts->FindCluster(options.context);
  if (held != nullptr && held->pin != options.pin) {
    return absl::AlreadyExistsError("context " + options.context + " is of another cluster, " +
                                    held->controller + ": give this one another name by --as");
  }
  if (absl::Status status = CheckPlace(*contexts, options, DirectoryOf(context, options));
      !status.ok())
    return status;
  return contexts;
}

// Keeps the identity and a context for it, which is used from then on; where the API is.
absl::StatusOr<std::string> Keep(const Context& context, const std::string& controller,
                                 const LoginOptions& options, const identity::Joined& joined) {
  const std::string directory = DirectoryOf(context, options);
  // Anew: others may have logged in while the token was typed.
  auto contexts = LoadFitting(context, options);
  if (!contexts.ok()) return contexts.status();
  if (absl::Status status = identity::SaveJoined(directory, joined); !status.ok()) return status;
  std::error_code ignored;
  std::filesystem::remove(directory + "/" + kControllersFile, ignored);
  const std::string api = joined.controllers.empty()
                              ? joined.join_address
                              : identity::ControllersText(joined.controllers);
  contexts->Put(
      options.context,
      {.name = options.context, .controller = api, .join = controller, .pin = options.pin},
      {.name = options.context, .identity_dir = directory});
  contexts->current = options.context;
  if (absl::Status status = SaveContexts(context.settings.path, *contexts); !status.ok())
    return status;
  return api;
}

ExitCode RunLogin(Context& context, const std::string& controller, LoginOptions options) {
  context.settings.controller = controller;  // what errors name, not that of a context
  context.settings.controller_source = "--controller";
  if (context.settings.path.empty())
    return FailUsage(context, "login: HOME is not set: there is no place to keep the identity");
  if (options.context.empty()) options.context = options.name + "@" + HostOf(controller);
  if (!IsContextName(options.context))
    return FailUsage(context, "login: --as: \"" + options.context +
                                  "\" must be letters, digits and .-_@, at most 128");
  // Before the token is used up.
  if (const auto contexts = LoadFitting(context, options); !contexts.ok())
    return Fail(context, contexts.status());
  const auto token = identity::ReadTokenFile(options.token_file);
  if (!token.ok()) return Fail(context, token.status());
  const auto joined = identity::Join({.address = controller,
                                      .pin = options.pin,
                                      .token = *token,
                                      .role = v1::IDENTITY_ROLE_PERSON,
                                      .name = options.name});
  if (!joined.ok()) return Fail(context, joined.status());
  const auto api = Keep(context, controller, options, *joined);
  if (!api.ok()) return Fail(context, api.status());
  context.out << "Logged in as " << identity::ActorText(joined->peer.id) << " at " << *api
              << " (context " << options.context << "); the certificate is good until "
              << absl::FormatTime("%Y-%m-%d", joined->peer.expire_time, absl::UTCTimeZone())
              << ", and renewed while it is used." << std::endl;
  return ExitCode::kOk;
}

}  // namespace

void AddLoginCommand(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("login", "Get your identity in a cluster with a token, and use it");
  auto options = std::make_shared<LoginOptions>();
  auto controller = std::make_shared<std::string>();
  const char* const user = std::getenv("USER");
  if (user != nullptr) options->name = user;
  // Its own: that of other commands is the API, this is where one joins.
  command
      ->add_option("--controller", *controller,
                   "Where to log in, HOST:PORT, as `remuda token create` has printed it; several "
                   "with commas between: the first that can be reached")
      ->required();
  command->add_option("--pin", options->pin, "Of the cluster's authority, sha256:DIGITS")
      ->required();
  command->add_option("--token-file", options->token_file, "File with the token; -: standard input")
      ->required();
  command->add_option("--name", options->name, "User that the token was made for (default: $USER)");
  command->add_option("--as", options->context, "Name of the context (default: NAME@HOST)");
  SetExample(command,
             "remuda login --controller 10.0.0.1:7443 --pin sha256:... --name ann --token-file -");
  SetOfflineRun(command, context, [&context, controller, options] {
    return RunLogin(context, *controller, *options);
  });
}

}  // namespace remuda::cli
