#include "controller/restore_command.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>

#include "controller/backup/restore.h"

namespace remuda {

int RunRestore(int argc, char** argv) {
  CLI::App app(
      "Puts a backup into a data directory in which no controller runs. Agents and proxies follow "
      "it afterwards, whatever they have seen since the backup.",
      "remuda-controller restore");
  app.footer(
      "Example: remuda-controller restore --from backup.tar --data-dir "
      "/var/lib/remuda/controller\n");
  RestoreOptions options;
  app.add_option("--from", options.from, "The backup; - is the standard input")
      ->required()
      ->type_name("FILE");
  app.add_option("--data-dir", options.data_directory, "Where the controller will keep its state")
      ->required()
      ->type_name("DIR");
  app.add_option("--sealing-key-file", options.sealing_key_file,
                 "File with the key that the backup is sealed under; by default sealing.key in the "
                 "data directory")
      ->type_name("FILE");
  app.add_flag("--force", options.force,
               "The data directory may hold a state: it is put aside, in before-restore-TIME");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (options.sealing_key_file.empty())
    options.sealing_key_file = options.data_directory + "/sealing.key";
  const auto restored = Restore(options);
  if (!restored.ok()) {
    std::cerr << "remuda-controller restore: " << std::string(restored.status().message()) << "\n";
    return 1;
  }
  const BackupManifest& manifest = restored->manifest;
  std::cout << "restored cluster " << manifest.cluster_id << " as of commit " << manifest.commit
            << " into " << options.data_directory << ", epoch " << restored->epoch << "\n";
  if (!manifest.has_images)
    std::cout << "without images: hosts that do not have them yet cannot start instances until "
                 "they are pushed again\n";
  if (!restored->replaced.empty())
    std::cout << "what was there is in " << restored->replaced << "\n";
  return 0;
}

}  // namespace remuda
