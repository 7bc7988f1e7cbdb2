// LeaderWatch: whether a controller that leads is the one that the roster names. The lease alone
// does not tell: it lives on where its key was deleted by hand, and another controller may lead
// then.
//
// Thread: any one at a time.
#pragma once

#include <cstdint>

#include "controller/store/roster.h"

namespace remuda {

class LeaderWatch {
 public:
  explicit LeaderWatch(int64_t epoch) : epoch_(epoch) {}

  // `view`: the next one. The first ones may be of before this controller led. False: it leads no
  // more, for good.
  bool Leads(const Roster::View& view) {
    const int64_t epoch = view.leader.has_value() ? view.epoch : 0;
    if (epoch > epoch_ || (was_seen_ && epoch != epoch_)) is_over_ = true;
    if (epoch == epoch_) was_seen_ = true;
    return !is_over_;
  }

 private:
  const int64_t epoch_;
  bool was_seen_ = false;
  bool is_over_ = false;
};

}  // namespace remuda
