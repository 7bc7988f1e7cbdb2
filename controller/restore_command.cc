#include "controller/restore_command.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>

#include "controller/add_store_flags.h"
#include "controller/backup/restore.h"
#include "controller/backup/state_file.h"

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
  StoreFlags store_flags;
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
  AddStoreFlags(
      app, "--store",
      "Where the state goes, which holds nothing: etcd://HOST:PORT[,HOST:PORT...][/PREFIX]; "
      "default: into the data directory",
      store_flags);
  app.add_option("--blobs", options.blobs_directory,
                 "Directory of images that all controllers share, as their --blobs says: the "
                 "backup's images go into it; default: into the data directory")
      ->type_name("DIR");
  app.add_flag("--force", options.force,
               "The data directory may hold a state: it is put aside, in before-restore-TIME");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (options.sealing_key_file.empty())
    options.sealing_key_file = options.data_directory + "/sealing.key";
  const auto store = ParseStoreOptions(store_flags, options.data_directory);
  if (!store.ok()) {
    std::cerr << "remuda-controller restore: " << std::string(store.status().message()) << "\n";
    return 2;
  }
  const bool is_etcd = store->kind == StoreOptions::Kind::kEtcd;
  if (!is_etcd && !store_flags.store.empty()) {
    std::cerr << "remuda-controller restore: --store: " << store_flags.store
              << ": a backup is restored into DATA_DIR/state.db or into etcd://\n";
    return 2;
  }
  if (is_etcd) {
    options.put_state = [place = EtcdPlace{store->etcd, options.sealing_key_file}](
                            const std::string& file, const StateFiles& files) {
      return PutStateFile(file, files, place);
    };
  }
  const auto restored = Restore(options);
  if (!restored.ok()) {
    std::cerr << "remuda-controller restore: " << std::string(restored.status().message()) << "\n";
    return 1;
  }
  const BackupManifest& manifest = restored->manifest;
  std::cout << "restored cluster " << manifest.cluster_id << " as of commit " << manifest.commit
            << " into " << (is_etcd ? store_flags.store : options.data_directory) << ", epoch "
            << restored->epoch << "\n";
  if (!manifest.has_images)
    std::cout << "without images: hosts that do not have them yet cannot start instances until "
                 "they are pushed again\n";
  if (!restored->replaced.empty())
    std::cout << "what was there is in " << restored->replaced << "\n";
  return 0;
}

}  // namespace remuda
