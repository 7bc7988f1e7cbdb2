// Requests that wait for a first target: when there is none, and the bounds over all workers.
#include "tests/unit/proxy/core/picking.h"

namespace remuda::proxy::testing {
namespace {

constexpr char kHold[] = "request_hold: {max_requests: 2, max_bytes: 10}";

class HoldTest : public PickingTest {};

TEST_F(HoldTest, OneThatHasNeverPassedACheckIsNone) {
  Load(Config({"a:1", "b:1"}));
  EXPECT_EQ(Pick(10).count("none"), 0U) << "without a hold it is a last resort";
  Load(ConfigWith({"a:1", "b:1"}, kHold));
  EXPECT_EQ(Pick(1), (Counts{{"none", 1}}));
  SetUnhealthy("a");
  EXPECT_EQ(Pick(1), (Counts{{"none", 1}})) << "failing at once is not better";
  SetHealthy({"b"});
  EXPECT_EQ(Pick(3), (Counts{{"b", 3}}));
  SetUnhealthy("b");
  EXPECT_EQ(Pick(3), (Counts{{"b", 3}})) << "fails open";
}

TEST_F(HoldTest, ThoseThatLeaveAreNone) {
  v1::ProxyConfig config = ConfigWith({"a:1", "b:1"}, kHold);
  Load(config);
  SetAllHealthy();
  config.mutable_targets(0)->set_state(v1::Target::STATE_DRAINING);
  config.mutable_targets(1)->set_state(v1::Target::STATE_GONE);
  Load(config);
  EXPECT_EQ(Pick(1), (Counts{{"none", 1}}));
  Load(ConfigWith({"a:0"}, kHold));
  SetAllHealthy();
  EXPECT_EQ(Pick(1), (Counts{{"none", 1}})) << "nor one without weight";
}

TEST_F(HoldTest, DefaultsAndRules) {
  Load(ConfigWith({}, "request_hold: {}"));
  const HoldSpec& hold = group().policy.hold;
  EXPECT_EQ(hold.max_requests, 100U);
  EXPECT_EQ(hold.max_bytes, 16U * 1024 * 1024);
  EXPECT_EQ(hold.timeout, std::chrono::seconds(30));
  Load(Config({}));
  EXPECT_FALSE(group().policy.hold.is_on());

  const auto fault_of = [](const std::string& group_yaml) {
    v1::ConfigUpdate update;
    *update.mutable_upserts() = ConfigWith({}, group_yaml);
    const CompileResult result = TryCompile(update);
    const auto* const error = std::get_if<ConfigError>(&result);
    return error == nullptr ? std::string() : error->reason;
  };
  EXPECT_EQ(fault_of("request_hold: {max_requests: 10001}").rfind("request_hold.max_requests: ", 0),
            0U);
  EXPECT_EQ(fault_of("request_hold: {max_requests: -1}").rfind("request_hold.max_requests: ", 0),
            0U);
  EXPECT_EQ(fault_of("request_hold: {max_bytes: -1}").rfind("request_hold.max_bytes: ", 0), 0U);
  EXPECT_EQ(fault_of("request_hold: {timeout: 601s}").rfind("request_hold.timeout: ", 0), 0U);
  EXPECT_EQ(fault_of("{protocol: TCP, request_hold: {}}"), "request_hold: only for HTTP and HTTPS");
}

TEST_F(HoldTest, BoundsAreOfAllWorkers) {
  Load(ConfigWith({}, kHold));
  const HoldSpec& hold = group().policy.hold;
  EXPECT_EQ(state_->TakeHeld(hold, 11), std::nullopt) << "too many bytes";
  EXPECT_EQ(state_->TakeHeld(hold, 4), 0U) << "the first";
  EXPECT_EQ(state_->TakeHeld(hold, 7), std::nullopt) << "too many bytes together";
  EXPECT_EQ(state_->TakeHeld(hold, 6), 1U);
  EXPECT_EQ(state_->TakeHeld(hold, 0), std::nullopt) << "a third";
  EXPECT_EQ(state_->held_bytes(), 10U);
  EXPECT_FALSE(state_->MoveHeldBytes(hold, 4, 5));
  EXPECT_TRUE(state_->MoveHeldBytes(hold, 6, 2));
  EXPECT_TRUE(state_->MoveHeldBytes(hold, 4, 8));
  state_->GiveHeld(8);
  state_->GiveHeld(2);
  EXPECT_EQ(state_->CountHeld(), 0U);
  EXPECT_EQ(state_->held_bytes(), 0U);
}

// Whoever begins to wait after a change has to see it by itself.
TEST_F(HoldTest, AChangeIsSeenByThoseThatBeginToWait) {
  Load(ConfigWith({"a:1"}, kHold));
  Pick(1);
  const uint64_t version = state_->picker(0).version;
  EXPECT_FALSE(state_->HasChangedSince(version));
  SetHealthy({"a"});
  EXPECT_TRUE(state_->HasChangedSince(version));
}

}  // namespace
}  // namespace remuda::proxy::testing
