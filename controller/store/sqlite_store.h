// SqliteStore: the embedded store. One SQLite file (WAL, synchronous=FULL), one transaction a
// commit.
#pragma once

#include <memory>
#include <string>

#include "controller/store/store.h"

struct sqlite3;
struct sqlite3_stmt;

namespace remuda {

class SqliteStore final : public Store {
 public:
  // Opens the file, or makes it, and locks FILE.lock for as long as it is open.
  // FAILED_PRECONDITION: another process has it open, or its schema is newer than this program, or
  // others can read it and that cannot be changed. The directory must exist.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& path);
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;
  ~SqliteStore() override;

  absl::StatusOr<Leadership> Campaign() override;
  absl::Status Load(const RowFn& row) override;
  absl::StatusOr<int64_t> Commit(const core::Changes& changes, int64_t epoch) override;

 private:
  explicit SqliteStore(std::string path) : path_(std::move(path)) {}

  absl::Status Lock();
  absl::Status KeepPrivate();
  absl::Status OpenDatabase();
  absl::Status MakeSchema();
  absl::Status Prepare();

  absl::Status Exec(const char* sql);
  // The error of the last call, naming the file and what was tried.
  absl::Status Error(std::string_view what) const;
  // Takes an unfinished transaction back.
  void RollBack();

  absl::StatusOr<int64_t> CommitInTransaction(const core::Changes& changes, int64_t epoch);
  absl::Status Write(const core::Edit& edit, int64_t commit);
  absl::StatusOr<std::string> ReadMeta(std::string_view name);
  absl::Status WriteMeta(std::string_view name, std::string_view value);

  const std::string path_;
  int lock_fd_ = -1;
  sqlite3* database_ = nullptr;
  // Prepared once; finalized before the database is closed.
  sqlite3_stmt* read_meta_ = nullptr;
  sqlite3_stmt* write_meta_ = nullptr;
  sqlite3_stmt* put_ = nullptr;
  sqlite3_stmt* remove_ = nullptr;
  std::string scratch_;  // a row's bytes; kept for its capacity
};

}  // namespace remuda
