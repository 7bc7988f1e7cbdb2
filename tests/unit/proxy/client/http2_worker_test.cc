// What the HTTP/2 connections of a worker share.
#include "proxy/client/http2_worker.h"

#include <gtest/gtest.h>

#include "proxy/client/http2_limits.h"

namespace remuda::proxy {
namespace {

constexpr size_t kLargest = kHttp2LargestStreamWindowBytes - kHttp2StreamWindowBytes;

TEST(Http2WorkerTest, ManyConnectionsFindSomeOfTheWindows) {
  Http2Worker worker;
  EXPECT_EQ(worker.TakeWindow(0, kLargest), kLargest);
  size_t held = kLargest, least = kLargest;
  for (int i = 1; i < 32; ++i) {
    const size_t taken = worker.TakeWindow(0, kLargest);
    EXPECT_LE(taken, least);
    least = taken;
    held += taken;
  }
  EXPECT_LE(held, kHttp2WorkerWindowBytes);
  EXPECT_GE(least, static_cast<size_t>(kHttp2StreamWindowBytes));
}

TEST(Http2WorkerTest, AWindowGrowsByItsShareAndIsNeverTakenAway) {
  Http2Worker worker;
  const size_t half = kLargest / 2;
  EXPECT_EQ(worker.TakeWindow(0, half), half);
  EXPECT_EQ(worker.TakeWindow(half, kLargest), kLargest);
  size_t others = 0;
  for (int i = 0; i < 200; ++i) others += worker.TakeWindow(0, kLargest);
  // There is less than that by now, but it was promised.
  EXPECT_EQ(worker.TakeWindow(kLargest, kLargest), kLargest);
  EXPECT_LT(worker.TakeWindow(0, kLargest), static_cast<size_t>(kHttp2StreamWindowBytes));
  worker.GiveWindow(others);
  EXPECT_GE(worker.TakeWindow(0, kLargest), half);
}

}  // namespace
}  // namespace remuda::proxy
