// What is refused before it is queued, and what /readyz says.
#include "controller/api/door.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/status.h"
#include "controller/engine/readiness.h"
#include "controller/limits.h"
#include "remuda/v1/apply.pb.h"

namespace remuda {
namespace {

using testing::HasSubstr;

void AddUnknown(google::protobuf::Message& message) {
  message.GetReflection()->MutableUnknownFields(&message)->AddVarint(99, 1);
}

TEST(DoorTest, FieldsOfANewerCallerAreRefusedByTheirPlace) {
  v1::ApplyResourcesRequest request;
  request.add_resources()->mutable_target_group()->set_name("a");
  auto& listener = *request.add_resources()->mutable_load_balancer()->add_listeners();
  EXPECT_TRUE(CheckRequest(request).ok());
  AddUnknown(listener);
  AddUnknown(request);
  const absl::Status status = CheckRequest(request);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const auto violations = ViolationsOf(status);
  ASSERT_EQ(violations.size(), 2U);
  EXPECT_EQ(violations[0].field, "ApplyResourcesRequest");
  EXPECT_EQ(violations[1].field, "resources[1].load_balancer.listeners[0]");
  EXPECT_THAT(violations[1].description, HasSubstr("field 99 is not known"));
}

TEST(DoorTest, ARequestOverTheLimitIsRefusedByItsName) {
  v1::ApplyResourcesRequest request;
  request.set_request_id(std::string(limits::kMaxRequestBytes, 'x'));
  const absl::Status status = CheckRequest(request);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("8388608"));
}

TEST(ReadinessTest, SaysEveryReason) {
  Readiness readiness;
  EXPECT_EQ(readiness.WhyNot(), "starting or stopping\n");
  readiness.SetStartError("the store: etcd does not answer");
  EXPECT_EQ(readiness.WhyNot(), "starting: the store: etcd does not answer\n");
  readiness.SetStartError("");
  readiness.SetServing(true);
  EXPECT_EQ(readiness.WhyNot(), "");
  readiness.SetStoreError("disk is full");
  readiness.SetCallError("no answer");
  EXPECT_EQ(readiness.WhyNot(),
            "the store commits nothing: disk is full\na call to the API fails: no answer\n");
  readiness.SetStoreError("");
  readiness.SetCallError("");
  EXPECT_EQ(readiness.WhyNot(), "");
}

}  // namespace
}  // namespace remuda
