#include "common/identity/join_command.h"

#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "common/identity/controller_addresses.h"
#include "common/identity/join_client.h"
#include "common/identity/token_file.h"

namespace remuda::identity {
namespace {

// A day less than a controller renews certificates after their end (docs/security.md, coming back):
// one that is over in the hour after it was looked at does not strand its program.
constexpr absl::Duration kRenewableFor = absl::Hours(24 * 29);

struct Flags {
  std::string controller;
  std::string pin;
  std::string token_file;
  std::string name;
  std::string data_directory;
  std::string identity_directory;
  bool force = false;
  bool if_needed = false;
};

std::string HostName() {
  constexpr size_t kMaxHostName = 256;
  std::array<char, kMaxHostName> text{};
  if (gethostname(text.data(), text.size() - 1) != 0) return "";
  const std::string whole = text.data();
  return whole.substr(0, whole.find('.'));
}

void AddFlags(CLI::App& app, Flags& flags) {
  app.add_option(
         "--controller", flags.controller,
         "Where to join, as `remuda token create` has printed it; several with commas between: "
         "the first that can be reached")
      ->required()
      ->type_name("HOST:PORT,...");
  app.add_option("--pin", flags.pin,
                 "Of the cluster's authority: no other controller is told the "
                 "token")
      ->required()
      ->type_name("sha256:DIGITS");
  app.add_option("--token-file", flags.token_file, "File with the token; -: standard input")
      ->required()
      ->type_name("FILE");
  app.add_option("--name", flags.name, "Name that the token was made for (default: the host's)")
      ->envname("REMUDA_NAME");
  app.add_option("--data-dir", flags.data_directory, "As the program is run with later")
      ->envname("REMUDA_DATA_DIR")
      ->capture_default_str();
  app.add_option("--identity-dir", flags.identity_directory,
                 "Where key and certificate go; empty: identity in the data directory")
      ->envname("REMUDA_IDENTITY_DIR");
  auto* force =
      app.add_flag("--force", flags.force, "Replace the identity of another cluster or name");
  app.add_flag("--if-needed", flags.if_needed,
               "Do nothing where there is an identity of this name that still can be renewed: for "
               "what is run before each start")
      ->excludes(force);
}

// Who runs the program is whose the data directory is: root may join for it.
absl::Status GiveToOwner(const std::string& data_directory, const std::string& directory) {
  struct stat owner {};
  if (geteuid() != 0 || stat(data_directory.c_str(), &owner) != 0 || owner.st_uid == 0)
    return absl::OkStatus();
  std::error_code ignored;
  std::vector<std::string> paths = {directory};
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored))
    paths.push_back(entry.path().string());
  for (const std::string& path : paths) {
    if (lchown(path.c_str(), owner.st_uid, owner.st_gid) != 0)
      return absl::FailedPreconditionError(
          path + ": cannot be given to its owner: " + std::strerror(errno));
  }
  return absl::OkStatus();
}

// Whether what is there will do: of this role and name, and not over for so long that only a token
// helps. Whose cluster it is the program itself finds out.
bool IsHeld(const Flags& flags, const JoiningProgram& program) {
  const auto held = LoadIdentity(FilesIn(flags.identity_directory));
  return held.ok() && held->peer.id.role == program.role && held->peer.id.name == flags.name &&
         absl::Now() < held->peer.expire_time + kRenewableFor;
}

// What is there already. `cluster` stays empty where anything may take its place.
absl::Status CheckHeld(const Flags& flags, const JoiningProgram& program, std::string& cluster) {
  const IdentityFiles files = FilesIn(flags.identity_directory);
  const auto held = LoadIdentity(files);
  if (absl::IsNotFound(held.status()) || flags.force) return absl::OkStatus();
  if (!held.ok())
    return absl::Status(held.status().code(),
                        std::string(held.status().message()) + " (--force replaces it)");
  const SpiffeId& id = held->peer.id;
  if (id.role != program.role || id.name != flags.name)
    return absl::FailedPreconditionError(files.identity + ": is the identity of " + Text(id) +
                                         "; --force replaces it");
  cluster = id.cluster;
  return absl::OkStatus();
}

absl::StatusOr<Joined> JoinWith(const Flags& flags, const JoiningProgram& program) {
  std::string cluster;
  if (absl::Status status = CheckHeld(flags, program, cluster); !status.ok()) return status;
  auto token = ReadTokenFile(flags.token_file);
  if (!token.ok())
    return absl::Status(token.status().code(),
                        "--token-file: " + std::string(token.status().message()));
  auto joined = Join({.address = flags.controller,
                      .pin = flags.pin,
                      .token = *std::move(token),
                      .role = program.role,
                      .name = flags.name,
                      .only_cluster = cluster});
  if (!joined.ok()) return joined;
  if (absl::Status status = SaveJoined(flags.identity_directory, *joined); !status.ok())
    return status;
  if (absl::Status status = GiveToOwner(flags.data_directory, flags.identity_directory);
      !status.ok())
    return status;
  return joined;
}

}  // namespace

bool IsJoinCommand(int argc, char** argv) { return argc > 1 && std::strcmp(argv[1], "join") == 0; }

int RunJoinCommand(int argc, char** argv, const JoiningProgram& program) {
  Flags flags;
  flags.data_directory = program.data_directory;
  flags.name = HostName();
  CLI::App app("Gets this host's identity with a token, once.", program.program + " join");
  AddFlags(app, flags);
  app.footer("Example: " + program.program +
             " join --controller 10.0.0.1:7443 --pin sha256:... --name host-3 --token-file -");
  try {
    app.parse(argc - 1, argv + 1);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (!IsIdentityName(flags.name)) {
    std::cerr << program.program << " join: --name: \"" << flags.name
              << "\" must match [a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\n";
    return 2;
  }
  const bool has_identity_directory = !flags.identity_directory.empty();
  if (flags.identity_directory.empty())
    flags.identity_directory = flags.data_directory + "/identity";
  if (program.prepare) program.prepare(flags.data_directory);
  if (flags.if_needed && IsHeld(flags, program)) {
    std::cout << "Joined already as " << flags.name << ": " << flags.identity_directory
              << std::endl;
    return 0;
  }
  const auto joined = JoinWith(flags, program);
  if (!joined.ok()) {
    std::cerr << program.program << " join: " << joined.status().message() << "\n";
    return 1;
  }
  const std::string controller =
      joined->controllers.empty() ? "HOST:PORT" : ControllersText(joined->controllers);
  std::cout << "Joined as " << Text(joined->peer.id) << "; the certificate is good until "
            << absl::FormatTime("%Y-%m-%d %H:%M:%SZ", joined->peer.expire_time, absl::UTCTimeZone())
            << ", and renewed by itself.\nKey and certificate: " << flags.identity_directory
            << "\nNow: " << program.program << " --controller " << controller << " --data-dir "
            << flags.data_directory
            << (has_identity_directory ? " --identity-dir " + flags.identity_directory : "")
            << program.next << "\n";
  // Where it is installed as a unit.
  const std::string settings =
      "/etc/remuda/" + program.program.substr(program.program.find('-') + 1) + ".conf";
  if (std::error_code ignored; std::filesystem::exists(settings, ignored)) {
    std::cout << "Or, with `controller = " << controller << "` in " << settings
              << ": systemctl start " << program.program << "\n";
  }
  std::cout << std::flush;
  return 0;
}

}  // namespace remuda::identity
