#include "controller/store/sqlite_store.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/private_directory.h"
#include "common/random_bytes.h"
#include "common/status.h"
#include "controller/store/sealed_kinds.h"
#include "controller/store/sqlite_statement.h"
#include "controller/store/store_uuid.h"

namespace remuda {

using sqlite::Column;
using sqlite::Use;

namespace {

// Another reader of the file (a person with sqlite3) may hold it for so long before a commit fails.
constexpr int kBusyTimeoutMs = 5000;

constexpr char kOpenPragmas[] =
    "PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=FULL;"
    "PRAGMA journal_size_limit=67108864;"
    "PRAGMA temp_store=MEMORY;";

constexpr size_t kSecretBytes = 32;

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const Options& options) {
  std::unique_ptr<SqliteStore> store(new SqliteStore(options.path));
  if (absl::Status status = store->Lock(); !status.ok()) return status;
  if (absl::Status status = store->OpenDatabase(); !status.ok()) return status;
  const absl::StatusOr<int> version = store->ReadSchemaVersion();
  if (!version.ok()) return version.status();
  absl::Status status = store->CheckSchema(*version);
  if (status.ok()) status = store->TakeSealingKeys(*version, options.sealing_key_file);
  if (status.ok()) status = store->MakeSchema(*version);
  if (status.ok()) status = store->SealUnderNewKey();
  if (status.ok()) status = store->Scrub();
  if (!status.ok()) return status;
  return store;
}

SqliteStore::~SqliteStore() {
  for (sqlite3_stmt* statement : {read_meta_, write_meta_, put_, remove_, next_rows_})
    sqlite3_finalize(statement);
  sqlite3_close(database_);
}

absl::Status SqliteStore::Lock() {
  auto lock = StateLock::Take(path_ + ".lock");
  if (lock.ok()) lock_.emplace(*std::move(lock));
  if (!absl::IsAlreadyExists(lock.status())) return lock.status();
  return FailedPrecondition(
      "STORE_IN_USE",
      absl::StrCat(path_, ": another controller (process ", std::string(lock.status().message()),
                   "), or a restore, has this store open; two cannot share one "
                   "file"));
}

// The file holds private keys and the cluster's secret. SQLite gives its other files the mode of
// the first.
absl::Status SqliteStore::KeepPrivate() {
  const int fd = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return Unavailable(path_ + ": cannot be opened: " + std::strerror(errno));
  close(fd);
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    const absl::StatusOr<bool> was_open = MakePrivateFile(path_ + suffix);
    if (!was_open.ok()) return was_open.status();
    if (*was_open) {
      spdlog::warn(
          "{}{} could be read by others: now it cannot. It holds private keys; if somebody may "
          "have "
          "read it, make new ones",
          path_, suffix);
    }
  }
  return absl::OkStatus();
}

absl::Status SqliteStore::OpenDatabase() {
  if (absl::Status status = KeepPrivate(); !status.ok()) return status;
  const int flags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  if (sqlite3_open_v2(path_.c_str(), &database_, flags, nullptr) != SQLITE_OK) return Error("open");
  sqlite3_busy_timeout(database_, kBusyTimeoutMs);
  return Exec(kOpenPragmas);
}

absl::Status SqliteStore::Prepare() {
  const std::pair<const char*, sqlite3_stmt**> statements[] = {
      {"SELECT value FROM meta WHERE name=?1", &read_meta_},
      {"INSERT INTO meta(name, value) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET "
       "value=excluded.value",
       &write_meta_},
      {"INSERT INTO rows(kind, key, commit_number, value) VALUES(?1, ?2, ?3, ?4) ON CONFLICT(kind, "
       "key)"
       " DO UPDATE SET commit_number=excluded.commit_number, value=excluded.value",
       &put_},
      {"DELETE FROM rows WHERE kind=?1 AND key=?2", &remove_},
      {"SELECT key, value, commit_number FROM rows WHERE kind=?1 AND key>?2 ORDER BY key LIMIT ?3",
       &next_rows_},
  };
  for (const auto& [sql, statement] : statements) {
    if (sqlite3_prepare_v3(database_, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, nullptr) !=
        SQLITE_OK) {
      return Error("prepare");
    }
  }
  return absl::OkStatus();
}

absl::Status SqliteStore::Exec(const char* sql) {
  return sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) == SQLITE_OK ? absl::OkStatus()
                                                                              : Error("write");
}

absl::Status SqliteStore::Error(std::string_view what) const {
  const int code = database_ == nullptr ? SQLITE_NOMEM : sqlite3_extended_errcode(database_);
  const char* message = database_ == nullptr ? "out of memory" : sqlite3_errmsg(database_);
  std::string text = path_ + ": cannot " + std::string(what) + ": " + message + " (SQLite " +
                     std::to_string(code) + ")";
  if ((code & 0xff) == SQLITE_FULL) return LimitExceeded("store", text);
  return Unavailable(text);
}

void SqliteStore::RollBack() {
  if (sqlite3_get_autocommit(database_) == 0)
    sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
}

absl::StatusOr<std::string> SqliteStore::ReadMeta(std::string_view name) {
  Use use(read_meta_);
  use.Text(1, name);
  const int step = use.Step();
  if (step == SQLITE_DONE) return std::string();
  if (step != SQLITE_ROW) return Error("read");
  return std::string(Column(read_meta_, 0));
}

