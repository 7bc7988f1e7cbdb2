#include "proxy/control/wakes.h"

#include <gtest/gtest.h>

namespace remuda::proxy {
namespace {

using namespace std::chrono_literals;

class WakesTest : public ::testing::Test {
 protected:
  // "GROUP:HELD" of each that is due.
  std::string Take() {
    std::string out;
    while (const auto due =
               wakes_.Take(now_, [&](const std::string& group) { return held_[group]; }))
      out += due->group + ":" + std::to_string(due->held) + " ";
    return out;
  }

  SteadyTime now_{1h};
  std::map<std::string, size_t> held_;
  Wakes wakes_;
};

TEST_F(WakesTest, AtOnceThenEverySecondWhileAnyWaits) {
  EXPECT_EQ(wakes_.next(), SteadyTime::max());
  held_["blue"] = 1;
  wakes_.Note("blue", now_);
  EXPECT_EQ(Take(), "blue:1 ");
  EXPECT_EQ(Take(), "") << "once";
  EXPECT_EQ(wakes_.next(), now_ + 1s);
  now_ += 500ms;
  held_["blue"] = 7;
  held_["green"] = 1;
  wakes_.Note("green", now_);
  EXPECT_EQ(Take(), "green:1 ");
  now_ += 500ms;
  EXPECT_EQ(Take(), "blue:7 ");
  held_["blue"] = held_["green"] = 0;
  now_ += 1s;
  EXPECT_EQ(Take(), "");
  EXPECT_EQ(wakes_.next(), SteadyTime::max());
}

// However fast clients come and go.
TEST_F(WakesTest, NoGroupIsToldOfMoreThanOnceASecond) {
  held_["blue"] = 1;
  wakes_.Note("blue", now_);
  EXPECT_EQ(Take(), "blue:1 ");
  now_ += 10ms;
  wakes_.Note("blue", now_);
  EXPECT_EQ(Take(), "");
  now_ += 990ms;
  EXPECT_EQ(Take(), "blue:1 ");
}

TEST_F(WakesTest, ANewSessionHearsOfAllAtOnce) {
  held_["blue"] = 2;
  wakes_.Note("blue", now_);
  Take();
  wakes_.Restart(now_);
  EXPECT_EQ(Take(), "blue:2 ");
}

}  // namespace
}  // namespace remuda::proxy
