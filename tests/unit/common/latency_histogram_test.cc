#include "common/latency_histogram.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

TEST(LatencyHistogram, BucketsAreThoseOfTheMessage) {
  struct Case {
    nanoseconds latency;
    size_t bucket;
  };
  for (const Case& c : std::vector<Case>{
           {nanoseconds::min(), 0},
           {nanoseconds(-1), 0},
           {nanoseconds(0), 0},
           {microseconds(16) - nanoseconds(1), 0},
           {microseconds(16), 1},
           {microseconds(18) - nanoseconds(1), 1},
           {microseconds(18), 2},
           {microseconds(32) - nanoseconds(1), 8},
           {microseconds(32), 9},
           {microseconds(36), 10},
           {milliseconds(1), 1 + 8 * 5 + 7},  // 16 us * 2^5 * 15 / 8 = 960 us
           {microseconds(1024), 1 + 8 * 6},
           {seconds(1), 1 + 8 * 15 + 7},  // 16 us * 2^15 * 15 / 8 = 983 ms
           {seconds(503), 199},
           {seconds(504), 200},  // from 503.3 s on
           {seconds(3600), 200},
           {nanoseconds::max(), 200},
       }) {
    EXPECT_EQ(BucketOf(c.latency), c.bucket) << c.latency.count();
  }
}

TEST(LatencyHistogram, EachBucketHoldsWhatIsWithinItsBounds) {
  EXPECT_EQ(LowerBound(0), nanoseconds(0));
  EXPECT_EQ(UpperBound(0), microseconds(16));
  for (size_t bucket = 0; bucket < kLatencyBuckets; ++bucket) {
    EXPECT_EQ(BucketOf(LowerBound(bucket)), bucket);
    EXPECT_EQ(BucketOf(UpperBound(bucket) - nanoseconds(1)), bucket);
    if (bucket + 1 < kLatencyBuckets) {
      EXPECT_EQ(BucketOf(UpperBound(bucket)), bucket + 1);
    }
    if (bucket > 0) {  // the formula of the message's comment
      const auto k = (bucket - 1) / 8, j = (bucket - 1) % 8;
      EXPECT_EQ(LowerBound(bucket).count(),
                (int64_t{16000} << k) / 8 * static_cast<int64_t>(8 + j));
    }
  }
}

TEST(LatencyHistogram, QuantilesAreWithinTheBucketThatHoldsThem) {
  std::vector<int64_t> counts(kLatencyBuckets);
  EXPECT_EQ(Quantile(counts, 0.5), std::nullopt);
  EXPECT_EQ(Quantile({}, 0.5), std::nullopt);

  counts[BucketOf(milliseconds(1))] = 1;
  EXPECT_EQ(Quantile(counts, 0), LowerBound(BucketOf(milliseconds(1))));
  EXPECT_EQ(Quantile(counts, 1), UpperBound(BucketOf(milliseconds(1))));

  counts.assign(kLatencyBuckets, 0);
  counts[BucketOf(milliseconds(1))] = 98;
  counts[BucketOf(milliseconds(100))] = 2;
  EXPECT_EQ(BucketOf(*Quantile(counts, 0.5)), BucketOf(milliseconds(1)));
  EXPECT_EQ(BucketOf(*Quantile(counts, 0.979)), BucketOf(milliseconds(1)));
  EXPECT_EQ(BucketOf(*Quantile(counts, 0.99)), BucketOf(milliseconds(100)));
  // Half of the two are below: the middle of their bucket.
  const size_t slow = BucketOf(milliseconds(100));
  EXPECT_EQ(*Quantile(counts, 0.99), (LowerBound(slow) + UpperBound(slow)) / 2);
}

TEST(LatencyHistogram, QuantileOfManyIsOffByAnEighthAtMost) {
  std::vector<int64_t> counts(kLatencyBuckets);
  for (int64_t us = 1; us <= 100000; ++us) ++counts[BucketOf(microseconds(us))];
  for (const double fraction : {0.01, 0.1, 0.5, 0.9, 0.99, 0.999}) {
    const double exact = fraction * 100000;
    EXPECT_NEAR(static_cast<double>(Quantile(counts, fraction)->count()) / 1000, exact, exact / 8);
  }
}

TEST(LatencyHistogram, IsTheSameAfterTheWire) {
  std::vector<int64_t> counts(kLatencyBuckets);
  proxy::v1::LatencyHistogram message;
  Encode(counts, message);
  EXPECT_EQ(message.gaps_size(), 0);
  EXPECT_EQ(Decode(message), counts);

  counts[0] = 3;
  counts[7] = 1;
  counts[200] = std::numeric_limits<int64_t>::max();
  Encode(counts, message);
  EXPECT_EQ(std::vector<int32_t>(message.gaps().begin(), message.gaps().end()),
            (std::vector<int32_t>{0, 7, 193}));
  EXPECT_EQ(Decode(message), counts);

  counts[0] = 0;
  Encode(counts, message);
  EXPECT_EQ(std::vector<int32_t>(message.gaps().begin(), message.gaps().end()),
            (std::vector<int32_t>{7, 193}));
  EXPECT_EQ(Decode(message), counts);
}

TEST(LatencyHistogram, RefusesWhatIsNone) {
  struct Case {
    std::vector<int32_t> gaps;
    std::vector<int64_t> counts;
  };
  for (const Case& c : std::vector<Case>{{{1}, {}},
                                         {{}, {1}},
                                         {{-1}, {1}},
                                         {{201}, {1}},
                                         {{200, 1}, {1, 1}},
                                         {{3, 0}, {1, 1}},
                                         {{3, -1}, {1, 1}},
                                         {{2147483647, 2147483647}, {1, 1}},
                                         {{1}, {0}},
                                         {{1}, {-5}}}) {
    proxy::v1::LatencyHistogram message;
    message.mutable_gaps()->Assign(c.gaps.begin(), c.gaps.end());
    message.mutable_counts()->Assign(c.counts.begin(), c.counts.end());
    EXPECT_EQ(Decode(message), std::nullopt);
  }
}

TEST(LatencyHistogram, AddsUp) {
  std::vector<int64_t> sum(kLatencyBuckets, 1);
  AddCounts(std::vector<int64_t>{5, 0, 7}, sum);
  EXPECT_EQ(sum[0], 6);
  EXPECT_EQ(sum[1], 1);
  EXPECT_EQ(sum[2], 8);
  EXPECT_EQ(sum[200], 1);
}

}  // namespace
}  // namespace remuda