absl::Status SqliteStore::WriteMeta(std::string_view name, std::string_view value) {
  Use use(write_meta_);
  use.Text(1, name);
  use.Text(2, value);
  return use.Step() == SQLITE_DONE ? absl::OkStatus() : Error("write");
}

absl::StatusOr<Leadership> SqliteStore::Campaign() {
  const auto campaign = [this]() -> absl::StatusOr<Leadership> {
    if (absl::Status status = Exec("BEGIN IMMEDIATE"); !status.ok()) return status;
    Leadership won;
    for (const auto& [name, number] :
         {std::pair{"epoch", &won.epoch}, std::pair{"commit", &won.commit}}) {
      absl::StatusOr<std::string> text = ReadMeta(name);
      if (!text.ok()) return text.status();
      *number = text->empty() ? 0 : std::stoll(*text);
    }
    absl::StatusOr<std::string> id = ReadMeta("cluster_id");
    if (!id.ok()) return id.status();
    won.cluster_id = id->empty() ? MakeUuid() : *id;
    ++won.epoch;
    if (absl::Status status = WriteMeta("cluster_id", won.cluster_id); !status.ok()) return status;
    if (absl::Status status = WriteMeta("epoch", std::to_string(won.epoch)); !status.ok())
      return status;
    absl::StatusOr<std::string> secret = ReadSecret();
    if (!secret.ok()) return secret.status();
    won.secret = secret->empty() ? RandomBytes(kSecretBytes) : *secret;
    if (secret->empty()) {
      if (absl::Status status = WriteSecret(won.secret); !status.ok()) return status;
    }
    if (absl::Status status = Exec("COMMIT"); !status.ok()) return status;
    return won;
  };
  absl::StatusOr<Leadership> won = campaign();
  if (!won.ok()) RollBack();
  return won;
}

absl::Status SqliteStore::Load(const RowFn& row) {
  sqlite3_stmt* statement = nullptr;
  const char* sql = "SELECT kind, key, value, commit_number FROM rows ORDER BY kind, key";
  if (sqlite3_prepare_v2(database_, sql, -1, &statement, nullptr) != SQLITE_OK)
    return Error("read");
  absl::Status status;
  int step = SQLITE_ROW;
  while (status.ok() && (step = sqlite3_step(statement)) == SQLITE_ROW) {
    const auto kind = static_cast<core::Kind>(sqlite3_column_int(statement, 0));
    const std::string_view key = Column(statement, 1);
    std::string_view value = Column(statement, 2);
    std::string plain;
    if (Sealer::IsSealed(value)) {
      auto opened = sealer_->Open(PlaceOfRow(kind, key), value);
      if (!opened.ok()) {
        status = WithStore(opened.status());
        break;
      }
      plain = *std::move(opened);
      value = plain;
    }
    status = row(kind, key, value, sqlite3_column_int64(statement, 3));
  }
  if (status.ok() && step != SQLITE_DONE) status = Error("read");
  sqlite3_finalize(statement);
  return status;
}

absl::Status SqliteStore::WithStore(const absl::Status& status) const {
  return absl::Status(status.code(), absl::StrCat(path_, ": ", std::string(status.message())));
}

absl::Status SqliteStore::Write(const core::Edit& edit, int64_t commit) {
  Use use(edit.value == nullptr ? remove_ : put_);
  use.Int(1, static_cast<int>(edit.kind));
  use.Text(2, edit.key);
  if (edit.value != nullptr) {
    if (!edit.value->SerializeToString(&scratch_)) {
      return Internal(path_ + ": row " + edit.key + " cannot be serialized as a " +
                      edit.value->GetTypeName());
    }
    if (IsSealedKind(edit.kind))
      scratch_ = sealer_->Seal(PlaceOfRow(edit.kind, edit.key), scratch_);
    use.Int(3, commit);
    use.Blob(4, scratch_);
  }
  return use.Step() == SQLITE_DONE ? absl::OkStatus() : Error("write");
}

absl::StatusOr<int64_t> SqliteStore::CommitInTransaction(const core::Changes& changes,
                                                         int64_t epoch) {
  if (absl::Status status = Exec("BEGIN IMMEDIATE"); !status.ok()) return status;
  absl::StatusOr<std::string> current = ReadMeta("epoch");
  if (!current.ok()) return current.status();
  if (*current != std::to_string(epoch)) {
    return FailedPrecondition("STALE_EPOCH",
                              path_ + ": epoch " + std::to_string(epoch) +
                                  " has ended, another controller leads with epoch " + *current);
  }
  absl::StatusOr<std::string> last = ReadMeta("commit");
  if (!last.ok()) return last.status();
  const int64_t commit = (last->empty() ? 0 : std::stoll(*last)) + 1;
  for (const core::Edit& edit : changes.edits) {
    if (absl::Status status = Write(edit, commit); !status.ok()) return status;
  }
  if (absl::Status status = WriteMeta("commit", std::to_string(commit)); !status.ok())
    return status;
  if (absl::Status status = Exec("COMMIT"); !status.ok()) return status;
  return commit;
}

absl::StatusOr<int64_t> SqliteStore::Commit(const core::Changes& changes, int64_t epoch) {
  absl::StatusOr<int64_t> commit = CommitInTransaction(changes, epoch);
  if (!commit.ok()) RollBack();
  return commit;
}

}  // namespace remuda
