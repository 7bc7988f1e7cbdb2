#include "agent/log_pace.h"

#include <gtest/gtest.h>

namespace remuda::agent {
namespace {

TEST(LogPace, ABurstIsTakenAtOnceAndAFloodAtABoundedPace) {
  LogPace pace;
  int64_t now_ms = 1'000'000'000;  // the machine has been up for a while
  constexpr int64_t kRead = 256 * 1024;
  int64_t burst = 0;
  while (pace.WaitMs(now_ms) == 0) {
    pace.Took(kRead, now_ms);
    burst += kRead;
  }
  EXPECT_GE(burst, LogPace::kBurstBytes);
  EXPECT_LE(burst, LogPace::kBurstBytes + 2 * kRead);

  // Then ten seconds of it: as often as it may, as much as the pipe holds.
  const int64_t end_ms = now_ms + 10'000;
  int64_t taken = 0, reads = 0;
  while (now_ms < end_ms) {
    if (const int64_t wait = pace.WaitMs(now_ms); wait > 0) {
      EXPECT_GE(wait, LogPace::kPauseMs);
      now_ms += wait;
      continue;
    }
    pace.Took(kRead, now_ms);
    taken += kRead;
    ++reads;
  }
  EXPECT_LE(taken, 10 * LogPace::kBytesPerSecond + LogPace::kBurstBytes);
  EXPECT_GE(taken, 9 * LogPace::kBytesPerSecond);

  // And a quiet second forgives.
  now_ms += 1000;
  EXPECT_EQ(pace.WaitMs(now_ms), 0);
}

TEST(LogPace, AnOrdinaryAppNeverWaits) {
  LogPace pace;
  for (int64_t now_ms = 0; now_ms < 60'000; now_ms += 10) {
    EXPECT_EQ(pace.WaitMs(now_ms), 0);
    pace.Took(100'000, now_ms);  // 10 MB a second
  }
}

}  // namespace
}  // namespace remuda::agent
