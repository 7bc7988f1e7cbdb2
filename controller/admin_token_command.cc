#include "controller/admin_token_command.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>

#include "common/identity/authority.h"
#include "common/identity/identity_files.h"
#include "common/identity/token_file.h"
#include "controller/api/admin_token.h"

namespace remuda {

int RunAdminToken(int argc, char** argv) {
  CLI::App app(
      "Prints the token with which the first admin joins, as the controller has left it in its "
      "data "
      "directory; as the controller's own user, or root.",
      "remuda-controller admin-token");
  app.footer(
      "Example: kubectl exec remuda-controller-0 -- /usr/bin/remuda-controller admin-token | "
      "remuda login --name admin --token-file - ...\n");
  std::string data_directory;
  app.add_option("--data-dir", data_directory, "As the controller is run with")
      ->envname("REMUDA_DATA_DIR")
      ->required()
      ->type_name("DIR");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const auto fail = [](const std::string& what) {
    std::cerr << "remuda-controller admin-token: " << what << "\n";
    return 1;
  };
  const std::string file = AdminToken::PathIn(data_directory);
  const auto token = identity::ReadTokenFile(file);
  if (absl::IsNotFound(token.status())) {
    return fail(file +
                ": is not there: an admin has joined already, or this controller has not led "
                "(yet). For another one start it with --new-admin-token");
  }
  if (!token.ok()) return fail(std::string(token.status().message()));
  const auto authorities = identity::ReadSmallFile(
      identity::FilesIn(data_directory + "/identity").authorities, identity::kMaxIdentityFileBytes);
  if (!authorities.ok()) return fail(std::string(authorities.status().message()));
  const auto pin = identity::PinOf(std::string_view(*authorities));
  if (!pin.ok()) return fail(std::string(pin.status().message()));
  std::cerr
      << "Within 24 hours of the controller's start: remuda login --controller HOST:PORT --pin "
      << *pin << " --name " << AdminToken::kUser << " --token-file -\n";
  std::cout << *token << std::endl;
  return 0;
}

}  // namespace remuda
