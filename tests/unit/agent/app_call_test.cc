#include "agent/core/app_call.h"

#include <absl/status/status.h>
#include <gtest/gtest.h>

#include <string>
#include <variant>
#include <vector>

namespace remuda::agent {
namespace {

constexpr char kDescribe[] = "/v1/instance";
constexpr char kProtection[] = "/v1/instance/protection";
constexpr char kComplete[] = "/v1/instance/lifecycle/complete";
constexpr char kHeartbeat[] = "/v1/instance/lifecycle/heartbeat";

TEST(AppCall, IsWhatTheRequestSays) {
  struct Case {
    std::string method, path, body, expect;  // the call as text
  };
  const std::vector<Case> cases = {
      {"GET", kDescribe, "", "describe: true"},
      {"PUT", kProtection, R"({"protected": true})", "set_protection: true"},
      {"PUT", kProtection, R"({"protected":false})", "set_protection: false"},
      {"POST", kComplete, R"({"hook":"warm","result":"CONTINUE"})", R"(complete { hook: "warm" })"},
      {"POST", kComplete, R"({"result":"ABANDON"})", "complete { abandon: true }"},
      {"POST", kHeartbeat, R"({"hook":"warm"})", R"(heartbeat { hook: "warm" })"},
      {"POST", kHeartbeat, "{}", "heartbeat { }"},
      {"POST", kHeartbeat, " \n", "heartbeat { }"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.path + (" " + c.body));
    const auto parsed = ParseAppCall(c.method, c.path, c.body);
    ASSERT_TRUE(std::holds_alternative<v1::AppCall>(parsed)) << std::get<AppReply>(parsed).body;
    std::string text = std::get<v1::AppCall>(parsed).ShortDebugString();
    while (!text.empty() && text.back() == ' ') text.pop_back();
    EXPECT_EQ(text, c.expect);
  }
}

TEST(AppCall, SaysWhatIsWrongWithTheRequest) {
  struct Case {
    std::string method, path, body;
    int status;
    std::string says;
  };
  const std::vector<Case> cases = {
      {"POST", kDescribe, "", 405, "the method is GET"},
      {"HEAD", kDescribe, "", 405, "the method is GET"},
      {"POST", kProtection, "", 405, "the method is PUT"},
      {"GET", kComplete, "", 405, "the method is POST"},
      {"PUT", kHeartbeat, "", 405, "the method is POST"},
      {"PUT", kProtection, "", 400, R"(\"protected\": must be true or false)"},
      {"PUT", kProtection, "{", 400, "must be a JSON object"},
      {"PUT", kProtection, "[true]", 400, "must be a JSON object"},
      {"PUT", kProtection, "\xff", 400, "must be a JSON object"},
      {"PUT", kProtection, std::string(4000, '['), 400, "must be a JSON object"},
      {"PUT", kProtection, R"({"protected":"true"})", 400, "must be true or false"},
      {"PUT", kProtection, R"({"protected":null})", 400, "must be true or false"},
      {"PUT", kProtection, R"({"protected":true,"for":1})", 400, R"(\"for\": there is no such)"},
      {"POST", kComplete, R"({"hook":"warm"})", 400, R"(\"result\": must be)"},
      {"POST", kComplete, R"({"result":"continue"})", 400, R"(\"result\": must be)"},
      {"POST", kComplete, R"({"result":true})", 400, R"(\"result\": must be)"},
      {"POST", kComplete, R"({"result":"ABANDON","hook":""})", 400, R"(\"hook\": must be)"},
      {"POST", kHeartbeat, R"({"hook":1})", 400, R"(\"hook\": must be)"},
      {"POST", kHeartbeat, R"({"hook":"A b"})", 400, R"(\"hook\": must be)"},
      {"POST", kHeartbeat, R"({"result":"CONTINUE"})", 400, R"(\"result\": there is no such)"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.path + (" " + c.body.substr(0, 60)));
    const auto parsed = ParseAppCall(c.method, c.path, c.body);
    ASSERT_TRUE(std::holds_alternative<AppReply>(parsed));
    const AppReply& reply = std::get<AppReply>(parsed);
    EXPECT_EQ(reply.status, c.status);
    EXPECT_NE(reply.body.find(c.says), std::string::npos) << reply.body;
    EXPECT_EQ(reply.allow.empty(), c.status != 405);
  }
}

TEST(AppCall, RepliesAsTheControllerAnswers) {
  v1::AppCall call;
  call.set_instance("i-1");
  call.set_describe(true);
  v1::AppAnswer answer;
  answer.set_state("PENDING_WAIT");
  answer.add_hooks("a");
  answer.add_hooks("b");
  answer.set_is_protected(true);
  EXPECT_EQ(ReplyTo(call, "web", answer).body,
            R"({"instance":"i-1","group":"web","state":"PENDING_WAIT","hooks":["a","b"],)"
            "\"protected\":true}\n");
  EXPECT_EQ(ReplyTo(call, "", v1::AppAnswer()).body,
            "{\"instance\":\"i-1\",\"group\":\"\",\"state\":\"\",\"hooks\":[],"
            "\"protected\":false}\n");
  call.set_set_protection(true);
  EXPECT_EQ(ReplyTo(call, "web", answer).status, 204);
  EXPECT_EQ(ReplyTo(call, "web", answer).body, "");

  using Code = absl::StatusCode;
  const std::vector<std::pair<Code, int>> codes = {
      {Code::kInvalidArgument, 400},   {Code::kPermissionDenied, 403},
      {Code::kNotFound, 404},          {Code::kFailedPrecondition, 409},
      {Code::kAborted, 409},           {Code::kResourceExhausted, 429},
      {Code::kUnimplemented, 501},     {Code::kUnavailable, 503},
      {Code::kDeadlineExceeded, 504},  {Code::kInternal, 500},
      {static_cast<Code>(12345), 500},
  };
  for (const auto& [code, status] : codes) {
    answer.set_code(static_cast<int>(code));
    answer.set_message("it \"says\"\nso");
    EXPECT_EQ(ReplyTo(call, "web", answer).status, status);
    EXPECT_EQ(ReplyTo(call, "web", answer).body, "{\"error\":\"it \\\"says\\\"\\nso\"}\n");
  }
}

TEST(AppCall, ATokenIsABearers) {
  EXPECT_EQ(BearerToken("Bearer abc"), "abc");
  EXPECT_EQ(BearerToken("bEARER  abc"), "abc");
  for (const char* other : {"", "abc", "Bearer", "Bearer ", "Basic abc", "Bearerabc"})
    EXPECT_EQ(BearerToken(other), "") << other;
}

}  // namespace
}  // namespace remuda::agent
