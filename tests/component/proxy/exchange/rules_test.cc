// Rules in the real program: conditions, redirects, rewrites, and groups by weight.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <map>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {
namespace {

std::string Rule(int priority, const std::string& condition, const std::string& rest) {
  return "          - priority: " + std::to_string(priority) + "\n            conditions: [" +
         condition + "]\n" + "            " + rest + "\n";
}

std::string Ask(uint16_t port, const std::string& head) {
  RawSocket client = RawSocket::Connect(port);
  client.Send(head + "\r\n\r\n");
  return client.ReadMessage();
}

constexpr char kForward[] =
    "action: { forward: { targetGroups: [{ targetGroup: blue }] } }\n            ";

class RulesTest : public ::testing::Test {
 protected:
  void Start(const std::string& rules) {
    proxy_ = std::make_unique<ServingProxy>(
        ConfigFor({target_.port()}, "", "", "        rules:\n" + rules));
  }
  uint16_t port() { return proxy_->Port(); }

  ScriptedTarget target_{ScriptedTarget::EchoHead};
  std::unique_ptr<ProxyProcess> proxy_;
};

TEST_F(RulesTest, RegexesDecide) {
  const std::string fixed = "action: { fixedResponse: { status: ";
  Start(Rule(1, "{ hostHeader: {regexValues: ['(www|api)[.]shop[.]test']} }", fixed + "401 } }") +
        Rule(2, "{ pathPattern: {regexValues: ['/v[0-9]+/.*']} }", fixed + "402 } }") +
        Rule(3, "{ httpHeader: { httpHeaderName: X-Team, regexValues: ['[a-c]+'] } }",
             fixed + "403 } }"));
  EXPECT_EQ(StatusOf(Ask(port(), "GET /v1/x HTTP/1.1\r\nHost: API.shop.test:80")), 401);
  EXPECT_EQ(StatusOf(Ask(port(), "GET /v12/x HTTP/1.1\r\nHost: a")), 402);
  EXPECT_EQ(StatusOf(Ask(port(), "GET /v12 HTTP/1.1\r\nHost: a\r\nX-Team: abc")), 403);
  EXPECT_EQ(StatusOf(Ask(port(), "GET /v12 HTTP/1.1\r\nHost: a\r\nX-Team: abd")), 200);
}

TEST_F(RulesTest, RewritesWhatIsForwardedAndLogsWhatCame) {
  Start(
      Rule(1, "{ pathPattern: { values: ['/api/*'] } }",
           std::string(kForward) +
               "transforms:\n"
               "              - { urlRewrite: { regex: '^/api/(.*)$', replace: '/$1' } }\n"
               "              - { hostHeaderRewrite: { regex: '^([^.:]+)', replace: 'in-$1' } }"));
  const std::string got = Ask(port(), "GET /api/v1/%7Ex?y=1 HTTP/1.1\r\nHost: shop.test:80");
  EXPECT_NE(got.find("GET /v1/~x?y=1 HTTP/1.1\r\nHost: in-shop.test:80\r\n"), std::string::npos)
      << got;
  // The log has the client's request; other requests pass as they came.
  ASSERT_TRUE(WaitUntil([&] { return !proxy_->AccessLog().empty(); }));
  EXPECT_NE(proxy_->AccessLog().find("/api/v1/~x?y=1 HTTP/1.1\""), std::string::npos)
      << proxy_->AccessLog();
  EXPECT_NE(Ask(port(), "GET /web HTTP/1.1\r\nHost: shop.test")
                .find("GET /web HTTP/1.1\r\nHost: shop.test\r\n"),
            std::string::npos);
  // A body is forwarded behind a rewritten head, and the connection is used again.
  RawSocket client = RawSocket::Connect(port());
  for (int i = 0; i < 3; ++i) {
    client.Send("GET /api/" + std::string(3000, 'p') + " HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_NE(client.ReadMessage().find("GET /ppp"), std::string::npos);
  }
}

TEST_F(RulesTest, RewriteToWhatNoClientMaySendIsRefused) {
  Start(
      Rule(1, "{ pathPattern: { values: ['/a/*'] } }",
           std::string(kForward) + "transforms: [{ urlRewrite: { regex: '^/a', replace: '' } }]") +
      Rule(2, "{ pathPattern: { values: ['/b/*'] } }",
           std::string(kForward) +
               "transforms: [{ urlRewrite: { regex: '^/b/(.*)', replace: '/x/$1/../' } }]"));
  EXPECT_NE(Ask(port(), "GET /a/b HTTP/1.1\r\nHost: a").find("GET /b HTTP/1.1"), std::string::npos);
  const std::string got = Ask(port(), "GET /b/c HTTP/1.1\r\nHost: a");
  EXPECT_EQ(StatusOf(got), 400);
  EXPECT_NE(got.find("X-Remuda-Reason: BadRewrite\r\n"), std::string::npos) << got;
}

TEST_F(RulesTest, RedirectsAreBounded) {
  Start(Rule(1, "{ pathPattern: { values: ['/to/*'] } }",
             "action: { redirect: { protocol: HTTPS, port: '443', host: 'www.#{host}', path: "
             "'/#{path}/#{path}' } }"));
  const std::string got = Ask(port(), "GET /to/a?b=c HTTP/1.1\r\nHost: shop.test:80");
  EXPECT_EQ(StatusOf(got), 302);
  EXPECT_NE(got.find("Location: https://www.shop.test/to/a/to/a?b=c\r\n"), std::string::npos)
      << got;
  const std::string long_one =
      Ask(port(), "GET /to/" + std::string(10'000, 'a') + " HTTP/1.1\r\nHost: a");
  EXPECT_EQ(StatusOf(long_one), 500);
  EXPECT_NE(long_one.find("X-Remuda-Reason: RedirectTooLong\r\n"), std::string::npos);
  EXPECT_EQ(StatusOf(Ask(port(), "GET /to/a HTTP/1.0")), 400);
}

TEST(GroupWeightTest, SharesAreExactOverAllWorkersAndKeptByAReload) {
  ScriptedTarget blue(ScriptedTarget::Answers("blue"));
  ScriptedTarget green(ScriptedTarget::Answers("green"));
  const auto config = [&](const std::string& body) {
    std::string text =
        ConfigFor({blue.port()}, "", "",
                  "        rules:\n" +
                      Rule(1, "{ pathPattern: { values: ['/w'] } }",
                           "action: { forward: { targetGroups: [{ targetGroup: blue, weight: 9 }, "
                           "{ targetGroup: green, "
                           "weight: 1 }] } }") +
                      Rule(2, "{ pathPattern: { values: ['/mark'] } }",
                           "action: { fixedResponse: { status: 200, body: " + body + " } }"));
    text.insert(text.find("targets:"),
                "  - name: green\n    healthCheck: { path: /health, interval: 100ms }\n");
    return text +
           "  - { targetGroup: green, address: 127.0.0.1, port: " + std::to_string(green.port()) +
           " }\n";
  };
  ServingProxy proxy(config("m0"), {"--workers=2"});
  const uint16_t port = proxy.Port();
  std::map<std::string, int> answers;
  for (int i = 1; i <= 10; ++i) {  // each on a connection of its own, so on any worker
    for (int n = 0; n < 5; ++n) ++answers[BodyOf(Get(port, "/w"))];
    const std::string mark = "m" + std::to_string(i);
    std::ofstream(proxy.directory() + "/proxy.yaml") << config(mark);
    proxy.Signal(SIGHUP);
    ASSERT_TRUE(WaitUntil([&] { return BodyOf(Get(port, "/mark")) == mark; }));
  }
  EXPECT_EQ(answers, (std::map<std::string, int>{{"blue", 45}, {"green", 5}}));
}

}  // namespace
}  // namespace remuda::proxy::testing
