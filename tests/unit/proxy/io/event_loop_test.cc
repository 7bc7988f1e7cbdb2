// The loop's timers and posted tasks.
#include "proxy/io/event_loop.h"

#include <gtest/gtest.h>

#include <vector>

namespace remuda::proxy {
namespace {

using std::chrono::milliseconds;

TEST(EventLoop, TimersFireInOrderAndNeverEarly) {
  EventLoop loop;
  std::vector<int> fired;
  const SteadyTime start = loop.now();
  SteadyTime at[3];
  Timer first([&] { fired.push_back(1), at[0] = loop.now(); });
  Timer second([&] { fired.push_back(2), at[1] = loop.now(); });
  Timer moved([&] {
    fired.push_back(3);
    at[2] = loop.now();
    loop.Stop();
  });
  Timer cancelled([&] { fired.push_back(4); });
  moved.Arm(loop, start + milliseconds(5));
  second.Arm(loop, start + milliseconds(30));
  first.Arm(loop, start + milliseconds(10));
  cancelled.Arm(loop, start + milliseconds(15));
  moved.Arm(loop, start + milliseconds(60));  // later: no new place in the wheel
  cancelled.Cancel();
  loop.Run();
  EXPECT_EQ(fired, (std::vector<int>{1, 2, 3}));
  EXPECT_GE(at[0] - start, milliseconds(10));
  EXPECT_GE(at[1] - start, milliseconds(30));
  EXPECT_GE(at[2] - start, milliseconds(60));
}

TEST(EventLoop, TimerBeyondTheWheelComesBack) {
  EventLoop loop;
  bool is_far_fired = false;
  Timer far([&] { is_far_fired = true; });
  Timer stop([&] { loop.Stop(); });
  far.Arm(loop, loop.now() + std::chrono::hours(24));  // many turns of the wheel away
  stop.Arm(loop, loop.now() + milliseconds(20));
  loop.Run();
  EXPECT_FALSE(is_far_fired);
  EXPECT_TRUE(far.is_armed());
}

TEST(EventLoop, RunsPostedTasksInOrder) {
  EventLoop loop;
  std::vector<int> ran;
  loop.Post([&] { ran.push_back(1); });
  loop.Post([&] {
    ran.push_back(2);
    loop.Post([&] {
      ran.push_back(3);
      loop.Stop();
    });
  });
  loop.Run();
  EXPECT_EQ(ran, (std::vector<int>{1, 2, 3}));
}

}  // namespace
}  // namespace remuda::proxy
