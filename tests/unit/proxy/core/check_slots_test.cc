// Who may check next when places are short.
#include "proxy/core/check_slots.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace remuda::proxy {
namespace {

class CheckSlotsTest : public ::testing::Test {
 protected:
  // Of a target that answers at once or never.
  class Turn final : public CheckTurn {
   public:
    Turn(CheckSlotsTest& test, const std::string& group, bool is_silent)
        : CheckTurn(test.slots_, group), test_(test), is_silent_(is_silent) {}
    void OnTurn() override {
      ++turns;
      if (!is_silent_) test_.slots_.Give(*this);
    }
    void Ask() { test_.slots_.Ask(*this, is_slow); }
    // No answer in time.
    void TimeOut() {
      is_slow = true;
      test_.slots_.Give(*this);
    }
    int turns = 0;
    bool is_slow = false;

   private:
    CheckSlotsTest& test_;
    const bool is_silent_;
  };
  Turn& Add(const std::string& group, bool is_silent) {
    return *turns_.emplace_back(std::make_unique<Turn>(*this, group, is_silent));
  }
  std::vector<Turn*> AddMany(size_t count, const std::string& group, bool is_silent) {
    std::vector<Turn*> out;
    for (size_t i = 0; i < count; ++i) out.push_back(&Add(group, is_silent));
    for (Turn* turn : out) turn->Ask();
    return out;
  }

  CheckSlots slots_{{.all = 8, .slow = 4, .a_group = 4}};
  std::deque<std::unique_ptr<Turn>> turns_;
};

TEST_F(CheckSlotsTest, SilentTargetsOfOneGroupLeaveRoomForOthers) {
  AddMany(100, "silent", true);
  EXPECT_EQ(slots_.running(), 4U);
  Turn& other = Add("h", false);
  other.Ask();
  EXPECT_EQ(other.turns, 1);
}

TEST_F(CheckSlotsTest, ThoseThatDidNotAnswerLeaveRoomForOthersOfTheirGroup) {
  CheckSlots wide({.all = 8, .slow = 4, .a_group = 8});
  struct Plain final : CheckTurn {
    using CheckTurn::CheckTurn;
    void OnTurn() override { ++turns; }
    int turns = 0;
  };
  std::deque<Plain> silent;
  for (int i = 0; i < 20; ++i) wide.Ask(silent.emplace_back(wide, "g"), true);
  EXPECT_EQ(wide.running(), 4U);
  Plain fresh(wide, "g");
  wide.Ask(fresh, false);
  EXPECT_EQ(fresh.turns, 1);
}

TEST_F(CheckSlotsTest, GroupsThatWaitTakeTurns) {
  const auto a = AddMany(50, "a", true);
  const auto b = AddMany(50, "b", true);
  Turn& c = Add("c", false);
  c.Ask();
  EXPECT_EQ(c.turns, 0);  // both have all that there is
  a[0]->TimeOut();
  a[1]->TimeOut();
  EXPECT_EQ(c.turns, 1);  // though many of `a` asked before
  EXPECT_EQ(slots_.running(), 8U);
}

TEST_F(CheckSlotsTest, EachOfAGroupGetsItsTurn) {
  const auto all = AddMany(20, "g", true);
  for (int round = 0; round < 5; ++round) {
    for (Turn* turn : all) {
      if (turn->turns == round + 1) turn->TimeOut();
    }
  }
  for (Turn* turn : all) EXPECT_GE(turn->turns, 1);
}

TEST_F(CheckSlotsTest, WhoGoesMakesRoom) {
  AddMany(4, "g", true);
  Turn& waits = Add("g", true);
  waits.Ask();
  waits.Ask();  // once is enough
  EXPECT_EQ(waits.turns, 0);
  turns_.pop_front();
  EXPECT_EQ(waits.turns, 1);
  Turn& later = Add("g", true);
  later.Ask();
  turns_.pop_back();  // while it waits
  turns_.clear();
  EXPECT_EQ(slots_.running(), 0U);
}

TEST_F(CheckSlotsTest, AThousandThatAreDoneAtOnceNestNoDeeper) {
  const auto silent = AddMany(4, "g", true);
  const auto quick = AddMany(100'000, "g", false);
  silent[0]->TimeOut();
  EXPECT_EQ(quick.back()->turns, 1);
}

}  // namespace
}  // namespace remuda::proxy
