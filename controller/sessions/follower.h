// Follower: how one receiver follows a view: which update to send next, and what its ACK or NACK
// means. No I/O.
//
// One update is under way at a time: the next is sent when the receiver has answered, and then
// holds everything that changed since (a slow receiver costs one pending update, never a queue).
// Thread: the loop thread.
#pragma once

#include <cstdint>
#include <optional>

#include "controller/views/view_log.h"

namespace remuda {

class Follower {
 public:
  struct Update {
    // The revision that it changes; nullopt: the whole view.
    std::optional<int64_t> base;
    // Instead of the whole view: the receiver has all of it, as a revision that is none of
    // `view`'s.
    bool is_renaming = false;
  };

  // A session begins. `held`: the sequence that the receiver has in force, if it is one of `view`'s
  // that a delta may build on.
  void Begin(std::optional<int64_t> held) { *this = Follower(held); }

  // What to send now; nullopt: nothing, the receiver has it all or has not answered yet. The caller
  // sends it: it counts as sent. `has_content`: what the receiver had when the session began is
  // what the newest revision holds.
  std::optional<Update> Next(const ViewLog& view, bool has_content = false) {
    const int64_t newest = view.sequence();
    if (newest == 0 || under_way_.has_value()) return std::nullopt;
    if (in_force_ == newest && !whole_next_) return std::nullopt;
    if (refused_ == newest) return std::nullopt;
    Update update;
    if (!whole_next_ && in_force_.has_value() && view.Knows(*in_force_)) update.base = in_force_;
    update.is_renaming = has_content && !whole_next_ && !update.base.has_value();
    under_way_ = newest;
    under_way_is_whole_ = !update.base.has_value() && !update.is_renaming;
    return update;
  }

  // The answer to the update under way; false (and nothing changes) if it is not about that one.
  bool OnAck(int64_t sequence) {
    if (under_way_ != sequence) return false;
    in_force_ = sequence;
    under_way_.reset();
    whole_next_ = false;
    refused_.reset();
    return true;
  }

  // A refused delta may have met another base than we thought: the whole view follows. A refused
  // whole view is not sent again; the next revision is, whole.
  bool OnNack(int64_t sequence) {
    if (under_way_ != sequence) return false;
    under_way_.reset();
    whole_next_ = true;
    if (under_way_is_whole_) refused_ = sequence;
    return true;
  }

  // The next update is the whole view, because the receiver now follows another one. Answers about
  // the one before mean nothing more.
  void Restart() { Begin(std::nullopt); }

  // Sequence of the view in force at the receiver, if known.
  std::optional<int64_t> in_force() const { return in_force_; }

  Follower() = default;

 private:
  explicit Follower(std::optional<int64_t> held) : in_force_(held) {}

  std::optional<int64_t> in_force_;
  std::optional<int64_t> under_way_;
  std::optional<int64_t> refused_;
  bool under_way_is_whole_ = false;
  bool whole_next_ = false;
};

}  // namespace remuda
