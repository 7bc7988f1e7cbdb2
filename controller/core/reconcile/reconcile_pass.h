// Pass: what the steps of one Observe or Reconcile share: the draft, the facts, the time, and small
// edits that many steps make.
//
// Owns: whether something changed, and when something falls due. Does not own: the draft and the
// observations. Thread: the loop thread. Pure.
#pragma once

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controller/core/model/draft.h"
#include "controller/core/model/observations.h"
#include "controller/core/reconcile/gates.h"

namespace remuda::core {

// Limits of the reconciler.
// A launch that lives this long in service is a good one: its later end is no launch failure. A
// deployment of a group without checks waits for it.
inline constexpr Duration kStableAfter = absl::Seconds(10);
// Wait after the second launch failure in a row (the first is replaced at once); doubles with each
// further one up to the maximum.
inline constexpr Duration kFirstLaunchBackoff = absl::Seconds(1);
inline constexpr Duration kMaxLaunchBackoff = absl::Seconds(60);
// Failed launches of a deployment's new version in a row that make it roll back, unless more are
// healthy.
inline constexpr int kDeploymentLaunchFailures = 3;
// An instance that has failed counts as lost for so long if nothing has taken its place: longer
// than the wait between launches.
inline constexpr Duration kFailureCounts = absl::Seconds(120);
// An agent with a session takes an instance up, or drops one that it never started, within this.
inline constexpr Duration kUnansweredLimit = absl::Seconds(60);
// A launch that an agent has taken up is given up elsewhere after this: fetching and unpacking its
// image; starting it; and either of them once the agent says what is in the way.
inline constexpr Duration kFetchLimit = absl::Minutes(30);
inline constexpr Duration kStartLimit = absl::Seconds(30);
inline constexpr Duration kHinderedLimit = absl::Seconds(30);
// A process that runs is judged by the proxies within this, counted from the end of its grace
// period.
inline constexpr Duration kJudgementLimit = absl::Minutes(5);
// How long placement prefers other hosts after a launch failed on one; doubles with each further
// one in a row up to the maximum.
inline constexpr Duration kFirstHostBackoff = absl::Seconds(30);
inline constexpr Duration kMaxHostBackoff = absl::Minutes(30);
// So many versions that fail on a host one after another make it the host's fault.
inline constexpr size_t kFailingVersionsOfABadHost = 2;
// A replaced instance of a lost host is given up after this; if the host comes back, its process is
// ended.
inline constexpr Duration kForgetUnknownAfter = absl::Hours(1);
// Terminated instances are kept for so long, and so many a group.
inline constexpr Duration kTerminatedKeptFor = absl::Hours(1);
inline constexpr size_t kTerminatedKept = 100;
// Activities that are kept.
inline constexpr int64_t kActivitiesKept = 10'000;
// Bytes of what an instance printed last, in the activity of its end. Agents send no more.
inline constexpr size_t kLogTailBytes = 1024;
// Hosts that must have been there for a loss of most of them at once to stop replacements.
inline constexpr size_t kMassLossMinHosts = 3;
// The zones of a group are looked at again this long after one of its instances was moved.
inline constexpr Duration kBalanceInterval = absl::Seconds(10);
// An instance that could be stopped is left running for a proxy that may still send to it: one
// whose lease is over for less than this. Not if the group has no room for it.
inline constexpr Duration kCutOffPatience = absl::Seconds(60);
// Of a group, at most one in so many (at least one) is replaced for its health at once.
inline constexpr int kReplaceShare = 4;

class Pass {
 public:
  Pass(Draft& draft_in, const Observations& seen_in, Time now_in)
      : draft(draft_in), seen(seen_in), now(now_in), gates(draft_in, seen_in, now_in) {}

  Draft& draft;
  const Observations& seen;
  const Time now;
  const Gates gates;

  // Something must be looked at again at `time` though nothing is reported.
  void DueAt(Time time) {
    if (time > now) due_ = std::min(due_, time);
  }
  Time due() const { return due_; }

  // Puts the row if it differs from what the draft has.
  template <class T>
  void Put(std::string_view key, T value) {
    const auto before = draft.Find<T>(key);
    if (before != nullptr && google::protobuf::util::MessageDifferencer::Equals(*before, value)) {
      return;
    }
    draft.Put(key, std::move(value));
    changed_ = true;
  }
  template <class T>
  void Delete(std::string_view key) {
    draft.Delete<T>(key);
    changed_ = true;
  }
  // Whether anything has changed since the last call.
  bool TakeChanged() { return std::exchange(changed_, false); }

  // Notes something about a group. Answers the activity's id.
  struct Story {
    std::string group;
    std::string instance = "";
    std::string deployment = "";
    std::string description;
    std::string cause;
    v1::ActivityStatus status = v1::ACTIVITY_STATUS_SUCCESSFUL;
    std::string log_tail = "";  // see activity.proto
  };
  std::string Note(const Story& story);
  // Ends an activity that is under way; nothing if there is none of that id.
  void Close(std::string_view activity, v1::ActivityStatus status,
             const std::string& log_tail = "");

  // Whether the host was lost together with most of those that were there (if they are enough to
  // tell): then no instance of theirs is replaced until some are back or forgotten.
  bool WasLostWithMost(std::string_view host);

  // Hosts that take instances and have a session, by zone.
  using Hosts = std::vector<std::shared_ptr<const v1::Host>>;
  const std::map<std::string, Hosts>& HostsByZone();

  // See Scope.
  bool balances = false;

  // Moves the instance to a state, now.
  void Move(std::string_view id, v1::InstanceState state, std::string_view reason);
  // Begins to drain it: a new activity says why. Nothing if it is draining or further already.
  void Drain(std::string_view id, std::string_view cause, bool unhealthy);
  // Records that its process is gone. `unhealthy`: it was not our wish.
  void Terminate(std::string_view id, std::string_view cause, bool unhealthy);

 private:
  Time due_ = absl::InfiniteFuture();
  bool changed_ = false;
  std::optional<std::set<std::string, std::less<>>> lost_with_most_;
  std::optional<std::map<std::string, Hosts>> hosts_by_zone_;
};

}  // namespace remuda::core
