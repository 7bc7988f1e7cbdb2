// Clients that stay with a target, or with a target group.
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <vector>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {
namespace {

constexpr char kSecrets[] =
    "sharedSecrets: [MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=]\n";  // 32 bytes

// The value of a cookie that the response sets, with its attributes; empty if it does not.
std::string SetCookie(const std::string& response, const std::string& name) {
  const std::string mark = "Set-Cookie: " + name + "=";
  const size_t at = response.find(mark);
  if (at == std::string::npos) return "";
  const size_t begin = at + mark.size();
  return response.substr(begin, response.find("\r\n", begin) - begin);
}

std::string ValueOf(const std::string& set_cookie) {
  return set_cookie.substr(0, set_cookie.find(';'));
}

// Answers with its letter; sets the app's cookie where it is asked to.
ScriptedTarget::Script App(const std::string& letter) {
  return [letter](const std::string& head, RawSocket& connection) {
    if (head.find("\r\nUpgrade: echo\r\n") != std::string::npos) {
      return connection.Send(
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    }
    const bool is_login = head.rfind("GET /login", 0) == 0;
    return connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n" +
                           std::string(is_login ? "Set-Cookie: sid=1; Path=/\r\n" : "") + "\r\n" +
                           letter);
  };
}

class StickyTest : public ::testing::Test {
 protected:
  void StartTargets(int count) {
    for (int i = 0; i < count; ++i)
      targets_.push_back(
          std::make_unique<ScriptedTarget>(App(std::string(1, static_cast<char>('a' + i)))));
  }
  void Start(const std::string& stickiness) {
    StartTargets(3);
    std::vector<uint16_t> ports;
    for (const auto& target : targets_) ports.push_back(target->port());
    StartProxy(kSecrets + ConfigFor(ports, "    stickiness: " + stickiness + "\n"));
  }
  void StartProxy(const std::string& config) {
    config_ = config;
    proxy_ = std::make_unique<ServingProxy>(config, std::vector<std::string>{"--workers=2"});
  }
  std::string Ask(const std::string& cookies, const std::string& path = "/") {
    RawSocket client = RawSocket::Connect(proxy_->Port());
    client.Send("GET " + path + " HTTP/1.1\r\nHost: a\r\n" +
                (cookies.empty() ? "" : "Cookie: " + cookies + "\r\n") + "\r\n");
    return client.ReadMessage();
  }
  ScriptedTarget& TargetOf(const std::string& body) {
    return *targets_[static_cast<size_t>(body[0] - 'a')];
  }

  std::vector<std::unique_ptr<ScriptedTarget>> targets_;
  std::string config_;
  std::unique_ptr<ProxyProcess> proxy_;
};

TEST_F(StickyTest, AnUpgradeSetsTheCookieOnce) {
  Start("{ type: TYPE_DURATION_COOKIE, duration: 600s }");
  RawSocket client = RawSocket::Connect(proxy_->Port());
  client.Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
  const std::string head = client.ReadUntil("\r\n\r\n");
  EXPECT_EQ(StatusOf(head), 101);
  const size_t first = head.find("Set-Cookie: ");
  ASSERT_NE(first, std::string::npos) << head;
  EXPECT_EQ(head.find("Set-Cookie: ", first + 1), std::string::npos) << head;
}

TEST_F(StickyTest, DurationCookieKeepsTheTargetAndIsRenewed) {
  Start("{ type: TYPE_DURATION_COOKIE, duration: 600s }");
  const std::string first = Ask("");
  const std::string cookie = SetCookie(first, "REMUDA");
  EXPECT_NE(cookie.find("; Max-Age=600; Path=/; HttpOnly; SameSite=Lax"), std::string::npos)
      << first;
  EXPECT_EQ(cookie.find("Secure"), std::string::npos);
  std::string value = ValueOf(cookie);
  for (int i = 0; i < 12; ++i) {
    const std::string got = Ask("x=1; REMUDA=" + value);
    EXPECT_EQ(BodyOf(got), BodyOf(first));
    const std::string next = ValueOf(SetCookie(got, "REMUDA"));
    EXPECT_NE(next, value);
    value = next;
  }
  std::set<std::string> without;
  for (int i = 0; i < 6; ++i) without.insert(BodyOf(Ask("")));
  EXPECT_EQ(without.size(), 3U);
  // Another proxy with the same secret, and a cookie that nobody made.
  StartProxy(config_);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(BodyOf(Ask("REMUDA=" + value)), BodyOf(first));
  value[5] = value[5] == 'A' ? 'B' : 'A';
  std::set<std::string> forged;
  for (int i = 0; i < 6; ++i) forged.insert(BodyOf(Ask("REMUDA=" + value)));
  EXPECT_EQ(forged.size(), 3U);
}

TEST_F(StickyTest, AnUnhealthyOrDeadTargetLosesItsClients) {
  Start("{ type: TYPE_DURATION_COOKIE }");
  std::string first = Ask("");
  TargetOf(BodyOf(first)).SetHealth(500);
  ASSERT_TRUE(proxy_->WaitHealthy(2));
  const std::string second = Ask("REMUDA=" + ValueOf(SetCookie(first, "REMUDA")));
  EXPECT_NE(BodyOf(second), BodyOf(first));
  // From now on it stays with the new one, which dies: the repeat moves it on.
  TargetOf(BodyOf(second)).Kill();
  const std::string third = Ask("REMUDA=" + ValueOf(SetCookie(second, "REMUDA")));
  EXPECT_EQ(StatusOf(third), 200) << third;
  EXPECT_NE(BodyOf(third), BodyOf(second));
  EXPECT_EQ(BodyOf(Ask("REMUDA=" + ValueOf(SetCookie(third, "REMUDA")))), BodyOf(third));
}

TEST_F(StickyTest, AppCookieBeginsASession) {
  Start("{ type: TYPE_APP_COOKIE, cookieName: sid }");
  EXPECT_EQ(SetCookie(Ask(""), "REMUDAAPP-0"), "");
  const std::string login = Ask("", "/login");
  EXPECT_EQ(SetCookie(login, "sid"), "1; Path=/");
  const std::string value = ValueOf(SetCookie(login, "REMUDAAPP-0"));
  ASSERT_NE(value, "");
  for (int i = 0; i < 6; ++i) {
    const std::string got = Ask("sid=1; REMUDAAPP-0=" + value);
    EXPECT_EQ(BodyOf(got), BodyOf(login));
    EXPECT_EQ(SetCookie(got, "REMUDAAPP-0"), "");
  }
  std::set<std::string> ended;
  for (int i = 0; i < 6; ++i) ended.insert(BodyOf(Ask("REMUDAAPP-0=" + value)));
  EXPECT_EQ(ended.size(), 3U) << "without the app's cookie there is no session";
  TargetOf(BodyOf(login)).SetHealth(500);
  ASSERT_TRUE(proxy_->WaitHealthy(2));
  const std::string moved = Ask("sid=1; REMUDAAPP-0=" + value);
  const std::string next = ValueOf(SetCookie(moved, "REMUDAAPP-0"));
  ASSERT_NE(next, "") << "the session goes on at another target";
  for (int i = 0; i < 4; ++i) EXPECT_EQ(BodyOf(Ask("sid=1; REMUDAAPP-0=" + next)), BodyOf(moved));
}

TEST_F(StickyTest, GroupStickinessKeepsTheGroup) {
  StartTargets(2);
  StartProxy(
      "loadBalancers:\n"
      "  - name: shop\n"
      "    listeners:\n"
      "      - port: 0\n"
      "        address: 127.0.0.1\n"
      "        defaultAction: { forward: { stickinessDuration: 60s, targetGroups: [{ targetGroup: "
      "one }, "
      "{ targetGroup: two }] } }\n"
      "targetGroups:\n"
      "  - { name: one, healthCheck: { interval: 100ms } }\n"
      "  - { name: two, healthCheck: { interval: 100ms } }\n"
      "targets:\n"
      "  - { targetGroup: one, address: 127.0.0.1, port: " +
      std::to_string(targets_[0]->port()) +
      " }\n"
      "  - { targetGroup: two, address: 127.0.0.1, port: " +
      std::to_string(targets_[1]->port()) + " }\n");
  const std::string first = Ask("");
  const std::string value = ValueOf(SetCookie(first, "REMUDATG"));
  for (int i = 0; i < 6; ++i) EXPECT_EQ(BodyOf(Ask("REMUDATG=" + value)), BodyOf(first));
  std::set<std::string> without;
  for (int i = 0; i < 4; ++i) without.insert(BodyOf(Ask("")));
  EXPECT_EQ(without.size(), 2U);
}

TEST_F(StickyTest, SecretsAreNotShown) {
  Start("{ type: TYPE_DURATION_COOKIE }");
  EXPECT_EQ(proxy_->Admin("/config").find("Secrets"), std::string::npos);
}

}  // namespace
}  // namespace remuda::proxy::testing
