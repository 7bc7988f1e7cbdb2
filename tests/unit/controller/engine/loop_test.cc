// The loop's own accounts.
#include "controller/engine/loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/controller/engine/engine_seams.h"

namespace remuda {
namespace {

using testing::HasSubstr;

TEST(Loop, TellsHowLongItsRoundsAreAndTheLongest) {
  HandClock clock;  // the loop thread's, while it runs
  Metrics metrics;
  Loop loop(clock, metrics);
  // Posted before it starts: one round, of a task and the turn. What a round posts is the next.
  loop.Post([&] {
    clock.now += absl::Milliseconds(30);
    loop.Post([&] { clock.now += absl::Milliseconds(2); });
  });
  loop.Start([&] {
    clock.now += absl::Milliseconds(1);
    return absl::InfiniteFuture();
  });
  loop.Stop();
  EXPECT_NEAR(metrics.turn_seconds.longest_seconds(), 0.031, 1e-6);
  const std::string page = metrics.Print();
  EXPECT_THAT(page, HasSubstr("remuda_controller_turn_seconds_bucket{le=\"0.0025\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("remuda_controller_turn_seconds_bucket{le=\"0.005\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("remuda_controller_turn_seconds_count 2\n"));
  EXPECT_THAT(page, HasSubstr("remuda_controller_turn_max_seconds 0.031"));
}

TEST(Loop, ATurnComesBetweenTasksThatTakeLong) {
  HandClock clock;  // the loop thread's, while it runs
  Metrics metrics;
  Loop loop(clock, metrics);
  std::string order;
  for (int i = 1; i <= 5; ++i) {
    loop.Post([&, i] {
      clock.now += absl::Milliseconds(6);
      order += std::to_string(i);
    });
  }
  loop.Start([&] {
    order += " turn ";
    return absl::InfiniteFuture();
  });
  loop.Stop();
  EXPECT_EQ(order, "12 turn 34 turn 5 turn ");
}

TEST(Loop, TasksHaveLongerWhereTurnsTakeLongerButWithinABound) {
  HandClock clock;  // the loop thread's, while it runs
  Metrics metrics;
  Loop loop(clock, metrics);
  std::string order;
  for (int i = 1; i <= 9; ++i) {
    loop.Post([&, i] {
      clock.now += absl::Milliseconds(10);
      order += std::to_string(i);
    });
  }
  loop.Start([&] {
    clock.now += absl::Milliseconds(40);
    order += " turn ";
    return absl::InfiniteFuture();
  });
  loop.Stop();
  EXPECT_EQ(order, "1 turn 23 turn 45 turn 67 turn 89 turn ");
}

// A session's hello that waits in the queue is not late.
TEST(Loop, ATimeLimitIsOverAfterWhatWasPosted) {
  HandClock clock;  // the loop thread's, while it runs
  Metrics metrics;
  Loop loop(clock, metrics);
  std::string order;
  loop.Post([&] {
    loop.At(clock.now + absl::Seconds(10), [&] { order += "timer "; });
    order += "opened ";
  });
  loop.Post([&] {
    loop.Post([&] { order += "hello "; });
    clock.now += absl::Seconds(11);
    order += "long ";
  });
  loop.Start([&] { return absl::InfiniteFuture(); });
  loop.Stop();
  EXPECT_EQ(order, "opened long hello timer ");
}

}  // namespace
}  // namespace remuda
