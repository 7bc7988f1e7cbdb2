#include "agent/event_loop.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "agent/process.h"

namespace remuda::agent {
namespace {

// A pipe with a byte in it.
struct ReadyPipe {
  ReadyPipe() {
    int fds[2];
    EXPECT_EQ(pipe(fds), 0);
    read_end = Fd(fds[0]);
    write_end = Fd(fds[1]);
    EXPECT_EQ(write(fds[1], "x", 1), 1);
  }
  Fd read_end;
  Fd write_end;
};

TEST(EventLoop, DoesNotTakeAnEventForAReusedDescriptorsOwn) {
  EventLoop loop;
  ReadyPipe pipes[2];
  int empty[2];
  ASSERT_EQ(pipe(empty), 0);
  const Fd empty_read(empty[0]), empty_write(empty[1]);
  int handled = 0;
  int mistaken = 0;
  // Both are ready in one round; whichever comes first puts another in the place of the second.
  for (int i = 0; i < 2; ++i) {
    loop.Watch(pipes[i].read_end.get(), [&, i] {
      ++handled;
      const int other = pipes[1 - i].read_end.get();
      loop.Unwatch(pipes[i].read_end.get());
      loop.Unwatch(other);
      ASSERT_EQ(dup2(empty_read.get(), other), other);
      loop.Watch(other, [&] { ++mistaken; });
      loop.Quit();
    });
  }
  loop.Run();
  EXPECT_EQ(handled, 1);
  EXPECT_EQ(mistaken, 0);
}

}  // namespace
}  // namespace remuda::agent
