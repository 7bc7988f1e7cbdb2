// A clock and a committer that the test moves by hand. For shell_*_test.cc.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "controller/engine/engine.h"

namespace remuda {

class HandClock final : public Clock {
 public:
  absl::Time Now() const override { return now; }
  absl::Time now = absl::FromUnixSeconds(1'000'000);
};

// Holds what the engine wants to commit until the test says how it ended.
class HeldCommitter final : public Committer {
 public:
  void Begin(std::shared_ptr<const core::Changes> changes, Done done) override {
    ASSERT_FALSE(done_) << "two commits at once";
    changes_ = std::move(changes);
    done_ = std::move(done);
  }
  bool has_work() const { return static_cast<bool>(done_); }
  size_t rows() const { return changes_->edits.size(); }
  void Finish(absl::StatusOr<int64_t> outcome) {
    const Done done = std::exchange(done_, nullptr);
    done(std::move(outcome));
  }

 private:
  std::shared_ptr<const core::Changes> changes_;
  Done done_;
};

}  // namespace remuda
