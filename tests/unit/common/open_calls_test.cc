#include "common/open_calls.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace remuda {
namespace {

TEST(OpenCalls, NobodyNeedsToWaitForNone) {
  OpenCalls calls;
  calls.WaitUntilNone();
  calls.Begin();
  calls.End();
  calls.WaitUntilNone();
}

TEST(OpenCalls, TheLastEndIsAwaited) {
  OpenCalls calls;
  calls.Begin();
  calls.Begin();
  calls.End();
  std::atomic<bool> is_ended{false};
  std::thread other([&] {
    is_ended = true;
    calls.End();
  });
  calls.WaitUntilNone();
  EXPECT_TRUE(is_ended);
  other.join();
}

}  // namespace
}  // namespace remuda
