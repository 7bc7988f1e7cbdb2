// The schema of the embedded store: how it is made, brought forward, and sealed.
#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>
#include <sqlite3.h>

#include <vector>

#include "common/status.h"
#include "controller/store/sealed_kinds.h"
#include "controller/store/sqlite_statement.h"
#include "controller/store/sqlite_store.h"

namespace remuda {

using sqlite::Column;
using sqlite::Use;

namespace {

constexpr char kTables[] =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE rows(kind INTEGER NOT NULL, key TEXT NOT NULL, commit_number INTEGER NOT NULL,"
    " value BLOB NOT NULL, PRIMARY KEY(kind, key)) WITHOUT ROWID;";

// 1 and 2: rows of before 0.1.0, which say other things in the same fields. 3: nothing is sealed.
constexpr int kOldestSchema = 3;
constexpr int kFirstSealedSchema = 4;

constexpr char kSecretPlace[] = "the cluster's secret";
// Names of meta beside those of leadership.
constexpr char kSecret[] = "secret";
constexpr char kSealedUnder[] = "sealed_under";  // id of the key that sealed last
constexpr char kScrub[] = "scrub";  // "1": the file may still have what is sealed now in the clear
// Rows that are sealed anew at a time, so that few are in memory.
constexpr int kRowsAtOnce = 200;

}  // namespace

const SqliteStore::Migration SqliteStore::kMigrations[] = {
    {.from = 3, .run = &SqliteStore::SealRows},
};

absl::StatusOr<int> SqliteStore::ReadSchemaVersion() {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database_, "PRAGMA user_version", -1, &statement, nullptr) != SQLITE_OK)
    return Error("read the schema version");
  const int step = sqlite3_step(statement);
  const int version = step == SQLITE_ROW ? sqlite3_column_int(statement, 0) : -1;
  sqlite3_finalize(statement);
  if (version < 0) return Error("read the schema version");
  return version;
}

absl::Status SqliteStore::CheckSchema(int version) const {
  const std::string has = absl::StrCat(path_, " has schema ", version, ", this controller knows ");
  if (version > kSchemaVersion) {
    return FailedPrecondition("SCHEMA_TOO_NEW",
                              absl::StrCat(has, "up to ", kSchemaVersion,
                                           ": start the newer controller that wrote it, or restore "
                                           "a backup of before it"));
  }
  if (version != 0 && version < kOldestSchema) {
    return FailedPrecondition("SCHEMA_TOO_OLD",
                              absl::StrCat(has, kOldestSchema, " to ", kSchemaVersion,
                                           ", and cannot bring it forward; begin with an empty "
                                           "data directory, and apply the manifests again"));
  }
  return absl::OkStatus();
}

absl::Status SqliteStore::TakeSealingKeys(int version, const std::string& file) {
  absl::StatusOr<SealingKeys> keys = ReadSealingKeys(file);
  if (absl::IsNotFound(keys.status())) {
    // Another key would open nothing.
    if (version >= kFirstSealedSchema) {
      return FailedPrecondition(
          "SEALING_KEY",
          absl::StrCat("sealing key file ", file, ": there is no such file, and ", path_,
                       " is sealed: put the file back (backups do not "
                       "have it), or name it with --sealing-key-file"));
    }
    keys = MakeSealingKeys(file);
    if (keys.ok()) {
      spdlog::info(
          "made the sealing key {}; keep a copy of it apart from the backups, which "
          "cannot be used without it",
          file);
    }
  }
  if (!keys.ok()) return keys.status();
  sealer_ = std::make_unique<Sealer>(*keys);
  return absl::OkStatus();
}

absl::Status SqliteStore::MakeSchema(int version) {
  if (version != 0) {
    if (absl::Status status = Prepare(); !status.ok()) return status;
    return version == kSchemaVersion ? absl::OkStatus() : Migrate(version);
  }
  absl::Status status = Exec("BEGIN IMMEDIATE");
  if (status.ok()) status = Exec(kTables);
  if (status.ok()) status = Prepare();
  if (status.ok()) status = WriteMeta(kSealedUnder, sealer_->current_id());
  if (status.ok()) status = Exec(absl::StrCat("PRAGMA user_version=", kSchemaVersion).c_str());
  if (status.ok()) status = Exec("COMMIT");
  if (!status.ok()) RollBack();
  return status;
}

absl::Status SqliteStore::Migrate(int version) {
  absl::Status status = Exec("BEGIN IMMEDIATE");
  for (const Migration& step : kMigrations) {
    if (status.ok() && step.from >= version) status = (this->*step.run)();
  }
  if (status.ok() && version < kFirstSealedSchema) status = WriteMeta(kScrub, "1");
  if (status.ok()) status = Exec(absl::StrCat("PRAGMA user_version=", kSchemaVersion).c_str());
  if (status.ok()) status = Exec("COMMIT");
  if (!status.ok()) {
    RollBack();
    return status;
  }
  spdlog::info("{}: brought from schema {} to {}", path_, version, kSchemaVersion);
  return absl::OkStatus();
}

