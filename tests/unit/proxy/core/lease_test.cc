// How long the controller counts on this proxy, by what it has answered.
#include "proxy/core/lease.h"

#include <gtest/gtest.h>

namespace remuda::proxy {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const SteadyTime kStart{seconds(1000)};

TEST(Lease, RunsFromWhatWasSentNotFromTheAnswer) {
  Lease lease(kStart);
  EXPECT_EQ(lease.end(), kStart + Lease::kDefaultLength);
  lease.Begin(seconds(20), kStart + seconds(1));
  EXPECT_EQ(lease.end(), kStart + seconds(21));
  lease.OnReport(kStart + seconds(5));
  lease.OnReport(kStart + seconds(10));
  EXPECT_TRUE(lease.OnRenewal(1));
  EXPECT_EQ(lease.end(), kStart + seconds(25));
  lease.OnReport(kStart + seconds(15));
  EXPECT_TRUE(lease.OnRenewal(3));  // which the second's answer cannot change any more
  EXPECT_EQ(lease.end(), kStart + seconds(35));
  EXPECT_FALSE(lease.OnRenewal(2));
  EXPECT_EQ(lease.end(), kStart + seconds(35));
}

TEST(Lease, AnswersToNothingRenewNothing) {
  Lease lease(kStart);
  lease.Begin(seconds(20), kStart);
  for (const int64_t number : {int64_t{-1}, int64_t{0}, int64_t{1}, int64_t{1} << 62})
    EXPECT_FALSE(lease.OnRenewal(number)) << number;
  lease.OnReport(kStart + seconds(5));
  EXPECT_FALSE(lease.OnRenewal(2));
  EXPECT_TRUE(lease.OnRenewal(1));
  EXPECT_FALSE(lease.OnRenewal(1));
}

TEST(Lease, ASessionCountsAnew) {
  Lease lease(kStart);
  lease.Begin(seconds(20), kStart);
  lease.OnReport(kStart + seconds(5));
  lease.Begin(seconds(2), kStart + seconds(6));
  EXPECT_EQ(lease.end(), kStart + seconds(8));
  EXPECT_FALSE(lease.OnRenewal(1));
  lease.OnReport(kStart + seconds(7));
  EXPECT_TRUE(lease.OnRenewal(1));
  EXPECT_EQ(lease.end(), kStart + seconds(9));
}

TEST(Lease, KeepsABoundedNumberOfReports) {
  Lease lease(kStart);
  lease.Begin(seconds(20), kStart);
  const auto count = static_cast<int64_t>(Lease::kMaxUnanswered) + 10;
  for (int64_t i = 1; i <= count; ++i) lease.OnReport(kStart + milliseconds(i));
  EXPECT_FALSE(lease.OnRenewal(10));
  EXPECT_TRUE(lease.OnRenewal(11));
  EXPECT_EQ(lease.end(), kStart + milliseconds(11) + seconds(20));
}

}  // namespace
}  // namespace remuda::proxy
