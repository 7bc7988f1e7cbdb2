#include "common/grpc_log.h"

#include <gmock/gmock.h>
#include <grpc/support/log.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <string>

#include "common/logging.h"

namespace remuda {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// What is written while gRPC logs `message` as an error.
std::string WrittenOf(const std::string& level, const char* message) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(InitLogging("test", level), "");
  TakeLogOfGrpc();
  gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);  // gRPC's default, once it has begun
  gpr_log(GPR_ERROR, "%s", message);
  spdlog::default_logger()->flush();
  return testing::internal::GetCapturedStderr();
}

TEST(GrpcLogTest, ItsLinesAreTheProgramsAtDebug) {
  EXPECT_EQ(WrittenOf("info", "Handshake failed"), "");
  const std::string told = WrittenOf("debug", "Handshake failed");
  EXPECT_THAT(told, StartsWith("{\"time\":"));
  EXPECT_THAT(told, HasSubstr("\"level\":\"debug\""));
  EXPECT_THAT(told, HasSubstr("gRPC: Handshake failed ("));
}

TEST(GrpcLogTest, ABrokenAssertionIsAlwaysTold) {
  EXPECT_THAT(WrittenOf("error", "assertion failed: fd >= 0"),
              HasSubstr("gRPC: assertion failed: fd >= 0 ("));
}

TEST(GrpcLogTest, AfterTheEndOfLoggingNothingIs) {
  EXPECT_EQ(InitLogging("test", "debug"), "");
  TakeLogOfGrpc();
  spdlog::shutdown();
  testing::internal::CaptureStderr();
  gpr_log(GPR_ERROR, "too late");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace remuda