absl::StatusOr<std::string> SqliteStore::ReadSecret() {
  absl::StatusOr<std::string> kept = ReadMeta(kSecret);
  if (!kept.ok() || !Sealer::IsSealed(*kept)) return kept;
  auto opened = sealer_->Open(kSecretPlace, *kept);
  if (!opened.ok()) return WithStore(opened.status());
  return opened;
}

absl::Status SqliteStore::WriteSecret(std::string_view secret) {
  return WriteMeta(kSecret, sealer_->Seal(kSecretPlace, secret));
}

absl::StatusOr<int> SqliteStore::SealRowsOf(core::Kind kind) {
  struct Row {
    std::string key;
    std::string value;
    int64_t commit;
  };
  int sealed = 0;
  std::string after;
  std::vector<Row> rows;
  do {
    rows.clear();
    {
      Use use(next_rows_);
      use.Int(1, static_cast<int>(kind));
      use.Text(2, after);
      use.Int(3, kRowsAtOnce);
      int step = SQLITE_ROW;
      while ((step = use.Step()) == SQLITE_ROW) {
        rows.push_back({std::string(Column(next_rows_, 0)), std::string(Column(next_rows_, 1)),
                        sqlite3_column_int64(next_rows_, 2)});
      }
      if (step != SQLITE_DONE) return Error("read");
    }
    for (Row& row : rows) {
      after = row.key;
      if (sealer_->IsCurrent(row.value)) continue;
      const std::string place = PlaceOfRow(kind, row.key);
      if (Sealer::IsSealed(row.value)) {
        auto opened = sealer_->Open(place, row.value);
        if (!opened.ok()) return WithStore(opened.status());
        row.value = *std::move(opened);
      }
      const std::string bytes = sealer_->Seal(place, row.value);
      Use use(put_);
      use.Int(1, static_cast<int>(kind));
      use.Text(2, row.key);
      use.Int(3, row.commit);
      use.Blob(4, bytes);
      if (use.Step() != SQLITE_DONE) return Error("write");
      ++sealed;
    }
  } while (!rows.empty());
  return sealed;
}

absl::Status SqliteStore::SealRows() {
  int sealed = 0;
  for (int number = 1; number <= static_cast<int>(core::kLastKind); ++number) {
    const auto kind = static_cast<core::Kind>(number);
    if (!IsSealedKind(kind)) continue;
    const auto count = SealRowsOf(kind);
    if (!count.ok()) return count.status();
    sealed += *count;
  }
  const auto secret = ReadSecret();
  if (!secret.ok()) return secret.status();
  if (!secret->empty()) {
    if (absl::Status status = WriteSecret(*secret); !status.ok()) return status;
  }
  spdlog::info("{}: sealed {} rows under key {}", path_, sealed, sealer_->current_id());
  return WriteMeta(kSealedUnder, sealer_->current_id());
}

absl::Status SqliteStore::SealUnderNewKey() {
  const auto last = ReadMeta(kSealedUnder);
  if (!last.ok()) return last.status();
  if (*last == sealer_->current_id()) return absl::OkStatus();
  absl::Status status = Exec("BEGIN IMMEDIATE");
  if (status.ok()) status = SealRows();
  if (status.ok()) status = Exec("COMMIT");
  if (!status.ok()) RollBack();
  return status;
}

// Without an error SQLite leaves the log as it is where somebody reads of it: the row tells.
absl::StatusOr<bool> SqliteStore::EmptyLog() {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database_, "PRAGMA wal_checkpoint(TRUNCATE)", -1, &statement, nullptr) !=
      SQLITE_OK)
    return Error("empty the log");
  const bool is_told = sqlite3_step(statement) == SQLITE_ROW;
  const bool is_busy = is_told && sqlite3_column_int(statement, 0) != 0;
  sqlite3_finalize(statement);
  if (!is_told) return Error("empty the log");
  return !is_busy;
}

absl::Status SqliteStore::Scrub() {
  const auto pending = ReadMeta(kScrub);
  if (!pending.ok()) return pending.status();
  if (*pending != "1") return absl::OkStatus();
  absl::Status status = Exec("VACUUM");
  if (!status.ok()) return status;
  const absl::StatusOr<bool> is_empty = EmptyLog();
  if (!is_empty.ok()) return is_empty.status();
  if (*is_empty) return WriteMeta(kScrub, "0");
  spdlog::warn(
      "{}-wal still has what is sealed now in the clear, as somebody else reads the store: it is "
      "tried again at the next start",
      path_);
  return absl::OkStatus();
}

}  // namespace remuda
