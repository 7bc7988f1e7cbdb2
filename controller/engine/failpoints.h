// Failpoints: places at which a test has the controller die, fail or wait: at either side of a
// commit and of its publication, of any or of those that move a deployment into a step.
//
// Owns: which are set, and how often each was met. Does not own: the store, the views. There are
// none unless the settings name some. Thread: any; a delay holds the thread that meets it.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/model/state.h"
#include "controller/store/store.h"

namespace remuda {

class Failpoints {
 public:
  // What the actions do.
  struct Effects {
    std::function<void()> kill;
    std::function<void(absl::Duration)> sleep;
  };
  static Effects RealEffects();  // SIGKILL to this process

  // Each text is NAME[@N]=ACTION, N a number from 1 or `*`: the N-th time it is met; of a
  // deployment's step, the position of the step. INVALID_ARGUMENT tells what there is.
  static absl::StatusOr<std::unique_ptr<Failpoints>> Parse(const std::vector<std::string>& texts,
                                                           Effects effects);
  Failpoints(const Failpoints&) = delete;
  Failpoints& operator=(const Failpoints&) = delete;

  // A deployment that was stored before: where it stands.
  void Learn(std::string_view deployment, int position);
  // Not OK: the commit has failed.
  absl::Status BeforeCommit(const core::Changes& changes);
  // The store has it. It is not applied yet.
  void AfterCommit(const core::Changes& changes);
  // Of what a commit has changed.
  void BeforePublish();
  void AfterPublish();

 private:
  enum class Place {
    kCommitBefore,
    kCommitAfter,
    kPublishBefore,
    kPublishAfter,
    kStepBefore,
    kStepAfter,
    kStepPublished,
  };
  enum class Action { kKill, kAbortCommit, kDelay };
  struct Point {
    std::string text;
    Place place = Place::kCommitBefore;
    int64_t number = 0;  // 0: any
    Action action = Action::kKill;
    absl::Duration delay;
    int64_t met = 0;
  };
  struct PlaceName;
  static const PlaceName kPlaces[];

  Failpoints(std::vector<Point> points, Effects effects)
      : effects_(std::move(effects)), points_(std::move(points)) {}
  static absl::StatusOr<Point> ParseOne(const std::string& text);
  static bool IsOfSteps(Place place);

  // The positions that the changes move deployments to.
  std::vector<int> MovesOf(const core::Changes& changes);
  // The points that are met here and now.
  std::vector<Point> MetAt(Place place, const std::vector<int>& positions);
  // Does what they say. Not OK: one of them aborts the commit.
  absl::Status Hit(Place place, const std::vector<int>& positions = {});

  const Effects effects_;
  std::mutex mutex_;  // guards what follows
  std::vector<Point> points_;
  std::map<std::string, int, std::less<>> positions_;  // by deployment
  std::vector<int> moves_;                             // of the commit that is published next
};

// A store with the failpoints of commits around another.
class FailpointStore final : public Store {
 public:
  FailpointStore(std::unique_ptr<Store> store, Failpoints& failpoints)
      : store_(std::move(store)), failpoints_(failpoints) {}
  absl::StatusOr<Leadership> Campaign() override { return store_->Campaign(); }
  void StopCampaign() override { store_->StopCampaign(); }
  std::optional<std::chrono::steady_clock::time_point> lease_deadline() const override {
    return store_->lease_deadline();
  }
  absl::StatusOr<std::unique_ptr<Following>> Follow(FollowFns fns) override {
    return store_->Follow(std::move(fns));
  }
  absl::StatusOr<std::optional<std::string>> ClusterId() override { return store_->ClusterId(); }
  absl::StatusOr<std::optional<std::string>> ReadShared(const std::string& key) override {
    return store_->ReadShared(key);
  }
  absl::StatusOr<std::string> AgreeShared(const std::string& key,
                                          const std::string& value) override {
    return store_->AgreeShared(key, value);
  }
  absl::Status Load(const RowFn& row) override;
  absl::StatusOr<int64_t> Commit(const core::Changes& changes, int64_t epoch) override;

 private:
  const std::unique_ptr<Store> store_;
  Failpoints& failpoints_;
};

}  // namespace remuda
