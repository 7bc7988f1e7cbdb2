// Store: where committed state outlives the controller. Shaped like etcd, so that an embedded file
// and a cluster of etcd are two implementations of it.
//
// Owns: durability, the order of commits and who may write. Does not own: what the rows mean
// (controller/core). What only several controllers need (to wait for leadership, to lose it, to
// follow who has it) an embedded store answers for the one that has it open.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/model/state.h"

namespace remuda {

// What a won campaign gives.
struct Leadership {
  std::string cluster_id;  // made with the store, never changes
  std::string secret;      // 32 random bytes made with the store, never change
  int64_t epoch = 0;       // above every earlier one
  int64_t commit = 0;      // the newest commit; 0 in a new store
};

// One change of one row, as a follower gets it; `value` not set: it is deleted.
struct RowChange {
  core::Kind kind;
  std::string key;
  std::optional<std::string> value;
};

// As long as it is there the store is followed. Its end waits for a call under way, and is not for
// the thread that is called.
class Following {
 public:
  virtual ~Following() = default;
};

// Thread: any one thread at a time, if not said otherwise. Calls block for I/O.
class Store {
 public:
  virtual ~Store() = default;

  // Becomes the only writer: the epoch is raised, and commits of an older epoch are refused from
  // then on. Where another controller leads it waits until that one does not. CANCELLED:
  // StopCampaign was called.
  virtual absl::StatusOr<Leadership> Campaign() = 0;
  // Has a Campaign that waits, and each later one, answer CANCELLED. Any thread.
  virtual void StopCampaign() {}
  // Until when nobody else can lead, if nothing more is heard from the store; not set: for as long
  // as it is open. Any thread.
  virtual std::optional<std::chrono::steady_clock::time_point> lease_deadline() const {
    return std::nullopt;
  }

  // Calls `row` for every row in the order of (kind, key); an error of `row` ends it and is
  // answered. `key` and `value` are only good during the call.
  using RowFn = std::function<absl::Status(core::Kind kind, std::string_view key,
                                           std::string_view value, int64_t commit)>;
  virtual absl::Status Load(const RowFn& row) = 0;

  // Writes all edits as one commit and answers its number, one above the last, when it is durable.
  // Of several edits of one row the last counts. On error nothing of it is there, and later commits
  // work again once the cause is gone. FAILED_PRECONDITION with reason STALE_EPOCH: another
  // controller leads, or may; whether the commit is there the text says, or that it is not known.
  virtual absl::StatusOr<int64_t> Commit(const core::Changes& changes, int64_t epoch) = 0;

  // What a follower is told, one call at a time, on a thread of the store's.
  struct FollowFns {
    // What was told before is void: `row` for every row follows, as in Load, then `loaded`.
    std::function<void()> reset;
    RowFn row;
    std::function<void(int64_t commit)> loaded;
    // The next commit: whole, and its number is one above the last.
    std::function<absl::Status(int64_t commit, const std::vector<RowChange>& changes)> commit;
    // OK: the store has answered, so that all is told that was committed before it was asked last
    // (at most some seconds ago). Else why it does not; it is tried again.
    std::function<void(const absl::Status& status)> contact;
  };
  // Keeps a copy of the store current, beside whatever else is called. An error of a function is
  // told to `contact`, and all is loaded anew. UNIMPLEMENTED: nobody else can write here.
  virtual absl::StatusOr<std::unique_ptr<Following>> Follow(FollowFns) {
    return absl::UnimplementedError("this store has one controller and is not followed");
  }

  // Of the cluster whose store it is, whoever leads; not set: nobody has led yet. UNIMPLEMENTED:
  // only who leads knows. Any thread.
  virtual absl::StatusOr<std::optional<std::string>> ClusterId() {
    return absl::UnimplementedError("this store has one controller, which learns it as it leads");
  }

  // Small values that all controllers of a cluster share, beside the rows and sealed as those may
  // be. A key is [a-z0-9-]{1,64}; a value has 1 byte to kMaxSharedBytes. UNIMPLEMENTED: a store of
  // one controller, which has such things in files.
  static constexpr size_t kMaxSharedBytes = 256 * 1024;
  static constexpr size_t kMaxSharedKeyBytes = 64;
  // Not set: there is none. INVALID_ARGUMENT: of the key. Any thread.
  virtual absl::StatusOr<std::optional<std::string>> ReadShared(const std::string& /*key*/) {
    return absl::UnimplementedError("this store has one controller and shares nothing");
  }
  // Only of who leads: sets it where there is none, and answers what stands there then, for good.
  // FAILED_PRECONDITION with reason STALE_EPOCH: another controller leads, or may.
  // INVALID_ARGUMENT: of the key or the value.
  virtual absl::StatusOr<std::string> AgreeShared(const std::string& /*key*/,
                                                  const std::string& /*value*/) {
    return absl::UnimplementedError("this store has one controller and shares nothing");
  }
};

}  // namespace remuda
