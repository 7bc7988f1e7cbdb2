// Weighted round robin over many: each entry is due once every 1/weight, and the one that is due
// first is taken. Over sum(weights) turns each gets its weight exactly; a turn costs O(log n). One
// thread; no allocation but in Add.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace remuda::proxy {

class SmoothTurns {
 public:
  static constexpr uint32_t kNone = ~uint32_t{0};

  void Clear() { heap_.clear(); }
  bool empty() const { return heap_.empty(); }

  // `weight` in any unit that all share, 1 to 2^20. `random` places it in its first round, so that
  // a fresh start favours nobody. Call Build after the last.
  void Add(uint32_t entry, uint64_t weight, uint64_t random);
  void Build();

  // Takes the turn of the first due entry that `accepts`, looking at kMaxLooks of them; kNone if
  // it accepts none of these. `weight_of` says what it weighs now. One that is passed is next
  // again, but is owed nothing; where all are, they have had their turn.
  template <typename Accepts, typename WeightOf>
  uint32_t Take(Accepts accepts, WeightOf weight_of) {
    Due passed[kMaxLooks];
    size_t passed_count = 0;
    uint32_t taken = kNone;
    uint64_t due = 0;  // when those that are passed are due again
    while (!heap_.empty() && passed_count < kMaxLooks) {
      Due first = PopFirst();
      if (accepts(first.entry)) {
        taken = first.entry;
        due = first.time;
        first.time += StrideOf(weight_of(first.entry));
        Push(first);
        break;
      }
      passed[passed_count++] = first;
    }
    while (passed_count > 0) {
      Due& one = passed[--passed_count];
      if (taken == kNone) {
        one.time += StrideOf(weight_of(one.entry));
      } else if (static_cast<int64_t>(due - one.time) > 0) {
        one.time = due;
      }
      Push(one);
    }
    return taken;
  }

 private:
  static constexpr size_t kMaxLooks = 8;
  // One round in virtual time. Times wrap: all lie within a few rounds of each other.
  static constexpr uint64_t kRound = uint64_t{1} << 60;

  struct Due {
    uint64_t time;
    uint32_t entry;
  };
  static uint64_t StrideOf(uint64_t weight) { return kRound / (weight == 0 ? 1 : weight); }
  static bool IsLater(const Due& a, const Due& b) {
    return a.time != b.time ? static_cast<int64_t>(a.time - b.time) > 0 : a.entry > b.entry;
  }
  Due PopFirst();
  void Push(const Due& due);

  std::vector<Due> heap_;
};

}  // namespace remuda::proxy
