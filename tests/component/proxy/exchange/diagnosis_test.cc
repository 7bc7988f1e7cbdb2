// What a person is told of messages that were refused: rule and field in the answer, the log, the
// metrics and on /bad-messages; and what is forgiven, or not lost.
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <set>
#include <string>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {
namespace {

using std::string_literals::operator""s;

std::string FieldIn(const std::string& answer, const std::string& name) {
  const size_t at = answer.find("\r\n" + name + ": ");
  if (at == std::string::npos) return "";
  const size_t begin = at + name.size() + 4;
  return answer.substr(begin, answer.find("\r\n", begin) - begin);
}

struct Mistake {
  const char* path;
  std::string bytes;  // behind the status line
  const char* reason;
  const char* detail;
};

const std::string kOk = "Content-Length: 2\r\n\r\nok";

std::vector<Mistake> Mistakes() {
  std::string many;
  for (int i = 0; i < 110; ++i) many += "X-A" + std::to_string(i) + ": 1\r\n";
  return {
      {"/codings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "TargetBadResponse", "RepeatedTransferEncoding: Transfer-Encoding"},
      {"/lengths", "Content-Length: 2\r\n" + kOk, "TargetBadResponse",
       "RepeatedContentLength: Content-Length"},
      {"/both", "Transfer-Encoding: chunked\r\n" + kOk, "TargetBadResponse",
       "LengthAndTransferEncoding: Content-Length, Transfer-Encoding"},
      {"/length", "Content-Length: abc\r\n\r\nok", "TargetBadResponse",
       "BadContentLength: Content-Length"},
      {"/long", "Content-Security-Policy: " + std::string(17000, 'x') + "\r\n" + kOk,
       "TargetHeadTooLarge", "FieldTooLong: Content-Security-Policy"},
      {"/many", many + kOk, "TargetHeadTooLarge", "TooManyFields: X-A100"},
      {"/name", "X Name: 1\r\n" + kOk, "TargetBadResponse", "BadFieldName: X Name"},
      {"/value", "X-N: a\x01"s + "b\r\n" + kOk, "TargetBadResponse", "BadFieldValue: X-N"},
      {"/lf", "X-N: a\n" + kOk, "TargetBadResponse", "BadLineEnd: X-N"},
      {"/folded", "X-N: a\r\n b\r\n" + kOk, "TargetBadResponse", "FoldedLine: X-N"},
      {"/chunk", "Transfer-Encoding: chunked\r\n\r\n2 \r\nok\r\n0\r\n\r\n", "TargetBadResponse",
       "BadChunk"},
  };
}

TEST(DiagnosisTest, OfATargetsAnswerNamesRuleAndField) {
  const std::vector<Mistake> mistakes = Mistakes();
  ScriptedTarget target([&](const std::string& head, RawSocket& connection) {
    for (const Mistake& m : mistakes) {
      if (head.find(m.path + " "s) == std::string::npos) continue;
      connection.Send("HTTP/1.1 200 Fine\r\n" + m.bytes);
    }
    return false;
  });
  ServingProxy proxy(ConfigFor({target.port()}), {"--workers=1", "--access-log-format=json"});
  for (const Mistake& m : mistakes) {
    const std::string answer = Get(proxy.Port(), m.path);
    EXPECT_EQ(StatusOf(answer), 502) << m.path;
    EXPECT_EQ(FieldIn(answer, "X-Remuda-Reason"), m.reason) << m.path;
    EXPECT_EQ(FieldIn(answer, "X-Remuda-Reason-Detail"), m.detail);
    const std::string logged = "\"error_detail\":\"" + std::string(m.detail) + "\"";
    EXPECT_TRUE(WaitUntil([&] { return proxy.AccessLog().find(logged) != std::string::npos; }))
        << logged << proxy.AccessLog();
    const std::string rule = std::string(m.detail).substr(0, std::string(m.detail).find(':'));
    EXPECT_EQ(proxy.Metric("target_bad_response_count_total{rule=\"" + rule + "\"}"), 1) << rule;
    const std::string page = proxy.Admin("/bad-messages");
    const std::regex line("\\{\"kind\":\"response\",\"count\":1,[^\n]*\"reason\":\"" +
                          std::string(m.reason) + "\",\"rule\":\"" + rule +
                          "\",[^\n]*\"target\":\"" + target.endpoint() + "\"\\}");
    EXPECT_TRUE(std::regex_search(page, line)) << page;
  }
  EXPECT_NE(proxy.Admin("/bad-messages").find("\"first_line\":\"HTTP/1.1 200 Fine\""),
            std::string::npos);
}

TEST(DiagnosisTest, OfARequestShowsItsBytes) {
  ScriptedTarget target(ScriptedTarget::Answers("hello"));
  ServingProxy proxy(ConfigFor({target.port()}));
  const auto ask = [&](const std::string& request) {
    RawSocket client = RawSocket::Connect(proxy.Port());
    client.Send(request);
    return client.ReadMessage();
  };
  // A first line is a client's own: it is not sent back.
  std::string answer = ask("GET /a b\x01 HTTP/1.1\r\n\r\n");
  EXPECT_EQ(FieldIn(answer, "X-Remuda-Reason"), "BadRequestLine");
  EXPECT_EQ(FieldIn(answer, "X-Remuda-Reason-Detail"), "");
  EXPECT_TRUE(WaitUntil([&] {
    return proxy.AccessLog().find(" \"BadRequestLine: GET /a b\\x01 HTTP/1.1\"\n") !=
           std::string::npos;
  })) << proxy.AccessLog();
  std::string page = proxy.Admin("/bad-messages");
  EXPECT_NE(page.find("\"rule\":\"BadRequestLine\",\"bytes\":\"GET /a b\\u0001 HTTP/1.1\""),
            std::string::npos)
      << page;
  answer = ask("GET / HTTP/1.1\r\nHost: a\r\nX-Secret: key\x01\r\n\r\n");
  EXPECT_EQ(FieldIn(answer, "X-Remuda-Reason-Detail"), "BadFieldValue: X-Secret");
  page = proxy.Admin("/bad-messages");
  EXPECT_NE(page.find("\"rule\":\"BadFieldValue\",\"field\":\"X-Secret\""), std::string::npos)
      << page;
  EXPECT_EQ(page.find("key"), std::string::npos) << page;
  // The same again is counted.
  ask("GET / HTTP/1.1\r\nHost: a\r\nX-Secret: key\x01\r\n\r\n");
  page = proxy.Admin("/bad-messages");
  EXPECT_NE(page.find("\"kind\":\"request\",\"count\":2,"), std::string::npos) << page;
}

TEST(DiagnosisTest, OfAFieldThatGoesNoFurtherNamesIt) {
  ScriptedTarget target(ScriptedTarget::Answers("hello"));
  ServingProxy proxy(ConfigFor({target.port()}));
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send("GET / HTTP/1.1\r\nHost: a\r\nuser_id: 7\r\n\r\n");
  EXPECT_EQ(StatusOf(client.ReadMessage()), 200);
  EXPECT_EQ(proxy.Metric("dropped_field_count_total"), 1);
  const std::string page = proxy.Admin("/bad-messages");
  EXPECT_NE(page.find("\"kind\":\"dropped_field\""), std::string::npos) << page;
  EXPECT_NE(page.find("\"field\":\"user_id\""), std::string::npos) << page;
  EXPECT_TRUE(WaitUntil([&] { return proxy.AccessLog().find("user_id") != std::string::npos; }));
}

// A flood of one kind does not wash away the other, and the page stays small.
TEST(DiagnosisTest, IsBounded) {
  ScriptedTarget target([](const std::string&, RawSocket& connection) {
    connection.Send("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n");
    return false;
  });
  ServingProxy proxy(ConfigFor({target.port()}));
  Get(proxy.Port());
  for (int i = 0; i < 100; ++i) {
    RawSocket client = RawSocket::Connect(proxy.Port());
    client.Send("GET / HTTP/1.1\r\nHost: a\r\nX" + std::to_string(i) + " : 1\r\n\r\n");
    ASSERT_EQ(StatusOf(client.ReadMessage()), 400);
  }
  const std::string page = proxy.Admin("/bad-messages");
  EXPECT_LE(std::count(page.begin(), page.end(), '\n'), 20) << page;
  EXPECT_NE(page.find("\"kind\":\"response\""), std::string::npos) << page;
  EXPECT_NE(page.find("\"field\":\"X99 \""), std::string::npos) << page;
  EXPECT_EQ(page.find("\"field\":\"X10 \""), std::string::npos) << page;
}

TEST(ToleranceTest, IsOfAGroupThatAsksForIt) {
  ScriptedTarget target([](const std::string&, RawSocket& connection) {
    return connection.Send(
        "HTTP/1.1 200 OK\nX_Kept: 1\nTransfer-Encoding: chunked\n\n2  \nok\n0 \n\n");
  });
  ServingProxy strict(ConfigFor({target.port()}));
  EXPECT_EQ(StatusOf(Get(strict.Port())), 502);
  ServingProxy proxy(ConfigFor({target.port()},
                               "    responseTolerance: { bareLineFeeds: true, "
                               "paddedChunkSizes: true }\n"));
  RawSocket client = RawSocket::Connect(proxy.Port());
  for (int i = 0; i < 2; ++i) {
    client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const std::string answer = client.ReadMessage();
    EXPECT_EQ(BodyOf(answer), "2\r\nok\r\n0\r\n\r\n") << answer;
    EXPECT_EQ(FieldIn(answer, "X_Kept"), "1") << answer;
    EXPECT_EQ(std::count(answer.begin(), answer.end(), '\n'),
              std::count(answer.begin(), answer.end(), '\r'));
  }
  EXPECT_EQ(proxy.Metric("target_connections_reused_total"), 1);
}

// RFC 9110 section 6.6.1.
TEST(DateTest, IsInEveryAnswer) {
  ScriptedTarget target([](const std::string& head, RawSocket& connection) {
    const bool has_date = head.find("/dated ") != std::string::npos;
    return connection.Send("HTTP/1.1 200 OK\r\n"s + (has_date ? "date: mine\r\n" : "") + kOk);
  });
  ServingProxy proxy(ConfigFor({target.port()}));
  const std::regex date(
      "(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \\d\\d [A-Z][a-z]{2} \\d{4} "
      "\\d\\d:\\d\\d:\\d\\d GMT");
  EXPECT_TRUE(std::regex_match(FieldIn(Get(proxy.Port()), "Date"), date));
  EXPECT_TRUE(std::regex_match(FieldIn(Get(proxy.Port(), "/%00"), "Date"), date));
  const std::string answer = Get(proxy.Port(), "/dated");
  EXPECT_EQ(FieldIn(answer, "date"), "mine");
  EXPECT_EQ(FieldIn(answer, "Date"), "");
}

}  // namespace
}  // namespace remuda::proxy::testing
