// SqliteStore: the embedded store. One SQLite file (WAL, synchronous=FULL), one transaction a
// commit. Rows that may hold secrets (sealed_kinds.h) and the cluster's secret are sealed in it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "controller/store/sealer.h"
#include "controller/store/state_lock.h"
#include "controller/store/store.h"
#include "controller/store/store_content.h"

struct sqlite3;
struct sqlite3_stmt;

namespace remuda {

class SqliteStore final : public Store, public StoreContent {
 public:
  // 4: rows that may hold secrets are sealed.
  static constexpr int kSchemaVersion = 4;

  struct Options {
    std::string path;
    // See sealing_keys.h. Made if it is missing and nothing is sealed under it yet.
    std::string sealing_key_file;
  };
  // Opens the file, or makes it, and locks FILE.lock for as long as it is open. An older schema is
  // brought forward, whole or not at all; rows that are not sealed under the first key are.
  // FAILED_PRECONDITION: another process has it open, or its schema is newer than this program or
  // too old, or others can read it and that cannot be changed, or a sealing key is missing. The
  // directory must exist.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const Options& options);
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;
  ~SqliteStore() override;

  absl::StatusOr<Leadership> Campaign() override;
  absl::Status Load(const RowFn& row) override;
  absl::StatusOr<int64_t> Commit(const core::Changes& changes, int64_t epoch) override;
  // The head has nothing shared. What is filled is there when Finish answers; before that, nothing
  // of it. Nothing else may be called meanwhile.
  absl::Status ReadAll(const BeginFn& begin, const RowFn& row) override;
  absl::StatusOr<std::unique_ptr<StoreFilling>> Fill(const StoreHead& head,
                                                     const std::string& why) override;

 private:
  class Filling;

  explicit SqliteStore(std::string path) : path_(std::move(path)) {}

  // A step from the schema before; in the transaction of all steps.
  struct Migration {
    int from;
    absl::Status (SqliteStore::*run)();
  };
  static const Migration kMigrations[];

  absl::Status Lock();
  absl::Status KeepPrivate();
  absl::Status OpenDatabase();
  absl::StatusOr<int> ReadSchemaVersion();
  // Refuses what this program cannot read or bring forward.
  absl::Status CheckSchema(int version) const;
  absl::Status TakeSealingKeys(int version, const std::string& file);
  absl::Status MakeSchema(int version);
  absl::Status Migrate(int version);
  absl::Status Prepare();

  // Seals what is not sealed under the first key, in the transaction under way.
  absl::Status SealRows();
  absl::StatusOr<int> SealRowsOf(core::Kind kind);
  // SealRows if the first key is another than at the last start.
  absl::Status SealUnderNewKey();
  // Has what was not sealed before leave the file.
  absl::Status Scrub();
  // Has the log's pages in the file, and nothing in the log. False: another reader holds some.
  absl::StatusOr<bool> EmptyLog();

  absl::Status Exec(const char* sql);
  // The error of the last call, naming the file and what was tried.
  absl::Status Error(std::string_view what) const;
  // The same, naming the file.
  absl::Status WithStore(const absl::Status& status) const;
  // Takes an unfinished transaction back.
  void RollBack();

  absl::StatusOr<int64_t> CommitInTransaction(const core::Changes& changes, int64_t epoch);
  absl::Status Write(const core::Edit& edit, int64_t commit);
  absl::Status PutRow(core::Kind kind, std::string_view key, std::string_view value,
                      int64_t commit);
  absl::StatusOr<StoreHead> ReadStoreHead();
  absl::StatusOr<std::string> ReadMeta(std::string_view name);
  absl::Status WriteMeta(std::string_view name, std::string_view value);
  // The cluster's secret in the clear; empty if there is none.
  absl::StatusOr<std::string> ReadSecret();
  absl::Status WriteSecret(std::string_view secret);

  const std::string path_;
  std::optional<StateLock> lock_;
  std::unique_ptr<Sealer> sealer_;
  sqlite3* database_ = nullptr;
  // Prepared once; finalized before the database is closed.
  sqlite3_stmt* read_meta_ = nullptr;
  sqlite3_stmt* write_meta_ = nullptr;
  sqlite3_stmt* put_ = nullptr;
  sqlite3_stmt* remove_ = nullptr;
  sqlite3_stmt* next_rows_ = nullptr;
  std::string scratch_;  // a row's bytes; kept for its capacity
};

}  // namespace remuda
