// Whose health check runs next: a bound on checks at one time that lets no one keep the others from
// theirs. Pure but for calling back.
//
// Targets that did not answer last time have half of all places at most, so do the targets of one
// group; groups that wait take turns. So a thousand silent targets hold back neither a new target's
// first check nor those of another group.
//
// Thread: the prober's.
#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <unordered_map>

namespace remuda::proxy {

class CheckSlots;

// Who asks for a place. Gives up what it has or waits for when it is destroyed.
class CheckTurn {
 public:
  // `group`: any text that the targets of one group have in common.
  CheckTurn(CheckSlots& slots, const std::string& group);
  CheckTurn(const CheckTurn&) = delete;
  CheckTurn& operator=(const CheckTurn&) = delete;
  virtual ~CheckTurn();

  // It has a place now that it asked for.
  virtual void OnTurn() = 0;

 private:
  friend class CheckSlots;
  struct Group;
  enum class State : uint8_t { kNone, kWaiting, kRunning };

  CheckSlots& slots_;
  Group& group_;
  State state_ = State::kNone;
  bool is_slow_ = false;
  std::list<CheckTurn*>::iterator place_;  // while it waits
};

struct CheckTurn::Group {
  std::string id;
  std::list<CheckTurn*> waiting[2];  // [1]: the slow ones
  size_t running = 0;
  size_t members = 0;
  bool is_waiting = false;
};

class CheckSlots {
 public:
  struct Limits {
    size_t all = 512;
    size_t slow = 256;     // of targets that did not answer last time
    size_t a_group = 256;  // of one group's targets
  };
  explicit CheckSlots(const Limits& limits) : limits_(limits) {}

  // OnTurn is called, at once or when there is a place. Nothing happens if it waits already or has
  // a place. `is_slow`: its last check had no answer in time.
  void Ask(CheckTurn& turn, bool is_slow);
  // The place is free again, or is not waited for any more.
  void Give(CheckTurn& turn);

  size_t running() const { return running_; }

 private:
  friend class CheckTurn;
  void Leave(CheckTurn& turn);
  bool IsEligible(const CheckTurn::Group& group, bool is_slow) const;
  CheckTurn* Next();
  void Serve();

  const Limits limits_;
  size_t running_ = 0;
  size_t running_slow_ = 0;
  bool is_serving_ = false;
  std::unordered_map<std::string, CheckTurn::Group> groups_;
  std::list<CheckTurn::Group*> waiting_;  // groups in which one waits; the next to be served first
};

}  // namespace remuda::proxy
