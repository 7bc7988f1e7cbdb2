// Store: where committed state outlives the controller. Shaped like etcd, so that an embedded file
// and a cluster of etcd are two implementations of it.
//
// Owns: durability, the order of commits and who may write. Does not own: what the rows mean
// (controller/core). A watch for another leader's campaign belongs to the implementation that
// several controllers share; an embedded store is locked by the one that has it.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "controller/core/model/state.h"

namespace remuda {

// What a won campaign gives.
struct Leadership {
  std::string cluster_id;  // made with the store, never changes
  std::string secret;      // 32 random bytes made with the store, never change
  int64_t epoch = 0;       // above every earlier one
  int64_t commit = 0;      // the newest commit; 0 in a new store
};

// Thread: any one thread at a time. Calls block for I/O.
class Store {
 public:
  virtual ~Store() = default;

  // Becomes the only writer: the epoch is raised, and commits of an older epoch are refused from
  // then on.
  virtual absl::StatusOr<Leadership> Campaign() = 0;

  // Calls `row` for every row in the order of (kind, key); an error of `row` ends it and is
  // answered. `key` and `value` are only good during the call.
  using RowFn = std::function<absl::Status(core::Kind kind, std::string_view key,
                                           std::string_view value, int64_t commit)>;
  virtual absl::Status Load(const RowFn& row) = 0;

  // Writes all edits as one commit and answers its number, one above the last, when it is durable.
  // On error nothing of it is there, and later commits work again once the cause is gone.
  // FAILED_PRECONDITION with reason STALE_EPOCH: another controller leads.
  virtual absl::StatusOr<int64_t> Commit(const core::Changes& changes, int64_t epoch) = 0;
};

}  // namespace remuda
