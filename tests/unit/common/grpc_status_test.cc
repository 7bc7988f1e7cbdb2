// Errors on the wire: what a client gets is what was said, or says that it was cut.
#include "common/grpc_status.h"

#include <gtest/gtest.h>

namespace remuda {
namespace {

// What the trailers cost: the message percent-encoded at worst, the details in Base64.
size_t TrailerBytes(const grpc::Status& status) {
  size_t message = 0;
  for (const char c : status.error_message()) message += c >= 0x20 && c < 0x7f && c != '%' ? 1 : 3;
  return message + (status.error_details().size() + 2) / 3 * 4;
}

TEST(GrpcStatusTest, AnOrdinaryErrorArrivesWhole) {
  const absl::Status before =
      InvalidFields({{"min", "3 is above max, 2"}, {"name", "\"A\" is not valid"}});
  const absl::Status after = FromGrpcStatus(ToGrpcStatus(before));
  EXPECT_EQ(after, before);
}

TEST(GrpcStatusTest, AHugeErrorFitsAndKeepsItsFirstFields) {
  for (const std::string& text :
       {std::string("is wrong "), std::string("\xc3\xa4\xc3\xb6 "), std::string(5000, 'x')}) {
    std::vector<FieldViolation> violations;
    for (int i = 0; i < 50; ++i) {
      violations.push_back({"resources[" + std::to_string(i) + "].load_balancer.listeners[0].port",
                            text + text + text});
    }
    const grpc::Status status = ToGrpcStatus(InvalidFields(violations));
    EXPECT_LT(TrailerBytes(status), 8000U);
    EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
    EXPECT_NE(status.error_message().find("(cut)"), std::string::npos);
    const auto kept = ViolationsOf(FromGrpcStatus(status));
    ASSERT_GE(kept.size(), 1U);
    EXPECT_EQ(kept[0].field, "resources[0].load_balancer.listeners[0].port");
  }
}

TEST(GrpcStatusTest, AHugeMessageKeepsItsReason) {
  const grpc::Status status = ToGrpcStatus(FailedPrecondition("IN_USE", std::string(20'000, 'm')));
  EXPECT_LT(TrailerBytes(status), 8000U);
  EXPECT_NE(status.error_details().find("IN_USE"), std::string::npos);
}

}  // namespace
}  // namespace remuda
