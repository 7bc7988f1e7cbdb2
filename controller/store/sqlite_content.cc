// All that the embedded store holds, taken out and put in. What is put is one transaction, so that
// a store is filled whole or not at all.
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <sqlite3.h>

#include <utility>

#include "common/status.h"
#include "controller/store/sealed_kinds.h"
#include "controller/store/sqlite_statement.h"
#include "controller/store/sqlite_store.h"

namespace remuda {

using sqlite::Use;

namespace {

constexpr char kEpoch[] = "epoch";
constexpr char kCommit[] = "commit";
constexpr char kClusterId[] = "cluster_id";

}  // namespace

absl::StatusOr<StoreHead> SqliteStore::ReadStoreHead() {
  StoreHead head;
  for (const auto& [name, number] :
       {std::pair{kEpoch, &head.epoch}, std::pair{kCommit, &head.commit}}) {
    const auto text = ReadMeta(name);
    if (!text.ok()) return text.status();
    if (!text->empty() && !absl::SimpleAtoi(*text, number))
      return absl::DataLossError(absl::StrCat(path_, ": ", name, " is not a number"));
  }
  auto id = ReadMeta(kClusterId);
  if (!id.ok()) return id.status();
  head.cluster_id = *std::move(id);
  auto secret = ReadSecret();
  if (!secret.ok()) return secret.status();
  head.secret = *std::move(secret);
  return head;
}

absl::Status SqliteStore::ReadAll(const BeginFn& begin, const RowFn& row) {
  // One snapshot, though nobody else writes: the head is that of the rows.
  if (absl::Status status = Exec("BEGIN"); !status.ok()) return status;
  const auto head = ReadStoreHead();
  absl::Status status = head.status();
  if (status.ok()) status = begin(*head);
  if (status.ok()) status = Load(row);
  RollBack();
  return status;
}

class SqliteStore::Filling final : public StoreFilling {
 public:
  Filling(SqliteStore& store, StoreHead head) : store_(store), head_(std::move(head)) {}
  ~Filling() override { store_.RollBack(); }

  absl::Status Row(core::Kind kind, std::string_view key, std::string_view value,
                   int64_t commit) override {
    tally_.Add(kind, key, value, commit);
    return store_.PutRow(kind, key, value, commit);
  }

  void SetShared(std::map<std::string, std::string> /*shared*/) override {}

  absl::StatusOr<RowTally::Result> Finish() override {
    RowTally read;
    absl::Status status = store_.Load(
        [&read](core::Kind kind, std::string_view key, std::string_view value, int64_t commit) {
          read.Add(kind, key, value, commit);
          return absl::OkStatus();
        });
    if (!status.ok()) return status;
    const RowTally::Result put = tally_.Take();
    if (const std::string difference = DifferenceOf(put, read.Take()); !difference.empty())
      return absl::DataLossError(absl::StrCat(store_.path_, ": ", difference));
    status = store_.WriteMeta(kEpoch, std::to_string(head_.epoch));
    if (status.ok() && head_.commit > 0)
      status = store_.WriteMeta(kCommit, std::to_string(head_.commit));
    if (status.ok()) status = store_.WriteSecret(head_.secret);
    if (status.ok()) status = store_.WriteMeta(kClusterId, head_.cluster_id);
    if (status.ok()) status = store_.Exec("COMMIT");
    if (!status.ok()) return status;
    return put;
  }

 private:
  SqliteStore& store_;
  const StoreHead head_;
  RowTally tally_;
};

absl::Status SqliteStore::PutRow(core::Kind kind, std::string_view key, std::string_view value,
                                 int64_t commit) {
  std::string sealed;
  if (IsSealedKind(kind)) {
    sealed = sealer_->Seal(PlaceOfRow(kind, key), value);
    value = sealed;
  }
  Use use(put_);
  use.Int(1, static_cast<int>(kind));
  use.Text(2, key);
  use.Int(3, commit);
  use.Blob(4, value);
  return use.Step() == SQLITE_DONE ? absl::OkStatus() : Error("write");
}

absl::StatusOr<std::unique_ptr<StoreFilling>> SqliteStore::Fill(const StoreHead& head,
                                                                const std::string& /*why*/) {
  if (absl::Status status = Exec("BEGIN IMMEDIATE"); !status.ok()) return status;
  auto filling = std::make_unique<Filling>(*this, head);
  const auto there = ReadStoreHead();
  if (!there.ok()) return there.status();
  int64_t rows = 0;
  const absl::Status status =
      Load([&rows](core::Kind, std::string_view, std::string_view, int64_t) {
        ++rows;
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  if (rows > 0 || !there->cluster_id.empty()) {
    return FailedPrecondition(
        "NOT_EMPTY", absl::StrCat(path_, " is not empty: it holds cluster ", there->cluster_id,
                                  " with ", rows, " rows as of commit ", there->commit,
                                  "; name another file, or put this one aside"));
  }
  return std::unique_ptr<StoreFilling>(std::move(filling));
}

}  // namespace remuda
