#include "proxy/core/check_slots.h"

#include <utility>

namespace remuda::proxy {

CheckTurn::CheckTurn(CheckSlots& slots, const std::string& group)
    : slots_(slots), group_(slots.groups_[group]) {
  group_.id = group;
  ++group_.members;
}

CheckTurn::~CheckTurn() { slots_.Leave(*this); }

void CheckSlots::Leave(CheckTurn& turn) {
  Give(turn);
  CheckTurn::Group& group = turn.group_;
  if (--group.members > 0) return;
  if (group.is_waiting) waiting_.remove(&group);
  groups_.erase(std::string(group.id));
}

void CheckSlots::Ask(CheckTurn& turn, bool is_slow) {
  if (turn.state_ != CheckTurn::State::kNone) return;
  turn.state_ = CheckTurn::State::kWaiting;
  turn.is_slow_ = is_slow;
  auto& queue = turn.group_.waiting[is_slow ? 1 : 0];
  turn.place_ = queue.insert(queue.end(), &turn);
  if (!turn.group_.is_waiting) {
    turn.group_.is_waiting = true;
    waiting_.push_back(&turn.group_);
  }
  Serve();
}

void CheckSlots::Give(CheckTurn& turn) {
  const auto state = std::exchange(turn.state_, CheckTurn::State::kNone);
  if (state == CheckTurn::State::kWaiting) turn.group_.waiting[turn.is_slow_].erase(turn.place_);
  if (state != CheckTurn::State::kRunning) return;
  --running_;
  --turn.group_.running;
  if (turn.is_slow_) --running_slow_;
  Serve();
}

bool CheckSlots::IsEligible(const CheckTurn::Group& group, bool is_slow) const {
  return !group.waiting[is_slow].empty() && group.running < limits_.a_group &&
         (!is_slow || running_slow_ < limits_.slow);
}

// The first group in turn that may have a place now; it goes behind the others.
CheckTurn* CheckSlots::Next() {
  if (running_ >= limits_.all) return nullptr;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    CheckTurn::Group& group = **it;
    if (group.waiting[0].empty() && group.waiting[1].empty()) {
      group.is_waiting = false;
      it = waiting_.erase(it);
      continue;
    }
    for (const bool is_slow : {false, true}) {
      if (!IsEligible(group, is_slow)) continue;
      CheckTurn* const turn = group.waiting[is_slow].front();
      group.waiting[is_slow].pop_front();
      waiting_.splice(waiting_.end(), waiting_, it);
      return turn;
    }
    ++it;
  }
  return nullptr;
}

// Who gets a place may be done with it at once, and then asks for this again from within.
void CheckSlots::Serve() {
  if (is_serving_) return;
  is_serving_ = true;
  while (CheckTurn* const turn = Next()) {
    turn->state_ = CheckTurn::State::kRunning;
    ++running_;
    ++turn->group_.running;
    if (turn->is_slow_) ++running_slow_;
    turn->OnTurn();
  }
  is_serving_ = false;
}

}  // namespace remuda::proxy
