#include "common/status.h"

#include <gtest/gtest.h>

namespace remuda {
namespace {

TEST(StatusTest, InvalidFieldsNamesEachFieldInMessageAndDetails) {
  const absl::Status status =
      InvalidFields({{"max", "2 is below min 3"}, {"min", "-1 is not in 0-1000"}});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "max: 2 is below min 3; min: -1 is not in 0-1000");
  const auto violations = ViolationsOf(status);
  ASSERT_EQ(violations.size(), 2u);
  EXPECT_EQ(violations[0].field, "max");
  EXPECT_EQ(violations[1].description, "-1 is not in 0-1000");
}

TEST(StatusTest, SurvivesTheWayThroughRpcBytes) {
  const absl::Status before = InvalidField("port", "70000 is not in 1-65535");
  const absl::Status after = FromRpcStatus(
      static_cast<int>(before.code()), "port: 70000 is not in 1-65535", ToRpcStatusBytes(before));
  EXPECT_EQ(before, after);
  ASSERT_EQ(ViolationsOf(after).size(), 1u);
  EXPECT_EQ(ViolationsOf(after)[0].field, "port");
}

TEST(StatusTest, GarbageBytesLeaveCodeAndMessage) {
  const absl::Status status = FromRpcStatus(5, "hosts/h9: no such resource", "\xff\xff\xff");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(ViolationsOf(status).empty());
}

TEST(StatusTest, PrefixMovesFieldsAndLeavesOtherErrors) {
  const absl::Status moved =
      WithFieldPrefix(InvalidField("max", "2 is below min 3"), "resources[4].");
  EXPECT_EQ(moved.message(), "resources[4].max: 2 is below min 3");
  const absl::Status other = FailedPrecondition("IN_USE", "targetGroups/blue: in use");
  EXPECT_EQ(WithFieldPrefix(other, "resources[4]."), other);
}

TEST(StatusTest, CodesOfTheMakers) {
  EXPECT_EQ(NotFound("hosts/h1").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(AlreadyExists("hosts/h1", "taken").code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(EtagMismatch("hosts/h1", "1", "2").code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Unavailable("NO_LEADER", "none").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(LimitExceeded("kMaxGroups", "500 groups at most").code(),
            absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace remuda
