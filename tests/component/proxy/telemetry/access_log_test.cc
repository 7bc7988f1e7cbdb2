// The access log of the real program: one line a request, whatever became of it.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {
namespace {

constexpr const char* kRules =
    "        rules:\n"
    "          - { priority: 5, conditions: [{ pathPattern: { values: [/gone] } }],\n"
    "              action: { fixedResponse: { status: 410, body: gone } } }\n"
    "          - { priority: 6, conditions: [{ pathPattern: { values: [/old*] } }],\n"
    "              action: { redirect: { status: 301, host: new.test, path: '/new/#{path}' } } }\n";

const std::string kTime = "\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{6}Z";
const std::string kSpan = "\\d+\\.\\d{3}";
const std::string kTrace = "\"Root=1-[0-9a-f]{8}-[0-9a-f]{24}\"";
const std::string kConnection = "TID_[0-9a-f]{16}";

class AccessLogTest : public ::testing::Test {
 protected:
  void Start(ScriptedTarget::Script script, std::vector<std::string> flags = {}) {
    target_ = std::make_unique<ScriptedTarget>(std::move(script));
    flags.push_back("--workers=1");
    proxy_ = std::make_unique<ServingProxy>(ConfigFor({target_->port()}, "", "", kRules), flags);
  }
  std::string Ask(const std::string& request) {
    RawSocket client = RawSocket::Connect(proxy_->Port());
    client.Send(request);
    return client.ReadMessage();
  }
  // The only line, once it is there.
  std::string Line() {
    EXPECT_TRUE(WaitUntil([&] { return !proxy_->AccessLog().empty(); }));
    std::string text = proxy_->AccessLog();
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
    return text;
  }
  std::string PortText() { return std::to_string(proxy_->Port()); }
  void ExpectLine(const std::string& pattern) {
    const std::string line = Line();
    EXPECT_TRUE(std::regex_match(line, std::regex(pattern + "\n"))) << line << pattern;
  }

