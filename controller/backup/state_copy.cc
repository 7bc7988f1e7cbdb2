#include "controller/backup/state_copy.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <sqlite3.h>

#include <memory>

#include "common/status.h"
#include "controller/core/model/state.h"
#include "controller/store/sqlite_statement.h"

namespace remuda {
namespace {

constexpr char kInstanceCounter[] = "instance";
constexpr int kBusyTimeoutMs = 5'000;

struct Close {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};
struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

class Database {
 public:
  static absl::StatusOr<Database> Open(const std::string& path, int flags) {
    sqlite3* opened = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &opened, flags | SQLITE_OPEN_NOMUTEX, nullptr);
    Database out(path, opened);
    if (code != SQLITE_OK) return out.Error("opened");
    sqlite3_busy_timeout(opened, kBusyTimeoutMs);
    return out;
  }

  absl::Status Error(const std::string& what) const {
    const char* why = database_ == nullptr ? "out of memory" : sqlite3_errmsg(database_.get());
    return absl::InvalidArgumentError(absl::StrCat(path_, ": cannot be ", what, ": ", why));
  }
  absl::Status Exec(const std::string& sql) {
    return sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK
               ? absl::OkStatus()
               : Error("written");
  }
  // The first column of the first row; empty: there is no row. `key` is bound if it is not null.
  absl::StatusOr<std::string> One(const char* sql, const char* key = nullptr) {
    sqlite3_stmt* prepared = nullptr;
    if (sqlite3_prepare_v2(database_.get(), sql, -1, &prepared, nullptr) != SQLITE_OK)
      return Error("read");
    const std::unique_ptr<sqlite3_stmt, Finalize> statement(prepared);
    if (key != nullptr) sqlite3_bind_text(prepared, 1, key, -1, SQLITE_STATIC);
    const int step = sqlite3_step(prepared);
    if (step == SQLITE_DONE) return std::string();
    if (step != SQLITE_ROW) return Error("read");
    return std::string(sqlite::Column(prepared, 0));
  }
  absl::Status Write(const char* sql, std::string_view value) {
    sqlite3_stmt* prepared = nullptr;
    if (sqlite3_prepare_v2(database_.get(), sql, -1, &prepared, nullptr) != SQLITE_OK)
      return Error("written");
    const std::unique_ptr<sqlite3_stmt, Finalize> statement(prepared);
    sqlite::Use use(prepared);
    use.Blob(1, value);
    return use.Step() == SQLITE_DONE ? absl::OkStatus() : Error("written");
  }

 private:
  Database(std::string path, sqlite3* database) : path_(std::move(path)), database_(database) {}

  std::string path_;
  std::unique_ptr<sqlite3, Close> database_;
};

absl::StatusOr<int64_t> NumberIn(Database& database, const char* name) {
  const auto text = database.One("SELECT value FROM meta WHERE name=?1", name);
  if (!text.ok()) return text.status();
  int64_t out = 0;
  if (!text->empty() && !absl::SimpleAtoi(*text, &out))
    return absl::InvalidArgumentError(absl::StrCat(name, " is not a number"));
  return out;
}

int64_t Raised(int64_t number, int64_t floor) {
  return floor > number ? floor : number + kRestoreStep;
}

absl::Status RaiseInstances(Database& database, int64_t floor) {
  const std::string where = absl::StrCat(" WHERE kind=", static_cast<int>(core::Kind::kCounter),
                                         " AND key='", kInstanceCounter, "'");
  const auto kept = database.One(absl::StrCat("SELECT value FROM rows", where).c_str());
  if (!kept.ok()) return kept.status();
  store::v1::Counter counter;
  if (!counter.ParseFromString(*kept))
    return absl::InvalidArgumentError("the counter of instances cannot be read");
  counter.set_last(Raised(counter.last(), floor));
  const std::string insert =
      absl::StrCat("INSERT INTO rows(kind, key, commit_number, value) SELECT ",
                   static_cast<int>(core::Kind::kCounter), ", '", kInstanceCounter,
                   "', CAST(value AS INTEGER), ?1 FROM meta WHERE name='commit'"
                   " ON CONFLICT(kind, key) DO UPDATE SET value=excluded.value");
  return database.Write(insert.c_str(), counter.SerializeAsString());
}

}  // namespace

absl::Status CopyState(const std::string& from, const std::string& to) {
  // For writing, as a reader of a log has to write to its index.
  auto database = Database::Open(from, SQLITE_OPEN_READWRITE);
  absl::Status status = database.status();
  // Not its free pages, which may have what was deleted.
  if (status.ok()) status = database->Write("VACUUM INTO CAST(?1 AS TEXT)", to);
  // A full disk, most likely: nothing that whoever asks for the copy has got wrong.
  return status.ok() ? status : Unavailable(std::string(status.message()));
}

absl::StatusOr<StateFacts> ReadStateFacts(const std::string& path) {
  auto database = Database::Open(path, SQLITE_OPEN_READWRITE);
  if (!database.ok()) return database.status();
  StateFacts out;
  const auto check = database->One("PRAGMA quick_check(1)");
  if (!check.ok()) return check.status();
  if (*check != "ok") return absl::InvalidArgumentError(absl::StrCat(path, ": damaged: ", *check));
  const auto version = database->One("PRAGMA user_version");
  if (!version.ok()) return version.status();
  if (!absl::SimpleAtoi(*version, &out.schema)) return database->Error("read");
  for (const auto& [name, number] :
       {std::pair{"epoch", &out.epoch}, std::pair{"commit", &out.commit}}) {
    const auto kept = NumberIn(*database, name);
    if (!kept.ok()) return kept.status();
    *number = *kept;
  }
  for (const auto& [name, text] :
       {std::pair{"cluster_id", &out.cluster_id}, std::pair{"sealed_under", &out.sealed_under}}) {
    auto kept = database->One("SELECT value FROM meta WHERE name=?1", name);
    if (!kept.ok()) return kept.status();
    *text = *std::move(kept);
  }
  return out;
}

absl::Status RaiseState(const std::string& path, int64_t floor) {
  auto database = Database::Open(path, SQLITE_OPEN_READWRITE);
  if (!database.ok()) return database.status();
  const auto epoch = NumberIn(*database, "epoch");
  if (!epoch.ok()) return epoch.status();
  absl::Status status = database->Exec("BEGIN IMMEDIATE");
  if (status.ok()) {
    status = database->Write("UPDATE meta SET value=CAST(?1 AS TEXT) WHERE name='epoch'",
                             absl::StrCat(Raised(*epoch, floor)));
  }
  if (status.ok()) status = RaiseInstances(*database, floor);
  if (status.ok()) status = database->Exec("COMMIT");
  return status;
}

}  // namespace remuda
