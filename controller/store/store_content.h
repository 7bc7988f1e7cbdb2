// All that a store holds, as it goes from one store to another: in the clear, in order, counted and
// digested.
//
// Owns: the form of it. Does not own: how it is read (EtcdStore::ReadAll, SqliteStore::ReadAll) or
// put (their Fill).
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/sha256.h"
#include "controller/store/store.h"

namespace remuda {

// What is not a row.
struct StoreHead {
  std::string cluster_id;
  std::string secret;
  int64_t epoch = 0;                               // none was above it
  int64_t commit = 0;                              // the newest
  std::map<std::string, std::string> shared = {};  // by key; see Store::ReadShared

  bool operator==(const StoreHead&) const = default;
};

// Rows of each kind, and a digest of their keys, values and commits. Rows come in the order of
// (kind, key). Thread: any one at a time.
class RowTally {
 public:
  struct OfKind {
    int64_t rows = 0;
    std::string sha256;
    bool operator==(const OfKind&) const = default;
  };
  using Result = std::map<core::Kind, OfKind>;

  void Add(core::Kind kind, std::string_view key, std::string_view value, int64_t commit);
  // Ends it.
  Result Take();

 private:
  struct Open {
    int64_t rows = 0;
    Sha256 digest;
  };
  std::map<core::Kind, Open> open_;
};

// What differs between what was put (`put`) and what was read back; empty: nothing.
std::string DifferenceOf(const RowTally::Result& put, const RowTally::Result& read);

// An empty store while it is filled. Its end without Finish leaves the store empty, if that can be
// done. Thread: any one at a time.
class StoreFilling {
 public:
  virtual ~StoreFilling() = default;
  // The next row, in the order of (kind, key).
  virtual absl::Status Row(core::Kind kind, std::string_view key, std::string_view value,
                           int64_t commit) = 0;
  // What is shared, in place of the head's; before Finish.
  virtual void SetShared(std::map<std::string, std::string> shared) = 0;
  // Reads all of it back and holds it against what was put, and then has it be the store, all of it
  // at once. DATA_LOSS: something else is there than was put.
  virtual absl::StatusOr<RowTally::Result> Finish() = 0;
};

// A store whose whole content can be taken out, and put in when it is empty.
class StoreContent {
 public:
  using BeginFn = std::function<absl::Status(const StoreHead& head)>;

  virtual ~StoreContent() = default;
  // Tells the head, then every row, all of one commit; an error of a function ends it.
  virtual absl::Status ReadAll(const BeginFn& begin, const Store::RowFn& row) = 0;
  // FAILED_PRECONDITION with reason NOT_EMPTY: the store holds something, which is named. `why`
  // says in the store what is under way.
  virtual absl::StatusOr<std::unique_ptr<StoreFilling>> Fill(const StoreHead& head,
                                                             const std::string& why) = 0;
};

}  // namespace remuda
