// The side of a deployment that is measured, and how many bear the load meanwhile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/controller/core/metrics/fold_fixture.h"

namespace remuda::core {
namespace {

class FoldDeploymentTest : public FoldTest {
 protected:
  // Two of the old version at 50 %, `fresh` of the new one at 400 %.
  void Sides(int fresh, bool is_withheld = false) {
    for (const char* id : {"i-1", "i-2"}) {
      Instance(id, 1);
      agents_[id].cores = 0.5;
    }
    for (int i = 0; i < fresh; ++i) {
      const std::string id = absl::StrCat("n-", i);
      Instance(id, 2, [&](auto& row) {
        if (is_withheld) row.set_withheld_by("web-1");
      });
      agents_[id].cores = 4;
    }
  }
};

TEST_F(FoldDeploymentTest, TheStableSideIsMeasuredAndItsShareTold) {
  Sides(2);
  Deploy(1, 2, 20);
  const MetricPoint& point = Period(2);
  EXPECT_DOUBLE_EQ(*point.cpu_percent, 50);
  EXPECT_DOUBLE_EQ(point.bearing, 2.5) << "two bear 80 %";
  EXPECT_EQ(point.in_service, 4);
}

TEST_F(FoldDeploymentTest, RequestsInFlightOfANewVersionThatHangsAreNoLoad) {
  Sides(2);
  Proxy("p1");
  proxies_["p1"] = {.requests = {{"web/shop:1", 80}, {"web/shop:2", 20}}, .in_flight = 8};
  proxies_["p1"].hanging = {"web/shop:2", 500};
  Deploy(1, 2, 20);
  MetricPoint point = Period(2);
  EXPECT_DOUBLE_EQ(*point.in_flight, 10) << "8 of 80 %";
  EXPECT_DOUBLE_EQ(*point.requests, 100);
  Deploy(1, 2, std::nullopt);
  point = Period();
  EXPECT_DOUBLE_EQ(*point.in_flight, 16) << "8 of one half";
}

TEST_F(FoldDeploymentTest, WhileTheNewSideHasNoShareItsInstancesBearNothing) {
  Sides(2, /*is_withheld=*/true);
  Deploy(1, 2, 0);
  const MetricPoint& point = Period(2);
  EXPECT_DOUBLE_EQ(*point.cpu_percent, 50);
  EXPECT_DOUBLE_EQ(point.bearing, 2);
}

TEST_F(FoldDeploymentTest, OnceTheOldSideHasNoShareTheOtherIsMeasured) {
  Sides(4);
  for (const char* id : {"i-1", "i-2"}) {
    Edit<v1::Instance>(id, [](auto& row) { row.set_withheld_by("web-1"); });
  }
  Deploy(1, 2, 100);
  const MetricPoint& point = Period(2);
  EXPECT_DOUBLE_EQ(*point.cpu_percent, 400);
  EXPECT_DOUBLE_EQ(point.bearing, 4);
}

TEST_F(FoldDeploymentTest, WhereInstancesTakeEachOthersPlaceAllBearAlike) {
  Sides(1);
  Deploy(1, 2, std::nullopt);
  MetricPoint point = Period(2);
  EXPECT_DOUBLE_EQ(*point.cpu_percent, 50);
  EXPECT_DOUBLE_EQ(point.bearing, 3);
  for (const char* id : {"i-1", "i-2"}) {
    Edit<v1::Instance>(id, [](auto& row) { row.set_state(v1::INSTANCE_STATE_DRAINING); });
  }
  point = Period();
  EXPECT_DOUBLE_EQ(*point.cpu_percent, 400) << "the last of the old ones drain";
  EXPECT_DOUBLE_EQ(point.bearing, 1);
}

TEST_F(FoldDeploymentTest, OneThatHasEndedDividesNothing) {
  Sides(2);
  Deploy(1, 2, 20, v1::DEPLOYMENT_STATE_FAILED);
  const MetricPoint& point = Period(2);
  EXPECT_DOUBLE_EQ(*point.cpu_percent, 225);
  EXPECT_DOUBLE_EQ(point.bearing, 4);
}

}  // namespace
}  // namespace remuda::core