  std::unique_ptr<ScriptedTarget> target_;
  std::unique_ptr<ProxyProcess> proxy_;
};

TEST_F(AccessLogTest, OfAForwardedRequest) {
  Start(ScriptedTarget::Answers("hello"));
  const std::string request =
      "POST /cart?id=1 HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: test/1\r\nContent-Length: "
      "3\r\n\r\nabc";
  const std::string answer = Ask(request);
  ExpectLine("http " + kTime + " shop 127\\.0\\.0\\.1:\\d+ " + target_->endpoint() + " " + kSpan +
             " " + kSpan + " " + kSpan + " 200 200 " + std::to_string(request.size()) + " " +
             std::to_string(answer.size()) + " \"POST http://shop\\.test:" + PortText() +
             "/cart\\?id=1 HTTP/1\\.1\" \"test/1\" - - blue " + kTrace + " \"-\" \"-\" 0 " + kTime +
             " \"forward\" \"-\" \"-\" \"" + target_->endpoint() + "\" \"200\" \"-\" \"-\" " +
             kConnection);
}

TEST_F(AccessLogTest, OfWhatTheProxyAnswersByARule) {
  Start(ScriptedTarget::Answers("hello"));
  Ask("GET /old/x HTTP/1.1\r\nHost: shop.test\r\nX-Amzn-Trace-Id: Root=1-a-b\r\n\r\n");
  ExpectLine("http " + kTime +
             " shop \\S+ - -1 -1 -1 301 - \\d+ \\d+ \"GET http://shop\\.test:" + PortText() +
             "/old/x HTTP/1\\.1\" \"-\" - - - \"Self=1-[0-9a-f]{8}-[0-9a-f]{24};Root=1-a-b\" \"-\" "
             "\"-\" 6 " +
             kTime + " \"redirect\" \"http://new\\.test:" + PortText() +
             "/new/old/x\" \"-\" \"-\" \"-\" \"-\" \"-\" " + kConnection);
}

TEST_F(AccessLogTest, OfAMalformedRequest) {
  Start(ScriptedTarget::Answers("hello"));
  Ask("GET\r\n\r\n");
  ExpectLine("http " + kTime + " shop \\S+ - -1 -1 -1 400 - 7 \\d+ \"- http://shop:" + PortText() +
             "- -\" \"-\" - - - \"-\" \"-\" \"-\" - " + kTime +
             " \"-\" \"-\" \"BadRequestLine\" \"-\" \"-\" \"Severe\" \"[A-Za-z]+\" " + kConnection +
             " \"BadRequestLine: GET\"");
}

// A request that is refused before its Host is looked at is not logged with the one before it.
TEST_F(AccessLogTest, SaysNothingOfTheRequestBefore) {
  Start(ScriptedTarget::Answers("hello"));
  RawSocket client = RawSocket::Connect(proxy_->Port());
  client.Send("GET /first HTTP/1.1\r\nHost: first.test\r\n\r\n");
  client.ReadMessage();
  client.Send("GET /second HTTP/1.1\r\nHost: x\r\nContent-Length: zzz\r\n\r\n");
  client.ReadMessage();
  ASSERT_TRUE(WaitUntil([&] { return proxy_->AccessLog().find("/second") != std::string::npos; }));
  const std::string text = proxy_->AccessLog();
  const std::string second = text.substr(text.find('\n') + 1);
  EXPECT_NE(second.find("\"GET http://shop:" + PortText() + "/second HTTP/1.1\""),
            std::string::npos)
      << second;
  EXPECT_EQ(second.find("first"), std::string::npos) << second;
}

TEST_F(AccessLogTest, OfARequestThatWasRetried) {
  ScriptedTarget good(ScriptedTarget::Answers("hello"));
  ScriptedTarget bad([](const std::string&, RawSocket&) { return false; });
  ServingProxy proxy(ConfigFor({good.port(), bad.port()}));
  const std::string wanted = "\"" + bad.endpoint() + " " + good.endpoint() + "\" \"- 200\"";
  for (int i = 0; i < 4; ++i) Get(proxy.Port());
  EXPECT_TRUE(WaitUntil([&] { return proxy.AccessLog().find(wanted) != std::string::npos; }))
      << wanted << proxy.AccessLog();
}

TEST_F(AccessLogTest, OfATargetThatGivesNoAnswer) {
  Start([](const std::string&, RawSocket&) { return false; });
  Ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  ExpectLine("http " + kTime + " shop \\S+ " + target_->endpoint() + " " + kSpan +
             " -1 -1 502 - .* 0 " + kTime + " \"forward\" \"-\" \"TargetClosed\" \"" +
             target_->endpoint() + "\" \"-\" \"-\" \"-\" " + kConnection);
}

TEST_F(AccessLogTest, AsJson) {
  Start(ScriptedTarget::Answers("hello"), {"--access-log-format=json"});
  Ask("GET /gone HTTP/1.1\r\nHost: a\r\n\r\n");
  ExpectLine("\\{\"type\":\"http\",\"time\":\"" + kTime +
             "\",\"elb\":\"shop\",.*\"elb_status_code\":410,\"target_status_code\":null,.*"
             "\"matched_rule_priority\":5,.*\"actions_executed\":\"fixed-response\",.*\\}");
}

TEST_F(AccessLogTest, IsOpenedAnewOnSigusr1) {
  Start(ScriptedTarget::Answers("hello"));
  Get(proxy_->Port(), "/before");
  ASSERT_TRUE(WaitUntil([&] { return !proxy_->AccessLog().empty(); }));
  const std::string path = proxy_->directory() + "/access.log";
  std::filesystem::rename(path, path + ".1");
  proxy_->Signal(SIGUSR1);
  ASSERT_TRUE(WaitUntil([&] { return std::filesystem::exists(path); }));
  Get(proxy_->Port(), "/after");
  ASSERT_TRUE(WaitUntil([&] { return proxy_->AccessLog().find("/after") != std::string::npos; }));
  EXPECT_EQ(proxy_->AccessLog().find("/before"), std::string::npos);
  std::ifstream old(path + ".1");
  std::stringstream text;
  text << old.rdbuf();
  EXPECT_NE(text.str().find("/before"), std::string::npos);
  EXPECT_EQ(proxy_->Metric("access_log_lost_lines_total"), 0);
}

// Health checks of the proxy's own do not go through it, and a target's are its own business.
TEST_F(AccessLogTest, HasNoLineOfHealthChecks) {
  Start(ScriptedTarget::Answers("hello"));
  Get(proxy_->Port(), "/only");
  EXPECT_EQ(Line().find("/health"), std::string::npos);
}

}  // namespace
}  // namespace remuda::proxy::testing
