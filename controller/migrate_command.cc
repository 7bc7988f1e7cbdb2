#include "controller/migrate_command.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <string>

#include "controller/add_store_flags.h"
#include "controller/backup/migration.h"

namespace remuda {
namespace {

constexpr char kMigrateFooter[] =
    "With no controller running on either store. The source stays as it is: never start a "
    "controller on it again once one runs on the target, as both would be the same cluster.\n"
    "Images stay in the data directory.\n"
    "Example: remuda-controller migrate --from sqlite:/var/lib/remuda/controller/state.db "
    "--to etcd://etcd-1:2379,etcd-2:2379 --to-ca ca.pem\n";

struct SideFlags {
  StoreFlags store;
  std::string sealing_key_file;
};

void AddSide(CLI::App& app, const std::string& flag, const std::string& of, SideFlags& out) {
  AddStoreFlags(app, flag,
                "The store " + of + ": sqlite:PATH or etcd://HOST:PORT[,HOST:PORT...][/PREFIX]",
                out.store)
      ->required();
  app.add_option(flag + "-sealing-key", out.sealing_key_file,
                 "File with the key that it is sealed under; default: sealing.key in the data "
                 "directory")
      ->type_name("FILE");
}

absl::StatusOr<MigrationSide> ReadSide(const SideFlags& flags, const std::string& data_directory) {
  auto store = ParseStoreOptions(flags.store, "");
  if (!store.ok()) return store.status();
  MigrationSide side;
  side.store = *std::move(store);
  side.sealing_key_file = flags.sealing_key_file;
  side.name = flags.store.store;
  if (side.store.kind == StoreOptions::Kind::kSqlite) {
    side.data_directory = data_directory;
    const auto parent = std::filesystem::path(side.store.sqlite_path).parent_path();
    if (data_directory.empty()) side.data_directory = parent.empty() ? "." : parent.string();
  }
  return side;
}

int Fail(const absl::Status& status, int code) {
  std::cerr << "remuda-controller migrate: " << std::string(status.message()) << "\n";
  return code;
}

void Print(const MigrationSide& from, const MigrationSide& to, const Migrated& migrated) {
  const StoreHead& head = migrated.head;
  std::cout << "cluster " << head.cluster_id << ", commit " << head.commit << ", epoch "
            << head.epoch << ": from " << from.name << " to " << to.name << "\n";
  int64_t rows = 0;
  for (const auto& [kind, of] : migrated.rows) {
    std::string name = "of kind " + std::to_string(static_cast<int>(kind));
    if (kind >= core::Kind{1} && kind <= core::kLastKind) {
      core::VisitKind(kind, [&name]<class T>(T*) { name = T::descriptor()->name(); });
    }
    std::cout << "  " << of.rows << " " << name << ", SHA-256 " << of.sha256 << "\n";
    rows += of.rows;
  }
  std::cout << rows << " rows were copied, read back and found the same; "
            << (migrated.has_authority ? "so was the authority" : "there is no authority") << "\n";
  for (const std::string& key : migrated.left)
    std::cout << "not copied: shared value " << key << "\n";
}

}  // namespace

int RunMigrate(int argc, char** argv) {
  CLI::App app("Copies the state from one store to another, which is empty.",
               "remuda-controller migrate");
  app.footer(kMigrateFooter);
  SideFlags from_flags;
  SideFlags to_flags;
  std::string data_directory;
  AddSide(app, "--from", "that is copied", from_flags);
  AddSide(app, "--to", "that it is copied to", to_flags);
  app.add_option("--data-dir", data_directory,
                 "The data directory of the controller on SQLite, with identity/ and sealing.key; "
                 "default: where PATH is")
      ->type_name("DIR");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  auto from = ReadSide(from_flags, data_directory);
  auto to = ReadSide(to_flags, data_directory);
  if (!from.ok() || !to.ok()) return Fail(from.ok() ? to.status() : from.status(), 2);
  if (data_directory.empty())
    data_directory = from->data_directory.empty() ? to->data_directory : from->data_directory;
  for (MigrationSide* side : {&*from, &*to}) {
    if (!side->sealing_key_file.empty()) continue;
    const std::string& of = side->data_directory.empty() ? data_directory : side->data_directory;
    if (of.empty()) {
      return Fail(absl::InvalidArgumentError(side == &*from ? "--from-sealing-key is needed"
                                                            : "--to-sealing-key is needed"),
                  2);
    }
    side->sealing_key_file = of + "/sealing.key";
  }
  const auto migrated = Migrate(*from, *to);
  if (!migrated.ok()) return Fail(migrated.status(), 1);
  Print(*from, *to, *migrated);
  return 0;
}

}  // namespace remuda
