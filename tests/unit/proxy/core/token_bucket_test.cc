#include "proxy/core/token_bucket.h"

#include <gtest/gtest.h>

namespace remuda::proxy {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

int TakeAll(TokenBucket& bucket, TokenBucket::Time now) {
  int taken = 0;
  while (taken < 1000 && bucket.Take(now)) ++taken;
  return taken;
}

TEST(TokenBucketTest, GivesItsBurstAtOnceAndThenItsRate) {
  const TokenBucket::Time start{seconds(100)};
  TokenBucket bucket(10, 2);
  EXPECT_EQ(TakeAll(bucket, start), 10);
  EXPECT_EQ(TakeAll(bucket, start), 0);
  EXPECT_EQ(TakeAll(bucket, start + milliseconds(499)), 0);
  EXPECT_EQ(TakeAll(bucket, start + milliseconds(1500)), 3);
  EXPECT_EQ(TakeAll(bucket, start + seconds(1000)), 10);  // never more than the burst
}

TEST(TokenBucketTest, WorkEarnsTokensUpToTheBurst) {
  const TokenBucket::Time start{seconds(100)};
  TokenBucket bucket(10, 0);
  EXPECT_EQ(TakeAll(bucket, start), 10);
  bucket.Earn(3);
  EXPECT_EQ(TakeAll(bucket, start), 3);
  bucket.Earn(100);
  EXPECT_EQ(TakeAll(bucket, start), 10);
}

}  // namespace
}  // namespace remuda::proxy
