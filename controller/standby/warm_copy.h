// WarmCopy: the state as a follower has it, kept current by the store, so that whoever begins to
// lead need not load it.
//
// Thread: any; the functions of Fns are the store's to call.
#pragma once

#include <absl/time/time.h>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "controller/core/model/state.h"
#include "controller/store/store.h"

namespace remuda {

class WarmCopy {
 public:
  // For Store::Follow. This outlives the Following.
  Store::FollowFns Fns();

  // The newest commit that it has; 0: nothing is loaded.
  int64_t commit() const;
  // Why it is not kept current; empty: it is.
  std::string error() const;

  // Of all images that the state names. Not set: it is not loaded, or not kept current just now.
  std::optional<std::set<std::string>> ImageDigests() const;

  // Gives the state away as it is at `commit`. Not set: it did not get there within `patience`. To
  // be called once, by who leads: there is no later commit.
  std::optional<core::State> Take(int64_t commit, absl::Duration patience);

 private:
  absl::Status Apply(int64_t commit, const std::vector<RowChange>& changes);

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable moved_;
  core::State state_;
  bool is_loaded_ = false;
  bool is_taken_ = false;
  std::string error_ = "it is being loaded";
};

}  // namespace remuda
