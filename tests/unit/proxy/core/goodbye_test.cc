// When a draining target's WebSockets are asked to end.
#include "proxy/core/goodbye.h"

#include <gtest/gtest.h>

namespace remuda::proxy {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const SteadyTime kNow{seconds(1000)};

struct GoodbyeCase {
  const char* name;
  WebSocketClose policy;
  milliseconds delay;
  milliseconds begin, end;  // after the drain began
};

class GoodbyeTest : public ::testing::TestWithParam<GoodbyeCase> {};

TEST_P(GoodbyeTest, LeavesTimeBeforeAndForTheClose) {
  const GoodbyeCase& c = GetParam();
  const GoodbyeTimes times = GoodbyeTimesOf(c.policy, c.delay, kNow);
  EXPECT_EQ(times.begin - kNow, c.begin);
  EXPECT_EQ(times.end - kNow, c.end);
}

INSTANTIATE_TEST_SUITE_P(
    Policies, GoodbyeTest,
    ::testing::Values(
        GoodbyeCase{"NearEnd", WebSocketClose::kNearEnd, seconds(100), seconds(90), seconds(95)},
        GoodbyeCase{"NearEndOfTheDefault", WebSocketClose::kNearEnd, seconds(300), seconds(270),
                    seconds(285)},
        GoodbyeCase{"NearEndOfTheLongest", WebSocketClose::kNearEnd, seconds(3600), seconds(3570),
                    seconds(3585)},
        GoodbyeCase{"NearEndOfAShortOne", WebSocketClose::kNearEnd, seconds(1), milliseconds(900),
                    milliseconds(950)},
        GoodbyeCase{"NearEndOfNone", WebSocketClose::kNearEnd, seconds(0), seconds(0), seconds(0)},
        GoodbyeCase{"Spread", WebSocketClose::kSpread, seconds(100), seconds(0), seconds(95)},
        GoodbyeCase{"AtOnce", WebSocketClose::kAtOnce, seconds(100), seconds(0), seconds(0)}),
    [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace remuda::proxy
