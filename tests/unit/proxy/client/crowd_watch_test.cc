#include "proxy/client/crowd_watch.h"

#include <gtest/gtest.h>

#include <vector>

namespace remuda::proxy {
namespace {

// How often memory is given back while the numbers stand for a while each.
int TimesIn(const std::vector<int64_t>& numbers) {
  CrowdWatch watch;
  int times = 0;
  for (const int64_t connections : numbers) {
    for (int i = 0; i < CrowdWatch::kLooksBetween; ++i) times += watch.Look(connections) ? 1 : 0;
  }
  return times;
}

TEST(CrowdWatchTest, TellsWhenManyHaveGone) {
  EXPECT_EQ(TimesIn({0, 0, 0}), 0);
  EXPECT_EQ(TimesIn({6000, 6000}), 0);
  EXPECT_EQ(TimesIn({6000, 0, 0, 0}), 1);
  EXPECT_EQ(TimesIn({6000, 0, 6000, 0}), 2);
  EXPECT_EQ(TimesIn({6000, 4000}), 0);      // most are there
  EXPECT_EQ(TimesIn({400, 0, 400, 0}), 0);  // not worth it
  EXPECT_EQ(TimesIn({6000, 3000, 2000, 1000, 0}), 3);
}

TEST(CrowdWatchTest, KeepsItsDistance) {
  CrowdWatch watch;
  int looks = 0;
  for (int64_t i = 0; i < 100; ++i) {
    watch.Look(6000);
    looks += watch.Look(0) ? 1 : 0;
  }
  EXPECT_LE(looks, 200 / CrowdWatch::kLooksBetween);
}

}  // namespace
}  // namespace remuda::proxy
