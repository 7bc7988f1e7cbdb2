// One identity that holds all the calls it may have leaves places to others.
#include "controller/api/call_counts.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace remuda {
namespace {

using Places = std::vector<std::unique_ptr<CallCounts::Place>>;

int TakeAll(CallCounts& counts, const std::string& caller, Places& places) {
  int taken = 0;
  while (auto place = counts.Take(caller)) {
    places.push_back(std::move(place));
    ++taken;
  }
  return taken;
}

TEST(CallCountsTest, OneCallerHasItsShareAndAllHaveTheWhole) {
  const auto counts = std::make_shared<CallCounts>(5, 2);
  Places places;
  EXPECT_EQ(TakeAll(*counts, "person/viewer", places), 2);
  EXPECT_EQ(TakeAll(*counts, "agent/h1", places), 2);
  EXPECT_EQ(TakeAll(*counts, "agent/h2", places), 1);
  EXPECT_EQ(TakeAll(*counts, "agent/h3", places), 0);
}

TEST(CallCountsTest, APlaceIsFreeWhenItsCallHasEnded) {
  const auto counts = std::make_shared<CallCounts>(2, 1);
  Places places;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(TakeAll(*counts, "agent/h1", places), 1);
    EXPECT_EQ(TakeAll(*counts, "agent/h2", places), 1);
    EXPECT_EQ(TakeAll(*counts, "agent/h3", places), 0);
    places.clear();
  }
}

TEST(CallCountsTest, WithoutIdentitiesThereIsNoShare) {
  const auto counts = std::make_shared<CallCounts>(5, 2);
  Places places;
  EXPECT_EQ(TakeAll(*counts, "", places), 5);
}

TEST(CallCountsTest, ACallMayOutliveWhatItWasCountedFor) {
  auto counts = std::make_shared<CallCounts>(1, 1);
  Places places;
  EXPECT_EQ(TakeAll(*counts, "agent/h1", places), 1);
  counts.reset();
  places.clear();
}

}  // namespace
}  // namespace remuda
