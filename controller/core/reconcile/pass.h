// Pass: what the steps of one Reconcile share: the draft, the facts, the time, the gates, and small
// edits that many steps make. Edits: the same without gates, for Observe.
//
// Owns: whether something changed, and what has to be looked at again and when. Does not own: the
// draft and the observations. Thread: the loop thread. Pure.
#pragma once

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <limits>
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
#include "controller/core/reconcile/agenda.h"
#include "controller/core/reconcile/gates.h"
#include "controller/core/reconcile/host_rooms.h"
#include "controller/core/reconcile/limits.h"

namespace remuda::core {

class Edits {
 public:
  Edits(Draft& draft_in, const Observations& seen_in, Time now_in)
      : draft(draft_in), seen(seen_in), now(now_in) {}

  Draft& draft;
  const Observations& seen;
  const Time now;

  // Something must be looked at again at `time` though nothing is reported.
  void DueAt(Time time) {
    if (time > now) due_ = std::min(due_, time);
  }
  // The earliest such time since the last call.
  Time TakeDue() { return std::exchange(due_, absl::InfiniteFuture()); }

  // Puts the row if it differs from what the draft has.
  template <class T>
  void Put(std::string_view key, T value) {
    const auto before = draft.Find<T>(key);
    if (before != nullptr && google::protobuf::util::MessageDifferencer::Equals(*before, value)) {
      return;
    }
    draft.Put(key, std::move(value));
    changed_ = true;
    ++count_;
  }
  template <class T>
  void Delete(std::string_view key) {
    draft.Delete<T>(key);
    changed_ = true;
  }
  // Whether anything has changed since the last call.
  bool TakeChanged() { return std::exchange(changed_, false); }

  // How many edits it has made so far.
  size_t count() const { return count_; }

  // Notes something about a group. Answers the activity's id.
  struct Story {
    std::string group;
    std::string instance = "";
    std::string deployment = "";
    std::string description;
    std::string cause;
    v1::ActivityStatus status = v1::ACTIVITY_STATUS_SUCCESSFUL;
    std::string log_tail = "";  // see activity.proto
    std::string resource = "";  // full name, instead of the group's
  };
  std::string Note(const Story& story);
  // Ends an activity that is under way; nothing if there is none of that id.
  void Close(std::string_view activity, v1::ActivityStatus status,
             const std::string& log_tail = "");

  // Moves the instance to a state, now.
  void Move(std::string_view id, v1::InstanceState state, std::string_view reason);
  // Begins to drain it: a new activity says why. Nothing if it is draining or further already.
  void Drain(std::string_view id, std::string_view cause, bool unhealthy);
  // Records that its process is gone. `unhealthy`: it was not our wish.
  void Terminate(std::string_view id, std::string_view cause, bool unhealthy);

 private:
  Time due_ = absl::InfiniteFuture();
  bool changed_ = false;
  size_t count_ = 0;
};

class Pass : public Edits {
 public:
  // `max_edits`, `batch`: see Scope.
  Pass(Draft& draft_in, const Observations& seen_in, Time now_in,
       size_t max_edits = std::numeric_limits<size_t>::max(), size_t batch = kSmallestBatch)
      : Edits(draft_in, seen_in, now_in),
        gates(draft_in, seen_in, now_in),
        rooms(draft_in, seen_in, now_in),
        max_edits_(max_edits),
        batch_(batch) {}

  const Gates gates;
  Rooms rooms;  // for Placement

  // Whether the host was lost together with most of those that were there (if they are enough to
  // tell): then no instance of theirs is replaced until some are back or forgotten.
  bool WasLostWithMost(std::string_view host);

  // Hosts that take instances and have a session, by zone.
  using Hosts = std::vector<std::shared_ptr<const v1::Host>>;
  const std::map<std::string, Hosts>& HostsByZone();

  // What was found hangs on which hosts there are and what room they have.
  void WaitForHosts() { waits_for_hosts_ = true; }
  // All that what was looked at since the last call waits for.
  Waits TakeWaits() {
    return {.due = TakeDue(),
            .commits = gates.TakeAwaited(),
            .hosts = std::exchange(waits_for_hosts_, false)};
  }

  // How many of `wanted` this pass does for the group that is looked at. Who has done so many, and
  // not all, leaves the rest to the next one.
  size_t Batch(size_t wanted) const {
    const size_t left = max_edits_ > count() ? max_edits_ - count() : 0;
    return std::min(wanted, std::max(left, cut_ ? 0 : batch_));
  }
  void LeaveRest() { cut_ = true; }
  // Whether something was left since the last call.
  bool TakeCut() { return std::exchange(cut_, false); }

  // See Scope. Of the group that is looked at.
  bool balances = false;

 private:
  const size_t max_edits_;
  const size_t batch_;
  bool cut_ = false;
  bool waits_for_hosts_ = false;
  std::optional<std::set<std::string, std::less<>>> lost_with_most_;
  std::optional<std::map<std::string, Hosts>> hosts_by_zone_;
};

}  // namespace remuda::core
