#include "controller/backup/migration.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "common/identity/identity_files.h"
#include "common/status.h"
#include "controller/backup/give_to_owner.h"
#include "controller/store/authority_text.h"
#include "controller/store/etcd_store.h"
#include "controller/store/sqlite_store.h"

namespace remuda {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kLease{30};
constexpr size_t kMaxAuthorityFileBytes = size_t{128} << 10;

bool IsSqlite(const MigrationSide& side) { return side.store.kind == StoreOptions::Kind::kSqlite; }

// A store that is open, and what of it is needed here.
struct Opened {
  std::unique_ptr<SqliteStore> sqlite;
  std::unique_ptr<EtcdStore> etcd;

  StoreContent& content() const {
    if (sqlite != nullptr) return *sqlite;
    return *etcd;
  }
  absl::Status Lead() const {
    return sqlite != nullptr ? sqlite->Campaign().status() : etcd->CampaignAtOnce().status();
  }
  bool Leads() const {
    return sqlite != nullptr || *etcd->lease_deadline() > std::chrono::steady_clock::now();
  }
};

absl::StatusOr<Opened> Open(const MigrationSide& side) {
  Opened out;
  if (IsSqlite(side)) {
    auto store = SqliteStore::Open(
        {.path = side.store.sqlite_path, .sealing_key_file = side.sealing_key_file});
    if (!store.ok()) return store.status();
    out.sqlite = *std::move(store);
    return out;
  }
  EtcdStore::Options options;
  options.address = side.store.etcd;
  options.sealing_key_file = side.sealing_key_file;
  options.self.set_name("migration");
  options.time_to_live = kLease;
  options.history = EtcdClient::Duration(0);
  auto store = EtcdStore::Open(std::move(options));
  if (!store.ok()) return store.status();
  out.etcd = *std::move(store);
  return out;
}

absl::StatusOr<Opened> OpenSource(const MigrationSide& side) {
  const std::string& file = side.store.sqlite_path;
  std::error_code error;
  if (IsSqlite(side) && !fs::is_regular_file(file, error))
    return FailedPrecondition("EMPTY", absl::StrCat("--from: ", file, ": there is no such file"));
  // A key that is made opens nothing.
  if (!fs::exists(side.sealing_key_file, error)) {
    return FailedPrecondition(
        "SEALING_KEY",
        absl::StrCat("--from-sealing-key: ", side.sealing_key_file,
                     ": there is no such file: name the one that ", side.name, " is sealed under"));
  }
  return Open(side);
}

struct AuthorityPaths {
  std::string certificates;
  std::string key;
};

AuthorityPaths FilesOf(const MigrationSide& side) {
  const std::string directory = side.data_directory + "/identity";
  return {.certificates = directory + "/ca.pem", .key = directory + "/ca.key"};
}

// Not set: there is none, as where certificates are issued elsewhere.
absl::StatusOr<std::optional<AuthorityText>> ReadAuthority(const AuthorityPaths& files) {
  AuthorityText out;
  for (const auto& [path, text] :
       {std::pair{&files.certificates, &out.certificates}, std::pair{&files.key, &out.key}}) {
    std::error_code error;
    if (!fs::exists(*path, error)) return std::optional<AuthorityText>();
    auto read = identity::ReadSmallFile(*path, kMaxAuthorityFileBytes);
    if (!read.ok()) return read.status();
    *text = *std::move(read);
  }
  return std::optional<AuthorityText>(std::move(out));
}

absl::Status WriteAuthority(const AuthorityPaths& files, const AuthorityText& authority) {
  const auto there = ReadAuthority(files);
  if (!there.ok()) return there.status();
  if (there->has_value()) {
    if (JoinAuthority(**there) == JoinAuthority(authority)) return absl::OkStatus();
    return FailedPrecondition("AUTHORITY",
                              absl::StrCat(files.certificates, ": another authority is there, and ",
                                           "two are not one cluster's: put both files aside"));
  }
  std::error_code error;
  const fs::path directory = fs::path(files.key).parent_path();
  fs::create_directories(directory, error);
  fs::permissions(directory, fs::perms::owner_all, error);
  if (absl::Status status = identity::WritePrivateFile(files.certificates, authority.certificates);
      !status.ok()) {
    return status;
  }
  return identity::WritePrivateFile(files.key, authority.key);
}

// The authority from where the source has it to where the target does; the rest of what is shared
// goes along, or is left.
absl::Status MoveShared(const MigrationSide& from, const MigrationSide& to, StoreHead& head,
                        Migrated& out) {
  if (IsSqlite(from)) {
    const auto authority = ReadAuthority(FilesOf(from));
    if (!authority.ok()) return authority.status();
    if (authority->has_value()) head.shared[kAuthorityKey] = JoinAuthority(**authority);
  }
  out.has_authority = head.shared.contains(kAuthorityKey);
  if (!IsSqlite(to)) return absl::OkStatus();
  for (const auto& [key, value] : std::exchange(head.shared, {})) {
    if (key != kAuthorityKey) {
      out.left.push_back(key);
      continue;
    }
    const auto authority = SplitAuthority(value);
    if (!authority.has_value()) {
      return absl::DataLossError(
          absl::StrCat(from.name, ": shared value ", key,
                       " is not certificates with a private key behind them"));
    }
    if (absl::Status status = WriteAuthority(FilesOf(to), *authority); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// What a controller would find.
absl::Status CheckHead(const MigrationSide& to, const StoreHead& put) {
  const auto opened = Open(to);
  if (!opened.ok()) return opened.status();
  const absl::Status is_same = absl::CancelledError("it is the same");
  const absl::Status status = opened->content().ReadAll(
      [&](const StoreHead& read) {
        // The lease that was given back may not be gone yet, or somebody who waited leads: epochs
        // are above what was put then.
        StoreHead expected = put;
        expected.epoch = std::max(put.epoch, read.epoch);
        if (read == expected) return is_same;
        return absl::DataLossError(absl::StrCat(to.name, ": cluster ", read.cluster_id, ", commit ",
                                                read.commit, ", epoch ", read.epoch,
                                                " were read back, or what is shared differs"));
      },
      [](core::Kind, std::string_view, std::string_view, int64_t) { return absl::OkStatus(); });
  return status == is_same ? absl::OkStatus() : status;
}

absl::StatusOr<Migrated> MoveAll(const MigrationSide& from, const MigrationSide& to) {
  if (from.name == to.name)
    return absl::InvalidArgumentError(absl::StrCat("--from and --to: both are ", from.name));
  const auto source = OpenSource(from);
  if (!source.ok()) return source.status();
  if (absl::Status status = source->Lead(); !status.ok()) return status;
  Migrated out;
  {
    const auto target = Open(to);
    if (!target.ok()) return target.status();
    std::unique_ptr<StoreFilling> filling;
    const absl::Status copied = source->content().ReadAll(
        [&](const StoreHead& head) {
          out.head = head;
          // First what may be refused, then files.
          auto begun = target->content().Fill(head, absl::StrCat("a migration from ", from.name));
          if (!begun.ok()) return begun.status();
          filling = *std::move(begun);
          return absl::OkStatus();
        },
        [&](core::Kind kind, std::string_view key, std::string_view value, int64_t commit) {
          return filling->Row(kind, key, value, commit);
        });
    if (!copied.ok()) return copied;
    if (absl::Status status = MoveShared(from, to, out.head, out); !status.ok()) return status;
    filling->SetShared(out.head.shared);
    if (!source->Leads())
      return Unavailable(absl::StrCat(from.name, ": its lease was lost meanwhile: begin anew"));
    auto rows = filling->Finish();
    if (!rows.ok()) return rows.status();
    out.rows = *std::move(rows);
  }
  if (absl::Status status = CheckHead(to, out.head); !status.ok()) return status;
  return out;
}

// What root has made beside a store in SQLite, for who runs the controller there.
absl::Status GiveFiles(const MigrationSide& side) {
  if (!IsSqlite(side)) return absl::OkStatus();
  const std::string& state = side.store.sqlite_path;
  const std::string parent = fs::path(state).parent_path().string();
  const std::string directory = parent.empty() ? "." : parent;
  absl::Status status;
  for (const char* suffix : {"", "-wal", "-shm", "-journal", ".lock"})
    if (status.ok()) status = GiveToOwner(directory, state + suffix);
  if (status.ok()) status = GiveToOwner(side.data_directory, side.data_directory + "/identity");
  // A key that lies elsewhere is whose it is.
  std::error_code error;
  const fs::path key(side.sealing_key_file);
  if (status.ok() && fs::equivalent(key.parent_path(), side.data_directory, error))
    status = GiveToOwner(side.data_directory, side.sealing_key_file);
  return status;
}

}  // namespace

absl::StatusOr<Migrated> Migrate(const MigrationSide& from, const MigrationSide& to) {
  absl::StatusOr<Migrated> moved = MoveAll(from, to);
  for (const MigrationSide* side : {&from, &to}) {
    const absl::Status given = GiveFiles(*side);
    if (moved.ok() && !given.ok()) return given;
  }
  return moved;
}

}  // namespace remuda
